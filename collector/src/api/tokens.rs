//! `/api/v1/tokens`: who has a token, a new one, one fewer.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use sonde_model::duration::parse_duration_ms;
use sonde_runtime::stage::with_causes;

use super::answer::{Answer, ApiError, ErrorKind};
use super::form::Form;
use super::json::JsonWriter;
use super::rfc3339;
use crate::auth::{ChangeError, NewToken, Principal, TokenId, TokenRecord};
use crate::server::Server;

/// `GET /api/v1/tokens`
pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer {
    let now = server.clock.now_ms();
    Answer::new(|json| {
        json.raw("{").key("tokens").raw("[");
        for (i, token) in server.auth.list().iter().enumerate() {
            json.raw(if i > 0 { ",{" } else { "{" });
            write(json, token);
            let is_expired = token.expires_at.is_some_and(|end| now >= end);
            json.raw(",").key("expired").raw(if is_expired { "true" } else { "false" }).raw("}");
        }
        json.raw("]}");
    })
}

/// `POST /api/v1/tokens`: `role`, `name`, and if wanted `expires_in` and `uses`. The answer has the token, once.
pub(super) async fn create(
    State(server): State<Arc<Server>>,
    Extension(principal): Extension<Principal>,
    form: Form,
) -> Result<Answer, ApiError> {
    let role = form.get("role").unwrap_or_default().parse().map_err(|e| ApiError::parameter("role", e))?;
    let life = form.get("expires_in").map(parse_duration_ms).transpose();
    let uses = form.get("uses").map(str::parse).transpose();
    let new = NewToken {
        name: form.get("name").unwrap_or_default().to_owned(),
        role,
        life_ms: life.map_err(|e| ApiError::parameter("expires_in", e))?,
        uses: uses.map_err(|e| ApiError::parameter("uses", e))?,
    };
    let (secret, token) = server.auth.create(new, &principal, server.clock.now_ms()).await?;
    Ok(Answer::new(|json| {
        json.raw("{").key("token").string(secret.as_str()).raw(",");
        write(json, &token);
        json.raw("}");
    }))
}

/// `DELETE /api/v1/tokens/{id}`
pub(super) async fn revoke(
    State(server): State<Arc<Server>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: TokenId = id.parse().map_err(|_| ApiError::parameter("id", "expected 16 hexadecimal digits"))?;
    server.auth.revoke(id, &principal, server.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn write(json: &mut JsonWriter, token: &TokenRecord) {
    json.key("id").string(&token.hash.id().to_string()).raw(",").key("name").string(&token.name).raw(",");
    json.key("role").string(token.role.as_str()).raw(",").key("createdAt").string(&rfc3339(token.created_at));
    if let Some(agent) = token.agent {
        json.raw(",").key("agent").string(&agent.to_string());
    }
    for (key, at) in [("expiresAt", token.expires_at), ("lastUsedAt", token.last_used_at)] {
        if let Some(at) = at {
            json.raw(",").key(key).string(&rfc3339(at));
        }
    }
    if let Some(uses) = token.uses_left {
        json.raw(",").key("usesLeft").integer(i64::from(uses));
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let kind = match &error {
            ChangeError::Starting => return ApiError::starting(),
            ChangeError::Ended => ErrorKind::Unauthorized,
            ChangeError::Invalid(_) | ChangeError::TooMany => ErrorKind::BadData,
            ChangeError::NotFound(_) => ErrorKind::NotFound,
            ChangeError::Random(_) | ChangeError::Commit(_) => ErrorKind::Internal,
        };
        ApiError::new(kind, with_causes(&error))
    }
}
