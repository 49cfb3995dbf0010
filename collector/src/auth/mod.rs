//! Who may do what: roles, tokens, the table of routes and the gate in front of them.
//!
//! Tokens lie in memory as hashes and are checked there; the state database keeps them over restarts. What is decided here is only
//! whether a request reaches its handler: no handler asks again, but for the handlers that give rights away.

mod admin_file;
mod changes;
mod credentials;
mod gate;
mod origin;
mod principal;
mod refusal;
mod role;
mod routes;
mod secret;
mod stats;
mod token;
mod tokens;

use std::sync::{Arc, OnceLock};

use sonde_model::TimestampMs;

pub use role::{Role, UnknownRole};
pub use secret::{Secret, TokenHash};
pub use token::TokenRecord;

pub(crate) use admin_file::{AdminFile, local_address};
pub(crate) use changes::{ChangeError, EnrolError, NewToken};
pub(crate) use gate::Gate;
pub(crate) use principal::{Principal, Who};
pub(crate) use routes::Surface;
#[cfg(test)]
pub(crate) use routes::{Access, TABLE};
pub(crate) use secret::TokenId;
pub(crate) use stats::Reason;
pub(crate) use token::Token;

use crate::config::Required;
use crate::flags::Flags;
use crate::state::State;
use stats::AuthStats;
use tokens::Tokens;

/// What the collector knows about callers.
#[derive(Debug)]
pub(crate) struct Auth {
    tokens: Tokens,
    /// The admin token of the data directory: it ends with the process and is in no database.
    own: (Secret, Arc<Token>),
    stats: AuthStats,
    /// Whether other machines can reach a listener, and it was not said that everybody may.
    is_exposed: bool,
    /// Whether it was said that everybody may.
    is_insecure: bool,
    /// There once the tokens are known.
    state: OnceLock<State>,
    /// Held while tokens are changed, so that changes do not overlap; in it the tokens that are void and still in the
    /// database, because it did not take that.
    changes: tokio::sync::Mutex<Vec<TokenHash>>,
}

impl Auth {
    /// Makes the token of the data directory. Others are known once the state database is open: see [`Auth::open`].
    pub(crate) fn new(flags: &Flags, now: TimestampMs) -> Result<Self, getrandom::Error> {
        let beyond_loopback = flags.addresses().iter().any(|(_, address)| !address.ip().is_loopback());
        Ok(Auth {
            tokens: Tokens::default(),
            own: own_token(now)?,
            stats: AuthStats::default(),
            is_exposed: beyond_loopback && !flags.insecure,
            is_insecure: flags.insecure,
            state: OnceLock::new(),
            changes: tokio::sync::Mutex::default(),
        })
    }

    /// Takes the tokens that the state database remembers: from now on it is known who may do what.
    pub(crate) fn open(&self, state: State, tokens: Vec<TokenRecord>) {
        self.tokens.replace(tokens.into_iter().map(Token::new));
        self.state.get_or_init(|| state);
    }

    /// Whether callers are asked who they are.
    pub(crate) fn is_required(&self, required: Required) -> bool {
        match required {
            Required::Always => true,
            Required::Auto => self.is_exposed || self.tokens.len() > 0,
            // A reload must not open what could not have been started like that.
            Required::Never => self.is_exposed,
        }
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &AuthStats {
        &self.stats
    }

    /// How many tokens there are, that of the data directory apart.
    pub(crate) fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// The admin token of whoever can read the data directory.
    pub(crate) fn admin_secret(&self) -> &Secret {
        &self.own.0
    }

    /// The token of a text.
    fn find(&self, text: &str, now: TimestampMs) -> Result<Arc<Token>, Reason> {
        self.tokens.find(text, now).or_else(|reason| {
            if self.own.1.record().hash.matches(&TokenHash::of(text)) {
                return Ok(Arc::clone(&self.own.1));
            }
            Err(if self.state.get().is_none() { Reason::Starting } else { reason })
        })
    }
}

fn own_token(now: TimestampMs) -> Result<(Secret, Arc<Token>), getrandom::Error> {
    let secret = Secret::new(Role::Admin)?;
    let record = TokenRecord {
        hash: secret.hash(),
        name: "the data directory".to_owned(),
        role: Role::Admin,
        agent: None,
        created_at: now,
        expires_at: None,
        uses_left: None,
        last_used_at: None,
    };
    Ok((secret, Arc::new(Token::new(record))))
}

#[cfg(test)]
mod tests;
