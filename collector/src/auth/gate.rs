//! The gate in front of every router: asks the table what a route needs, and the request who sends it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderMap;
use sonde_model::AgentId;
use sonde_otlp::Peer;
use sonde_proto::agent_link;

use super::principal::{Principal, Who};
use super::refusal::Refusal;
use super::role::Role;
use super::routes::{self, Access, Found, Surface};
use super::stats::Reason;
use super::{credentials, origin};
use crate::config::ClientRole;
use crate::server::Server;

/// The gate of one router.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    server: Arc<Server>,
    surface: Surface,
}

impl Gate {
    /// Puts a gate in front of all routes that `router` has now.
    pub(crate) fn guard(server: &Arc<Server>, surface: Surface, router: Router) -> Router {
        let gate = Gate { server: Arc::clone(server), surface };
        router.route_layer(middleware::from_fn_with_state(gate, pass))
    }

    /// Who asks, if it may; `None` where nobody needs to know.
    fn admit(&self, request: &Request) -> Result<Option<Principal>, Refusal> {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let needed = match routes::find(self.surface, request.method().as_str(), path) {
            Found::Route(Access::Open) => return Ok(None),
            Found::Route(access) => access,
            // The router knows better how to say so; and a handler that the table forgot is at least for admins only.
            Found::OtherMethods => Access::Needs(Role::Admin),
            Found::Nothing => {
                tracing::error!("BUG: {path} is not in the table of routes: it is refused");
                return Err(Refusal::new(Reason::NoRoute, "this route has no place in the table of routes"));
            }
        };
        let (Access::Needs(role) | Access::Proven(role)) = needed else { return Ok(None) };
        let principal = self.identify(request, matches!(needed, Access::Proven(_)))?;
        if !principal.role.allows(role) {
            let text = format!("this needs the role {role}; {principal} has {}", principal.role);
            return Err(Refusal::new(Reason::Role, text));
        }
        self.check_agent(&principal, request.headers())?;
        if role != Role::Read {
            self.check_origin(&principal, request)?;
        }
        Ok(Some(principal))
    }

    fn identify(&self, request: &Request, is_proof_needed: bool) -> Result<Principal, Refusal> {
        let (auth, config) = (&self.server.auth, self.server.config.load());
        let peer = request.extensions().get::<Peer>();
        let shown = credentials::read(request.headers());
        let token = shown.and_then(|text| text.map(|t| auth.find(&t, self.server.clock.now_ms())).transpose());
        let reason = match token {
            Ok(Some(token)) => return Ok(Principal::of(token)),
            Ok(None) => Reason::Missing,
            Err(reason) => reason,
        };
        if reason == Reason::Missing {
            if peer.is_some_and(|peer| peer.is_own_process) {
                return Ok(Principal { who: Who::OwnAgent, role: Role::Ingest });
            }
            if let Some(certificate) = peer.and_then(|peer| peer.certificate.as_ref()) {
                let role = match config.tls.client_role {
                    ClientRole::Ingest => Role::Ingest,
                    ClientRole::Read => Role::Read,
                    ClientRole::Admin => Role::Admin,
                };
                return Ok(Principal { who: Who::Certificate(Arc::clone(certificate)), role });
            }
        }
        // Where nobody is asked, a proxy in front may have its own use of the header.
        let is_known = auth.state.get().is_some();
        if !is_proof_needed && is_known && !auth.is_required(config.auth.required) {
            return Ok(Principal::anyone());
        }
        Err(Refusal::unauthenticated(if is_known { reason } else { Reason::Starting }))
    }

    /// A token that belongs to one agent sends no numbered batch of another, and an agent that has a token of its own is
    /// spoken for by nobody else: a batch in its name would make its own ones look like repetitions.
    fn check_agent(&self, principal: &Principal, headers: &HeaderMap) -> Result<(), Refusal> {
        // What is no id is the receiver's to refuse.
        let sent = headers.get(agent_link::AGENT_ID).and_then(|id| id.to_str().ok()?.parse::<AgentId>().ok());
        let Some(sent) = sent else { return Ok(()) };
        let text = match principal.agent() {
            Some(own) if own == sent => return Ok(()),
            Some(own) => {
                format!("this token belongs to agent {own}, the batch comes from {sent}: enrol that agent, too")
            }
            None if matches!(principal.who, Who::OwnAgent) || !self.server.auth.tokens.has_agent(sent) => return Ok(()),
            None => format!("agent {sent} is enrolled, and its batches are taken with its own token only"),
        };
        Err(Refusal::new(Reason::Agent, text))
    }

    fn check_origin(&self, principal: &Principal, request: &Request) -> Result<(), Refusal> {
        if credentials::is_bearer(request.headers()) {
            return Ok(());
        }
        let config = self.server.config.load();
        let pages = origin::Pages {
            external_url: &config.api.external_url,
            cors_origin: &config.api.cors_origin,
            any_name: self.server.auth.is_insecure || !matches!(principal.who, Who::Anyone),
        };
        if pages.allow(request.headers(), request.uri()) {
            return Ok(());
        }
        let text = "a web page of another origin may not change anything here; api.external_url names our own";
        Err(Refusal::new(Reason::Origin, text))
    }
}

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match gate.admit(&request) {
        Ok(principal) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            next.run(request).await
        }
        Err(refusal) => {
            let now = gate.server.clock.now_ms();
            if let Some(count) = gate.server.auth.stats().count(refusal.reason, now) {
                let reason = refusal.reason.as_str();
                tracing::warn!("{count} requests were turned away, the last one because of: {reason}");
            }
            refusal.answer(gate.surface, request.uri().path())
        }
    }
}
