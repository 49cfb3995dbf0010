//! A token for enrolment becomes the token of one agent.

use bytes::{BufMut, BytesMut};
use http::HeaderValue;
use prost::Message;
use sonde_model::AgentId;
use sonde_proto::agent_link::enrol::{EnrolRequest, PATH};

use super::*;
use crate::auth::principal::Who;

const AGENT: AgentId = AgentId([7; 16]);
const OTHER: AgentId = AgentId([8; 16]);

impl Fixture {
    /// The gRPC status of an enrolment.
    async fn enrol(&self, token: &str, agent: AgentId, own: &Secret) -> String {
        let request =
            EnrolRequest { agent_id: agent.0.to_vec(), token_sha256: own.hash().0.to_vec(), host: "web-1".to_owned() };
        let message = request.encode_to_vec();
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(message.len() as u32);
        framed.put_slice(&message);
        let request = Request::post(PATH).header("content-type", "application/grpc");
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(framed.freeze())).expect("a request");
        let response = self.grpc.clone().oneshot(request).await.expect("an answer");
        response.headers().get("grpc-status").map_or("0", |code| code.to_str().expect("a code")).to_owned()
    }

    async fn enrol_token(&self, uses: Option<u32>, life_ms: Option<i64>) -> String {
        let new = NewToken { name: "rack 1".into(), role: Role::Enrol, life_ms, uses };
        let made = self.server.auth.create(new, &Principal::anyone(), self.server.clock.now_ms()).await;
        made.expect("a token").0.as_str().to_owned()
    }

    async fn send_as(&self, token: &str, agent: Option<AgentId>) -> Outcome {
        let mut headers = bearer(token);
        headers.extend(agent.map(|agent| {
            let value = HeaderValue::from_str(&agent.to_string()).expect("a value");
            (http::HeaderName::from_static("sonde-agent-id"), value)
        }));
        self.outcome(Surface::Grpc, "POST", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", headers)
            .await
    }
}

fn secret() -> Secret {
    Secret::new(Role::Ingest).expect("random numbers")
}

#[tokio::test]
async fn a_token_enrols_one_agent_and_no_second() {
    let fixture = Fixture::open("", Flags::default());
    let token = fixture.enrol_token(None, None).await;
    let own = secret();
    assert_eq!(fixture.enrol(&token, AGENT, &own).await, "0");
    // The agent crashed before it knew: it asks again with the same token of its own.
    assert_eq!(fixture.enrol(&token, AGENT, &own).await, "0");
    assert_eq!(fixture.enrol(&token, OTHER, &secret()).await, "7", "used up");
    assert_eq!(fixture.enrol(&token, OTHER, &own).await, "7", "it belongs to another agent");

    assert_eq!(fixture.send_as(own.as_str(), Some(AGENT)).await, Outcome::Through);
    assert_eq!(fixture.send_as(own.as_str(), None).await, Outcome::Through);
    assert_eq!(fixture.send_as(own.as_str(), Some(OTHER)).await, Outcome::Refused(Reason::Agent));
    assert_eq!(fixture.send_as(&token, Some(AGENT)).await, Outcome::Refused(Reason::Role));
    let read = fixture.outcome(Surface::Main, "GET", "/metrics", bearer(own.as_str())).await;
    assert_eq!(read, Outcome::Refused(Reason::Role));

    let tokens = fixture.server.auth.list();
    let agents: Vec<_> = tokens.iter().filter(|token| token.agent == Some(AGENT)).collect();
    assert_eq!((tokens.len(), agents.len(), agents[0].name.as_str()), (2, 1, "agent on web-1"));
    fixture.server.auth.revoke(agents[0].hash.id(), &Principal::anyone(), 0).await.expect("there is one");
    assert_eq!(fixture.send_as(own.as_str(), Some(AGENT)).await, Outcome::Refused(Reason::Unknown));
}

#[tokio::test]
async fn nobody_else_speaks_for_an_enrolled_agent() {
    let fixture = Fixture::open("", Flags::default());
    let (unbound, _) = fixture.token(Role::Ingest, None).await;
    let (admin, _) = fixture.token(Role::Admin, None).await;
    assert_eq!(fixture.send_as(&unbound, Some(AGENT)).await, Outcome::Through, "it is not enrolled yet");
    let token = fixture.enrol_token(None, None).await;
    let own = secret();
    assert_eq!(fixture.enrol(&token, AGENT, &own).await, "0");
    for other in [&unbound, &admin] {
        assert_eq!(fixture.send_as(other, Some(AGENT)).await, Outcome::Refused(Reason::Agent));
        assert_eq!(fixture.send_as(other, Some(OTHER)).await, Outcome::Through);
        assert_eq!(fixture.send_as(other, None).await, Outcome::Through);
    }
    assert_eq!(fixture.send_as(own.as_str(), Some(AGENT)).await, Outcome::Through);
    fixture.server.auth.revoke(own.hash().id(), &Principal::anyone(), 0).await.expect("there is one");
    assert_eq!(fixture.send_as(&unbound, Some(AGENT)).await, Outcome::Through, "nobody's any more");
}

