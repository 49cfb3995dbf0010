//! The gRPC call by which an agent exchanges a token for enrolment for one of its own.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use prost::Message;
use sonde_model::AgentId;
use sonde_otlp::unary::{self, Code, Status};
use sonde_proto::agent_link::enrol::{EnrolRequest, EnrolResponse, MAX_REQUEST_BYTES, PATH};
use sonde_runtime::stage::with_causes;

use crate::auth::{ChangeError, EnrolError, Principal, TokenHash};
use crate::server::Server;

/// The service.
pub(crate) fn router(server: &Arc<Server>) -> Router {
    Router::new().route(PATH, post(enrol)).with_state(Arc::clone(server))
}

async fn enrol(
    State(server): State<Arc<Server>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Response {
    match exchange(&server, &principal, request).await {
        Ok(()) => unary::answer(&EnrolResponse {}.encode_to_vec()),
        Err(status) => unary::refusal(status.code(), status.message()),
    }
}

async fn exchange(server: &Server, principal: &Principal, request: Request) -> Result<(), Status> {
    let message = unary::read(request.into_body(), MAX_REQUEST_BYTES).await?;
    let request = EnrolRequest::decode(message).map_err(|e| Status::invalid_argument(e.to_string()))?;
    let agent = request.agent_id.try_into().map(AgentId);
    let hash = request.token_sha256.try_into().map(TokenHash);
    let (Ok(agent), Ok(hash)) = (agent, hash) else {
        return Err(Status::invalid_argument("expected an agent id of 16 bytes and a hash of 32"));
    };
    let enrolled = server.auth.enrol(agent, hash, &request.host, principal, server.clock.now_ms());
    enrolled.await.map_err(|error| Status::new(code(&error), with_causes(&error)))
}

fn code(error: &EnrolError) -> Code {
    match error {
        EnrolError::UsedUp | EnrolError::Taken => Code::PermissionDenied,
        EnrolError::Enrolled { .. } => Code::AlreadyExists,
        EnrolError::Change(ChangeError::Ended) => Code::Unauthenticated,
        EnrolError::Change(ChangeError::TooMany) => Code::ResourceExhausted,
        EnrolError::Change(_) => Code::Unavailable,
    }
}
