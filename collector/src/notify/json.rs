//! The JSON of a webhook payload, field for field as Alertmanager writes version 4.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sonde_alerting::webhook::{Payload, PayloadAlert, VERSION};
use sonde_model::{Labels, TimestampMs};

/// Go's zero time: of an alert that fires the end is not known.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The body of a request.
pub(super) fn body(payload: &Payload) -> Vec<u8> {
    let value = json!({
        "version": VERSION,
        "groupKey": payload.group_key.to_string(),
        "truncatedAlerts": payload.truncated_alerts,
        "status": payload.status.as_str(),
        "receiver": payload.receiver,
        "groupLabels": labels(&payload.group_labels),
        "commonLabels": labels(&payload.common_labels),
        "commonAnnotations": labels(&payload.common_annotations),
        "externalURL": payload.external_url,
        "alerts": payload.alerts.iter().map(alert).collect::<Vec<_>>(),
    });
    value.to_string().into_bytes()
}

fn alert(alert: &PayloadAlert) -> Value {
    json!({
        "status": alert.status.as_str(),
        "labels": labels(&alert.labels),
        "annotations": labels(&alert.annotations),
        "startsAt": time(Some(alert.starts_at)),
        "endsAt": time(alert.ends_at),
        "generatorURL": alert.generator_url,
        "fingerprint": format!("{:016x}", alert.fingerprint),
    })
}

fn labels(labels: &Labels) -> Value {
    let map: Map<String, Value> = labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Value::Object(map)
}

/// RFC 3339 in UTC with the milliseconds that are not zero.
fn time(at: Option<TimestampMs>) -> String {
    match at.map(Timestamp::from_millisecond) {
        Some(Ok(time)) => time.to_string(),
        _ => ZERO_TIME.to_owned(),
    }
}
