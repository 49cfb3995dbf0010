//! Tokens are made, revoked and exchanged. A change is in the state database before anybody is told of it, but for a revocation,
//! which takes effect in memory first.

use sonde_model::{AgentId, TimestampMs};
use tokio::sync::oneshot;

use super::Auth;
use super::principal::{Principal, Who};
use super::role::Role;
use super::secret::{Secret, TokenHash, TokenId};
use super::token::{Token, TokenRecord};
use super::tokens::MAX_TOKENS;
use crate::state::{Change, CommitError, State};

/// The longest name of a token, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// How long a token for enrolment lives unless it is said otherwise.
const ENROL_LIFE_MS: i64 = 3_600_000;
/// How many agents one token may enrol at most.
const MAX_USES: u32 = MAX_TOKENS as u32;

/// A token that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// How long it lives, in milliseconds.
    pub(crate) life_ms: Option<i64>,
    /// How many agents it may enrol; for the role `enrol` only.
    pub(crate) uses: Option<u32>,
}

/// Why tokens were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("the state database is being opened")]
    Starting,
    #[error("{0}")]
    Invalid(String),
    #[error("there is no token {0}")]
    NotFound(TokenId),
    #[error("the token of this request was revoked or has ended")]
    Ended,
    #[error("there are {MAX_TOKENS} tokens already: revoke some")]
    TooMany,
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    #[error("the change is not stored")]
    Commit(#[from] CommitError),
}

/// Why an agent got no token of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    #[error("this token has enrolled as many agents as it may: make another with `sonde token create --role enrol`")]
    UsedUp,
    #[error("agent {agent} has a token already, {token}: revoke that one first, if it is lost")]
    Enrolled { agent: AgentId, token: TokenId },
    #[error("the agent's token was made for something else")]
    Taken,
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Auth {
    /// Makes a token. Its text is in the answer and nowhere else.
    pub(crate) async fn create(
        &self,
        new: NewToken,
        by: &Principal,
        now: TimestampMs,
    ) -> Result<(Secret, TokenRecord), ChangeError> {
        let state = self.state.get().ok_or(ChangeError::Starting)?;
        let secret = Secret::new(new.role)?;
        let record = new.prove(secret.hash(), now)?;
        let _held = self.changes.lock().await;
        self.check_still_holds(by, now)?;
        // Tokens for enrolment that are over serve nobody: they make room.
        let over = self.tokens.all().into_iter().filter(|t| t.record().role == Role::Enrol && t.is_expired(now));
        let over: Vec<TokenHash> = over.map(|token| token.record().hash).collect();
        if self.tokens.len() - over.len() >= MAX_TOKENS {
            return Err(ChangeError::TooMany);
        }
        let mut changes: Vec<Change> = over.iter().map(|hash| Change::TokenGone(*hash)).collect();
        changes.push(Change::Token(record.clone()));
        commit(state, changes).await?;
        self.tokens.remove(&over.iter().map(TokenHash::id).collect::<Vec<_>>());
        self.tokens.insert([Token::new(record.clone())]);
        tracing::info!("{by} made token {:?} ({}) with role {}", record.name, record.hash.id(), record.role);
        Ok((secret, record))
    }

    /// Makes a token void, at once. If the database does not take it the next start would know the token again: until it
    /// does, the token can be revoked again.
    pub(crate) async fn revoke(&self, id: TokenId, by: &Principal, now: TimestampMs) -> Result<(), ChangeError> {
        let state = self.state.get().ok_or(ChangeError::Starting)?;
        let mut unstored = self.changes.lock().await;
        self.check_still_holds(by, now)?;
        if let Some(token) = self.tokens.get(id) {
            unstored.push(token.record().hash);
            self.tokens.remove(&[id]);
            tracing::info!("{by} revoked token {:?} ({id})", token.record().name);
        }
        let hash = *unstored.iter().find(|hash| hash.id() == id).ok_or(ChangeError::NotFound(id))?;
        commit(state, vec![Change::TokenGone(hash)]).await?;
        unstored.retain(|other| *other != hash);
        Ok(())
    }

    /// All tokens, the oldest first.
    pub(crate) fn list(&self) -> Vec<TokenRecord> {
        self.tokens.all().iter().map(|token| token.to_record()).collect()
    }

    /// Makes `hash` the hash of the token of `agent`, on the word of a token for enrolment.
    ///
    /// The agent makes its token and keeps it before it asks, and only the hash comes here. So it can ask again after a crash on
    /// either side: the same hash for the same agent is granted already, whatever has become of the token for enrolment since.
    pub(crate) async fn enrol(
        &self,
        agent: AgentId,
        hash: TokenHash,
        host: &str,
        by: &Principal,
        now: TimestampMs,
    ) -> Result<(), EnrolError> {
        let state = self.state.get().ok_or(ChangeError::Starting)?;
        let _held = self.changes.lock().await;
        self.check_still_holds(by, now)?;
        if let Some(token) = self.tokens.get(hash.id()) {
            let same = token.record().hash == hash && token.record().agent == Some(agent);
            return if same { Ok(()) } else { Err(EnrolError::Taken) };
        }
        if let Some(other) = self.tokens.all().iter().find(|token| token.record().agent == Some(agent)) {
            return Err(EnrolError::Enrolled { agent, token: other.id() });
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(ChangeError::TooMany.into());
        }
        let used = self.spend(by)?;
        let record = TokenRecord {
            hash,
            name: agent_name(host, agent),
            role: Role::Ingest,
            agent: Some(agent),
            created_at: now,
            expires_at: None,
            uses_left: None,
            last_used_at: None,
        };
        let records: Vec<TokenRecord> = used.into_iter().chain([record]).collect();
        commit(state, records.iter().cloned().map(Change::Token).collect()).await?;
        self.tokens.insert(records.into_iter().map(Token::new));
        tracing::info!("{by} enrolled agent {agent} ({:?}) with token {}", host, hash.id());
        Ok(())
    }

    /// Whether a caller may still do what the gate let it through for: between the two it sent the body of its request, and
    /// took its time if it liked. Asked while changes are held.
    fn check_still_holds(&self, by: &Principal, now: TimestampMs) -> Result<(), ChangeError> {
        let Who::Token(token) = &by.who else { return Ok(()) };
        let holds = token.id() == self.own.1.id() || self.tokens.get(token.id()).is_some_and(|t| !t.is_expired(now));
        if holds { Ok(()) } else { Err(ChangeError::Ended) }
    }

    /// The token for enrolment after one more use; nothing for callers that may enrol as many as they like.
    fn spend(&self, by: &Principal) -> Result<Option<TokenRecord>, EnrolError> {
        let Who::Token(token) = &by.who else { return Ok(None) };
        // The token of the data directory is not in the table. Of others what counts is what is true now.
        let Some(token) = self.tokens.get(token.id()) else { return Ok(None) };
        let record = token.to_record();
        let Some(left) = record.uses_left else { return Ok(None) };
        let uses_left = Some(left.checked_sub(1).ok_or(EnrolError::UsedUp)?);
        Ok(Some(TokenRecord { uses_left, ..record }))
    }

    /// Writes when tokens were last used, where the database does not know it yet. A failure is the database's to tell.
    pub(crate) fn store_last_uses(&self) {
        let Some(state) = self.state.get() else { return };
        let used = self.tokens.all().into_iter().filter_map(|token| {
            let at = token.use_to_store()?;
            Some(Change::TokenUsed { hash: token.record().hash, at })
        });
        let used: Vec<Change> = used.collect();
        if !used.is_empty() {
            state.commit(used, Box::new(drop));
        }
    }
}

