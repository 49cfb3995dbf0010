//! Alerts: those that fire, the same by groups, and those that other senders post.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sonde_alerting::received::Posted;
use sonde_alerting::webhook::Status;
use sonde_model::Labels;

use super::answer::{self, Refusal};
use super::body::{self, JsonBody};
use super::known::{self, Filter, Known, Quiet, Shown, ShownReceiver};
use super::parameters::{self, ReceiverFilter};
use crate::api::answer::ApiError;
use crate::api::form::Form;
use crate::server::Server;

/// A group as it is shown.
#[derive(Debug, Serialize)]
struct ShownGroup {
    alerts: Vec<Shown>,
    labels: Map<String, Value>,
    receiver: ShownReceiver,
}

/// An alert as it is posted. What is unknown is ignored, as by Alertmanager.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
}

/// `GET /alerts`: the alerts that fire, in the order of their fingerprints.
pub(super) async fn list(State(server): State<Arc<Server>>, form: Result<Form, ApiError>) -> Result<Response, Refusal> {
    let form = form.map_err(|e| Refusal::bad_request(e.message))?;
    let (filter, receiver) = (Filter::new(&form)?, ReceiverFilter::new(&form)?);
    let known = known::firing(&server, server.core().ok_or_else(Refusal::starting)?);
    let (silences, now) = (server.notifier.silences().current(), server.clock.now_ms());
    let mut shown: Vec<Shown> = server.notifier.look(|dispatcher| {
        let quiet = Quiet { silences: &silences, dispatcher, now };
        let show = |alert: &Known| {
            let receivers = dispatcher.plan().receivers_for(alert.labels());
            receiver.takes_any(&receivers).then(|| filter.show(alert, &quiet, &receivers, &[])).flatten()
        };
        known.values().filter_map(show).collect()
    });
    shown.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    Ok(answer::json(&shown))
}

/// `GET /alerts/groups`: the same alerts as their receivers are told of them.
pub(super) async fn groups(
    State(server): State<Arc<Server>>,
    form: Result<Form, ApiError>,
) -> Result<Response, Refusal> {
    let form = form.map_err(|e| Refusal::bad_request(e.message))?;
    let (filter, receiver) = (Filter::new(&form)?, ReceiverFilter::new(&form)?);
    let with_muted = parameters::switch(&form, "muted");
    let known = known::firing(&server, server.core().ok_or_else(Refusal::starting)?);
    let (silences, now) = (server.notifier.silences().current(), server.clock.now_ms());
    let mut groups: Vec<(Labels, ShownGroup)> = server.notifier.look(|dispatcher| {
        let (plan, quiet) = (dispatcher.plan(), Quiet { silences: &silences, dispatcher, now });
        let show = |group: sonde_alerting::AlertGroup<'_>| {
            let firing: Vec<_> = group.alerts.iter().filter(|alert| alert.status == Status::Firing).collect();
            let routes = plan.routes_for(&firing.first()?.labels);
            let route = routes.into_iter().find(|route| route.key == group.key.route);
            let muted_by = route.and_then(|route| plan.muted_by(route, now)).unwrap_or_default();
            if !receiver.takes(group.receiver) || (!with_muted && !muted_by.is_empty()) {
                return None;
            }
            let alerts = firing.into_iter().filter_map(|alert| {
                let receivers = plan.receivers_for(&alert.labels);
                filter.show(known.get(&alert.labels)?, &quiet, &receivers, &muted_by)
            });
            let alerts: Vec<Shown> = alerts.collect();
            let labels = group.key.labels.clone();
            let receiver = ShownReceiver { name: group.receiver.to_owned() };
            (!alerts.is_empty())
                .then(|| (labels.clone(), ShownGroup { alerts, labels: known::object(&labels), receiver }))
        };
        dispatcher.groups().filter_map(show).collect()
    });
    groups.sort_by(|a, b| (&a.0, &a.1.receiver.name).cmp(&(&b.0, &b.1.receiver.name)));
    Ok(answer::json(&groups.into_iter().map(|(_, group)| group).collect::<Vec<_>>()))
}

/// `POST /alerts`: takes the alerts of another sender that make sense; answers when they are durable.
pub(super) async fn post(State(server): State<Arc<Server>>, body: JsonBody) -> Result<StatusCode, Refusal> {
    let posted: Vec<PostedAlert> = body.parse("alerts")?;
    let posted: Vec<Posted> =
        posted.into_iter().enumerate().map(|(i, alert)| alert.read(i)).collect::<Result<_, _>>()?;
    server.core().ok_or_else(Refusal::starting)?;
    let inbox = server.inbox.clone();
    let work = tokio::task::spawn_blocking(move || inbox.post(posted));
    let refused = work.await.map_err(|_| Refusal::failed())?;
    let refused = refused.map_err(|e| Refusal::unavailable(sonde_runtime::stage::with_causes(&e)))?;
    if refused.is_empty() {
        return Ok(StatusCode::OK);
    }
    let words: Vec<String> = refused.iter().map(ToString::to_string).collect();
    Err(Refusal::bad_request(words.join("; ")))
}

impl PostedAlert {
    fn read(self, index: usize) -> Result<Posted, Refusal> {
        let labels = self.labels.ok_or_else(|| Refusal::required(&format!("{index}.labels")))?;
        Ok(Posted {
            labels: Labels::from_pairs(labels),
            annotations: Labels::from_pairs(self.annotations.unwrap_or_default()),
            starts_at: body::time("alerts", self.starts_at.as_deref())?,
            ends_at: body::time("alerts", self.ends_at.as_deref())?,
            generator_url: self.generator_url.unwrap_or_default(),
        })
    }
}
