//! Who asks, once it is known.

use std::fmt;
use std::sync::Arc;

use sonde_model::AgentId;
use sonde_otlp::PeerCertificate;

use super::role::Role;
use super::token::Token;

/// The caller of a request, an extension of every request that the gate let through to a route that asks for a role.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// Who it is.
    pub(crate) who: Who,
    /// What it may do.
    pub(crate) role: Role,
}

/// How a caller is known.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Nobody is asked here.
    Anyone,
    /// The agent that runs in this process.
    OwnAgent,
    /// By a token.
    Token(Arc<Token>),
    /// By a certificate of the client CA.
    Certificate(Arc<PeerCertificate>),
}

impl Principal {
    /// The caller where nobody is asked.
    pub(crate) fn anyone() -> Self {
        Principal { who: Who::Anyone, role: Role::Admin }
    }

    /// The caller with a token.
    pub(super) fn of(token: Arc<Token>) -> Self {
        let role = token.record().role;
        Principal { who: Who::Token(token), role }
    }

    /// The only agent that this caller may send for; `None` is any.
    pub(crate) fn agent(&self) -> Option<AgentId> {
        match &self.who {
            Who::Token(token) => token.record().agent,
            Who::Anyone | Who::OwnAgent | Who::Certificate(_) => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Anyone => f.write_str("anyone"),
            Who::OwnAgent => f.write_str("the agent of this process"),
            Who::Token(token) => write!(f, "token {:?} ({})", token.record().name, token.id()),
            Who::Certificate(certificate) => write!(f, "certificate {:?}", certificate.name()),
        }
    }
}
