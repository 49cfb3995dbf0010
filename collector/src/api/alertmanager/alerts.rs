//! Alerts: those that fire, the same by groups, and those that other senders post.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sonde_alerting::received::Posted;
use sonde_alerting::webhook::Status;
use sonde_alerting::{AlertGroup, Dispatcher};
use sonde_model::{Labels, TimestampMs};

use super::answer::{self, Refusal};
use super::body::{self, JsonBody};
use super::known::{self, Filter, Known, Shown, ShownReceiver, Sight};
use super::parameters::{self, ReceiverFilter};
use crate::api::answer::ApiError;
use crate::api::form::Form;
use crate::query::Expired;
use crate::server::{Core, Server};

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

/// So long an answer may wait for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// `GET /alerts`: the alerts that fire, in the order of their fingerprints.
pub(super) async fn list(State(server): State<Arc<Server>>, form: Result<Form, ApiError>) -> Result<Response, Refusal> {
    let form = form.map_err(|e| Refusal::bad_request(e.message))?;
    let (filter, receiver) = (Filter::new(&form)?, ReceiverFilter::new(&form)?);
    in_turn(server, move |server, core| {
        let mut alerts: Vec<Known> = known::firing(server, core).into_values().collect();
        alerts.retain(|alert| filter.takes(alert.labels()));
        let (silences, now) = (server.notifier.silences().current(), server.clock.now_ms());
        // Rules wait while somebody looks at the dispatcher: there only what it alone knows is asked.
        let look = |dispatcher: &Dispatcher| -> Vec<Sight> {
            alerts.iter().map(|alert| Sight::of(alert.labels(), dispatcher)).collect()
        };
        let sights = server.notifier.look(look);
        let seen = alerts.iter().zip(&sights).filter(|(_, sight)| receiver.takes_any(&sight.receivers));
        let mut shown: Vec<Shown> =
            seen.filter_map(|(alert, sight)| filter.show(alert, sight, (&silences, now), &[])).collect();
        shown.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        answer::json(&shown)
    })
    .await
}

/// A group as the dispatcher knows it, with the alerts that fire.
struct Seen {
    labels: Labels,
    receiver: String,
    muted_by: Vec<String>,
    alerts: Vec<(Labels, Sight)>,
}

/// `GET /alerts/groups`: the same alerts as their receivers are told of them.
pub(super) async fn groups(
    State(server): State<Arc<Server>>,
    form: Result<Form, ApiError>,
) -> Result<Response, Refusal> {
    let form = form.map_err(|e| Refusal::bad_request(e.message))?;
    let (filter, receiver) = (Filter::new(&form)?, ReceiverFilter::new(&form)?);
    let with_muted = parameters::switch(&form, "muted");
    in_turn(server, move |server, core| {
        let known = known::firing(server, core);
        let (silences, now) = (server.notifier.silences().current(), server.clock.now_ms());
        let see = |dispatcher: &Dispatcher| -> Vec<Seen> {
            let groups = dispatcher.groups().filter(|group| receiver.takes(group.receiver));
            groups.filter_map(|group| see(&group, dispatcher, now)).collect()
        };
        let seen = server.notifier.look(see).into_iter().filter(|seen| with_muted || seen.muted_by.is_empty());
        let show = |seen: Seen| {
            let alerts = seen
                .alerts
                .iter()
                .filter_map(|(labels, sight)| filter.show(known.get(labels)?, sight, (&silences, now), &seen.muted_by));
            let alerts: Vec<Shown> = alerts.collect();
            let receiver = ShownReceiver { name: seen.receiver };
            let shown = ShownGroup { alerts, labels: known::object(&seen.labels), receiver };
            (!shown.alerts.is_empty()).then_some((seen.labels, shown))
        };
        let mut groups: Vec<(Labels, ShownGroup)> = seen.filter_map(show).collect();
        groups.sort_by(|a, b| (&a.0, &a.1.receiver.name).cmp(&(&b.0, &b.1.receiver.name)));
        answer::json(&groups.into_iter().map(|(_, group)| group).collect::<Vec<_>>())
    })
    .await
}

/// Looks at a group; nothing where no alert of it fires.
fn see(group: &AlertGroup<'_>, dispatcher: &Dispatcher, now: TimestampMs) -> Option<Seen> {
    let firing: Vec<_> = group.alerts.iter().filter(|alert| alert.status == Status::Firing).collect();
    let plan = dispatcher.plan();
    let routes = plan.routes_for(&firing.first()?.labels);
    let route = routes.into_iter().find(|route| route.key == group.key.route);
    let muted_by = route.and_then(|route| plan.muted_by(route, now)).unwrap_or_default();
    Some(Seen {
        labels: group.key.labels.clone(),
        receiver: group.receiver.to_owned(),
        muted_by: muted_by.into_iter().map(str::to_owned).collect(),
        alerts: firing.iter().map(|alert| (alert.labels.clone(), Sight::of(&alert.labels, dispatcher))).collect(),
    })
}

/// Answers on a thread of queries: tens of thousands of alerts, each asked of all silences, take their time.
async fn in_turn(
    server: Arc<Server>,
    answer: impl FnOnce(&Server, &Core) -> Response + Send + 'static,
) -> Result<Response, Refusal> {
    let asked = Arc::clone(&server);
    let work = move |_: Expired<'_>| server.core().map(|core| answer(&server, core));
    let answered = asked.queries.run(TURN_TIMEOUT, work).await.map_err(Refusal::unavailable)?;
    answered.ok_or_else(Refusal::starting)
}

/// `POST /alerts`: takes the alerts of another sender that make sense; answers when they are durable.
pub(super) async fn post(State(server): State<Arc<Server>>, body: JsonBody) -> Result<StatusCode, Refusal> {
    let posted = read(&body)?;
    server.core().ok_or_else(Refusal::starting)?;
    let (inbox, turn) = (server.inbox.clone(), server.alert_changes.turn().await.ok_or_else(Refusal::busy)?);
    let work = tokio::task::spawn_blocking(move || turn.run(|| inbox.post(posted)));
    let refused = work.await.map_err(|_| Refusal::failed())?;
    let refused = refused.map_err(|e| Refusal::unavailable(sonde_runtime::stage::with_causes(&e)))?;
    if refused.is_empty() {
        return Ok(StatusCode::OK);
    }
    let words: Vec<String> = refused.iter().map(ToString::to_string).collect();
    Err(Refusal::bad_request(words.join("; ")))
}

/// The alerts of a body, in its order.
pub(super) fn read(body: &JsonBody) -> Result<Vec<Posted>, Refusal> {
    let posted: Vec<PostedAlert> = body.parse("alerts")?;
    posted.into_iter().enumerate().map(|(i, alert)| alert.read(i)).collect()
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
