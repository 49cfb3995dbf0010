//! Alerts and their history in columns.

use serde_json::Value;

use crate::query::columns;

/// What is pending or fires: state, since when, what keeps it quiet, value, labels.
pub(super) fn alerts(data: &Value) -> String {
    let list = |alert: &Value, key: &str| alert[key].as_array().map_or(0, Vec::len);
    let quiet = |alert: &Value| {
        let kinds = [("silencedBy", "silenced"), ("inhibitedBy", "inhibited"), ("mutedBy", "muted")];
        let words: Vec<&str> = kinds.iter().filter(|(key, _)| list(alert, key) > 0).map(|(_, word)| *word).collect();
        if words.is_empty() { "-".to_owned() } else { words.join(",") }
    };
    let row = |alert: &Value| {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        vec![name(alert), text("state"), text("activeAt"), quiet(alert), text("value"), labels(alert)]
    };
    draw(
        &["ALERT", "STATE", "SINCE", "QUIET", "VALUE", "LABELS"],
        &data["alerts"],
        row,
        "no alert is pending or fires\n",
    )
}

/// What happened, newest first.
pub(super) fn history(data: &Value) -> String {
    let row = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        vec![text("time"), name(line), format!("{} -> {}", text("from"), text("to")), text("value"), labels(line)]
    };
    let mut text =
        draw(&["TIME", "ALERT", "WHAT", "VALUE", "LABELS"], &data["transitions"], row, "nothing happened to alerts\n");
    if !data["next"].is_null() {
        text.push_str("There is more: --limit shows it.\n");
    }
    text
}

fn name(alert: &Value) -> String {
    alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned()
}

/// All labels but the name, as they stand in PromQL.
fn labels(alert: &Value) -> String {
    let pairs = alert["labels"].as_object().into_iter().flatten().filter(|(name, _)| *name != "alertname");
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn draw(header: &[&str], list: &Value, row: impl Fn(&Value) -> Vec<String>, empty: &str) -> String {
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else { return empty.to_owned() };
    let mut rows = vec![header.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
    rows.extend(list.iter().map(row));
    columns(&rows, header.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_are_shown_with_what_keeps_them_quiet() {
        let labels = json!({"alertname": "High", "host": "x"});
        let data = json!({"alerts": [
            {"labels": labels, "state": "firing", "activeAt": "2026-11-20T09:30:00Z", "value": "1e+00",
             "silencedBy": ["one"], "inhibitedBy": ["two"]},
            {"labels": {"alertname": "Low"}, "state": "pending", "activeAt": "2026-11-20T09:31:00Z", "value": "2e+00"},
        ]});
        let expected = "\
ALERT  STATE    SINCE                 QUIET               VALUE  LABELS
High   firing   2026-11-20T09:30:00Z  silenced,inhibited  1e+00  host=\"x\"
Low    pending  2026-11-20T09:31:00Z  -                   2e+00
";
        assert_eq!(alerts(&data), expected);
        assert_eq!(alerts(&json!({"alerts": []})), "no alert is pending or fires\n");
    }

    #[test]
    fn history_says_what_became_of_what() {
        let line = json!({"time": "2026-11-20T09:30:00Z", "from": "pending", "to": "firing", "value": "1e+00",
                          "labels": {"alertname": "High", "host": "x"}});
        let expected = "\
TIME                  ALERT  WHAT               VALUE  LABELS
2026-11-20T09:30:00Z  High   pending -> firing  1e+00  host=\"x\"
There is more: --limit shows it.
";
        assert_eq!(history(&json!({"transitions": [line], "next": 7})), expected);
    }
}
