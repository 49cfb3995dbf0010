//! All tokens in memory: found by hash without a lock and without a disk, replaced as a whole when one comes or goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sonde_model::{AgentId, TimestampMs};

use super::secret::{MAX_SECRET_BYTES, PREFIX, TokenHash, TokenId};
use super::stats::Reason;
use super::token::Token;

/// How many tokens there may be: a fleet of agents with some room, at some 300 bytes each.
pub(crate) const MAX_TOKENS: usize = 20_000;

/// The tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens(ArcSwap<Known>);

type ById = HashMap<TokenId, Arc<Token>>;

#[derive(Debug, Default)]
struct Known {
    by_id: ById,
    /// The agents that have a token of their own.
    agents: HashSet<AgentId>,
}

impl Known {
    fn of(by_id: ById) -> Arc<Self> {
        let agents = by_id.values().filter_map(|token| token.record().agent).collect();
        Arc::new(Known { by_id, agents })
    }
}

impl Tokens {
    /// Takes the place of all tokens.
    pub(crate) fn replace(&self, tokens: impl IntoIterator<Item = Token>) {
        self.0.store(Known::of(tokens.into_iter().map(|token| (token.id(), Arc::new(token))).collect()));
    }

    /// Whether an agent has a token of its own.
    pub(crate) fn has_agent(&self, agent: AgentId) -> bool {
        self.0.load().agents.contains(&agent)
    }

    /// Adds or replaces tokens. Calls must not overlap.
    pub(crate) fn insert(&self, tokens: impl IntoIterator<Item = Token>) {
        let mut all = self.0.load().by_id.clone();
        all.extend(tokens.into_iter().map(|token| (token.id(), Arc::new(token))));
        self.0.store(Known::of(all));
    }

    /// Removes tokens. From the next request on they are unknown. Calls must not overlap.
    pub(crate) fn remove(&self, ids: &[TokenId]) {
        let mut all = self.0.load().by_id.clone();
        all.retain(|id, _| !ids.contains(id));
        self.0.store(Known::of(all));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.load().by_id.len()
    }

    /// The token of an id.
    pub(crate) fn get(&self, id: TokenId) -> Option<Arc<Token>> {
        self.0.load().by_id.get(&id).map(Arc::clone)
    }

    /// All tokens, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Token>> {
        let mut all: Vec<Arc<Token>> = self.0.load().by_id.values().map(Arc::clone).collect();
        all.sort_by_key(|token| (token.record().created_at, token.id()));
        all
    }

    /// The token of this text, if it may be used now.
    ///
    /// The probe of the map depends on a hash that nobody can choose, and the comparison takes the same time wherever the two
    /// differ: neither tells somebody who guesses how near a guess was.
    pub(crate) fn find(&self, text: &str, now: TimestampMs) -> Result<Arc<Token>, Reason> {
        if !text.starts_with(PREFIX) || text.len() > MAX_SECRET_BYTES {
            return Err(Reason::Unknown);
        }
        let hash = TokenHash::of(text);
        let found = self.get(hash.id()).filter(|token| token.record().hash.matches(&hash));
        let token = found.ok_or(Reason::Unknown)?;
        if token.is_expired(now) {
            return Err(Reason::Expired);
        }
        token.used(now);
        Ok(token)
    }
}