#[tokio::test]
async fn a_token_enrols_as_many_as_it_says() {
    let fixture = Fixture::open("", Flags::default());
    let token = fixture.enrol_token(Some(3), None).await;
    for n in 0..5_u8 {
        let expected = if n < 3 { "0" } else { "7" };
        assert_eq!(fixture.enrol(&token, AgentId([n; 16]), &secret()).await, expected, "agent {n}");
    }
}

#[tokio::test]
async fn an_agent_has_one_token() {
    let fixture = Fixture::open("", Flags::default());
    let token = fixture.enrol_token(Some(5), None).await;
    assert_eq!(fixture.enrol(&token, AGENT, &secret()).await, "0");
    assert_eq!(fixture.enrol(&token, AGENT, &secret()).await, "6", "it has one already");
    let uses = fixture.server.auth.list().iter().find_map(|token| token.uses_left);
    assert_eq!(uses, Some(4), "what was refused was not counted");
}

/// A request passes the gate with its headers; its body may take as long as the caller likes.
#[tokio::test]
async fn a_token_that_ends_while_its_request_is_read_changes_nothing() {
    let fixture = Fixture::open("", Flags::default());
    let auth = &fixture.server.auth;
    let now = || fixture.server.clock.now_ms();
    let principal = |token: &str| Principal::of(auth.find(token, now()).expect("it is known"));
    let new = || NewToken { name: "a way back".into(), role: Role::Admin, life_ms: None, uses: None };

    let enrol = principal(&fixture.enrol_token(Some(5), None).await);
    let short = principal(&fixture.enrol_token(Some(5), Some(1_000)).await);
    let (text, id) = fixture.token(Role::Admin, None).await;
    let (admin, own) = (principal(&text), principal(auth.admin_secret().as_str()));
    let Who::Token(token) = &enrol.who else { panic!("{enrol}") };
    auth.revoke(token.id(), &own, now()).await.expect("there is one");
    auth.revoke(id, &own, now()).await.expect("there is one");
    fixture.clock.advance(std::time::Duration::from_secs(1));

    for by in [&enrol, &short, &admin] {
        let enrolled = auth.enrol(AGENT, secret().hash(), "", by, now()).await;
        assert!(matches!(enrolled, Err(EnrolError::Change(ChangeError::Ended))), "{by}: {enrolled:?}");
    }
    let kept = auth.list()[0].hash.id();
    let (made, revoked) = (auth.create(new(), &admin, now()).await, auth.revoke(kept, &admin, now()).await);
    assert!(matches!(made, Err(ChangeError::Ended)), "{made:?}");
    assert!(matches!(revoked, Err(ChangeError::Ended)), "{revoked:?}");
    auth.create(new(), &own, now()).await.expect("the token of the data directory does not end");
    auth.enrol(AGENT, secret().hash(), "", &own, now()).await.expect("nor here");
}

#[tokio::test]
async fn a_revocation_that_is_not_stored_can_be_repeated() {
    let fixture = Fixture::open("", Flags::default());
    let auth = &fixture.server.auth;
    let (text, id) = fixture.token(Role::Read, None).await;
    auth.state.get().expect("it is open").close();
    for _ in 0..2 {
        let revoked = auth.revoke(id, &Principal::anyone(), 0).await;
        assert!(matches!(revoked, Err(ChangeError::Commit(_))), "{revoked:?}");
        assert_eq!(auth.find(&text, 0).err(), Some(Reason::Unknown));
    }
}

#[tokio::test]
async fn tokens_for_enrolment_end() {
    let fixture = Fixture::open("", Flags::default());
    let token = fixture.enrol_token(None, None).await;
    fixture.clock.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(fixture.enrol(&token, AGENT, &secret()).await, "16");
    assert_eq!(fixture.enrol("sonde_enrol_garbage", AGENT, &secret()).await, "16");
    let (ingest, _) = fixture.token(Role::Ingest, None).await;
    assert_eq!(fixture.enrol(&ingest, AGENT, &secret()).await, "7");
    assert_eq!(fixture.server.auth.list().len(), 1, "the one that was over made room");
}