impl NewToken {
    /// The record of the token, if it can be made.
    fn prove(self, hash: TokenHash, now: TimestampMs) -> Result<TokenRecord, ChangeError> {
        let invalid = |text: String| Err(ChangeError::Invalid(text));
        let name = self.name.trim();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return invalid(format!("name: expected 1 to {MAX_NAME_BYTES} bytes without control characters"));
        }
        let uses_left = match (self.role, self.uses) {
            (Role::Enrol, uses) => Some(uses.unwrap_or(1)),
            (_, None) => None,
            (role, Some(_)) => return invalid(format!("uses: only tokens of the role enrol are counted, not {role}")),
        };
        if uses_left.is_some_and(|uses| uses == 0 || uses > MAX_USES) {
            return invalid(format!("uses: expected 1 to {MAX_USES}"));
        }
        let life = self.life_ms.or((self.role == Role::Enrol).then_some(ENROL_LIFE_MS));
        if life.is_some_and(|ms| ms <= 0) {
            return invalid("expires_in: expected a time greater than 0".to_owned());
        }
        Ok(TokenRecord {
            hash,
            name: name.to_owned(),
            role: self.role,
            agent: None,
            created_at: now,
            expires_at: life.map(|ms| now.saturating_add(ms)),
            uses_left,
            last_used_at: None,
        })
    }
}

/// What the token of an agent is called.
fn agent_name(host: &str, agent: AgentId) -> String {
    let host: String = host.chars().filter(|c| !c.is_control()).take(MAX_NAME_BYTES / 4).collect();
    if host.is_empty() { format!("agent {agent}") } else { format!("agent on {host}") }
}

async fn commit(state: &State, changes: Vec<Change>) -> Result<(), ChangeError> {
    let (sender, done) = oneshot::channel();
    state.commit(changes, Box::new(move |result| drop(sender.send(result))));
    done.await.unwrap_or(Err(CommitError::Closed)).map_err(ChangeError::Commit)
}
