//! The task of one target: read a round, send it, make the position durable, again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sonde_disk::Fs;
use sonde_model::TimestampMs;
use sonde_proto::remote_write::Version;
use sonde_runtime::Clock;
use sonde_tsdb::{CommittedReader, Db, Place, Position};
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Sender};
use super::body;
use super::position::PositionFile;
use super::round::{Round, Rounds};
use super::send::{Shards, Stopped};
use super::setup::Target;
use super::stats::{TargetStats, add};

/// How often the log is looked at while there is nothing in it.
const POLL: Duration = Duration::from_millis(100);
/// How often the position becomes durable at most: what was sent since is sent again after a crash.
const POSITION_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a step that the disk or the configuration did not let through.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Metrics whose metadata is told.
const MAX_METADATA: usize = 100_000;
/// Metadata comes again: it is not worth more attempts.
const METADATA_ATTEMPTS: u32 = 3;

/// What a target needs.
pub(super) struct Start {
    pub(super) target: Arc<Target>,
    pub(super) stats: Arc<TargetStats>,
    pub(super) db: Arc<Db>,
    pub(super) fs: Arc<dyn Fs>,
    /// Where the positions lie.
    pub(super) dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) token: CancellationToken,
    /// Reads from where a target begins that has no position.
    pub(super) fresh: CommittedReader,
}

/// Why a step was not made. It is made again.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the position of a receiver of remote write cannot be read or written")]
    Position(#[from] io::Error),
    #[error("the log cannot be read or cut")]
    Log(#[from] sonde_tsdb::Error),
    #[error("the client: {0}")]
    Client(String),
    #[error("a step failed unexpectedly: {0}")]
    Panicked(String),
}

/// Sends to one target until the token is cancelled.
pub(super) async fn run(start: Start) {
    let name = start.target.name.clone();
    let Start { target, stats, db, fs, dir, clock, token, fresh } = start;
    stats.expect_anything();
    let shards = loop {
        match Sender::new(Arc::clone(&target), Arc::clone(&fs), clock.now_ms()) {
            Ok(sender) => {
                let (target, stats, db) = (Arc::clone(&target), Arc::clone(&stats), Arc::clone(&db));
                break Arc::new(Shards { target, sender, stats, db, clock: clock.clone(), token: token.clone() });
            }
            Err(reason) => {
                let error = StepError::Client(reason);
                stats.failed(clock.now_ms(), &error.to_string());
                tracing::error!(target_name = name, "nothing is sent on, it is tried again: {error}");
            }
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = clock.sleep(FAILURE_PAUSE) => {}
        }
    };
    let file = PositionFile::new(&dir, &name);
    let mut job = Job {
        shards,
        file,
        fs,
        reader: None,
        fresh: Some(fresh),
        begin: None,
        durable: None,
        sent: None,
        written_at: None,
        metadata_at: None,
    };
    let mut failing = false;
    while !token.is_cancelled() {
        match job.step().await {
            Ok(()) => failing = false,
            Err(error) => {
                let why = sonde_runtime::stage::with_causes(&error);
                job.shards.stats.failed(clock.now_ms(), &why);
                if !failing {
                    tracing::error!(target_name = name, "nothing is sent on, it is tried again: {why}");
                }
                failing = true;
                tokio::select! {
                    () = token.cancelled() => {}
                    () = clock.sleep(FAILURE_PAUSE) => {}
                }
            }
        }
    }
    if let Err(error) = job.save(true).await {
        let why = sonde_runtime::stage::with_causes(&error);
        tracing::error!(target_name = name, "the position was not written; what was sent last is sent again: {why}");
    }
}

struct Job {
    shards: Arc<Shards>,
    file: PositionFile,
    fs: Arc<dyn Fs>,
    reader: Option<Rounds>,
    /// Reads from where a target begins that has no position, until it is needed.
    fresh: Option<CommittedReader>,
    /// Where a target begins that has no position, once that is known.
    begin: Option<Position>,
    /// What the file says.
    durable: Option<Position>,
    /// What the receiver has, and what the log must keep for what it does not have.
    sent: Option<(Position, Place)>,
    written_at: Option<Duration>,
    metadata_at: Option<Duration>,
}

impl Job {
    async fn step(&mut self) -> Result<(), StepError> {
        let round = self.round().await?;
        self.shards.stats.caught_up.store(round.caught_up, Relaxed);
        self.shards.stats.round_bytes.store(round.bytes() as u64, Relaxed);
        let next = round.next;
        match self.send(round).await {
            Ok(Ok(())) => {}
            Ok(Err(Stopped)) => return Ok(()),
            Err(error) => {
                // What was read was not sent: it is read again.
                self.reader = None;
                return Err(error);
            }
        }
        self.shards.stats.round_bytes.store(0, Relaxed);
        if next.is_some() {
            self.sent = next;
        }
        self.save(false).await?;
        self.tell_metadata().await;
        Ok(())
    }

    /// The next round: full, or as much as there is when the first of it has waited for long enough.
    async fn round(&mut self) -> Result<Round, StepError> {
        let clock = self.shards.clock.clone();
        let mut round = Round::new(self.shards.target.shards);
        let mut waits_since = None;
        loop {
            round = self.fill(round).await?;
            let now = clock.monotonic();
            if round.is_full(&self.shards.target) || self.shards.token.is_cancelled() {
                return Ok(round);
            }
            // Records without anything to send move the position, but not at each of them.
            let began = *waits_since.get_or_insert(now);
            let waited = now.saturating_sub(began);
            let deadline = self.shards.target.deadline;
            if waited >= deadline && (round.entries() > 0 || round.next.is_some() || self.is_due()) {
                return Ok(round);
            }
            if self.is_due() && round.entries() == 0 {
                return Ok(round);
            }
            if round.entries() == 0 {
                waits_since = None;
                if round.next.is_some() {
                    return Ok(round);
                }
            }
            tokio::select! {
                () = clock.sleep(POLL.min(deadline)) => {}
                () = self.shards.token.cancelled() => {}
            }
        }
    }

    /// Reads on a thread that may block.
    async fn fill(&mut self, mut round: Round) -> Result<Round, StepError> {
        let shards = Arc::clone(&self.shards);
        let (file, fs, mut durable) = (self.file.clone(), Arc::clone(&self.fs), self.durable);
        let (mut reader, mut fresh, mut begin, sent) = (self.reader.take(), self.fresh.take(), self.begin, self.sent);
        let work = move || {
            let fill = || {
                let mut rounds = match reader.take() {
                    Some(reader) => reader,
                    None => {
                        durable = file.read(fs.as_ref())?;
                        // After a failure the receiver may have more than the file says.
                        let from = sent.map(|(position, _)| position).or(durable).or(begin);
                        let reader = match (from, fresh.take()) {
                            (None, Some(fresh)) => fresh,
                            (from, _) => shards.db.committed(from),
                        };
                        Rounds::new(reader, Arc::clone(&shards.target), Arc::clone(&shards.stats))
                    }
                };
                let filled = rounds.fill(&mut round, oldest(&shards));
                begin = begin.or(rounds.begin());
                // A reader that has handed nothing out yet goes on after a failure; it alone knows where it began.
                if filled.is_ok() || begin.is_none() {
                    reader = Some(rounds);
                }
                filled?;
                // A target that is new begins here, also after a crash.
                if let (None, Some(position)) = (durable, begin) {
                    file.write(fs.as_ref(), position).inspect_err(|_| reader = None)?;
                    durable = Some(position);
                }
                Ok::<_, StepError>((round, durable))
            };
            let filled = fill();
            (reader, fresh, begin, filled)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|e| StepError::Panicked(e.to_string()))?;
        let (reader, fresh, begin, filled) = done;
        (self.reader, self.fresh, self.begin) = (reader, fresh, begin);
        let (round, durable) = filled?;
        if let Some(position) = durable.filter(|_| self.durable.is_none()) {
            self.shards.stats.position.store(position.0, Relaxed);
        }
        self.durable = durable;
        Ok(round)
    }

    /// Sends all shards at once, and what is late behind that.
    async fn send(&self, round: Round) -> Result<Result<(), Stopped>, StepError> {
        for queues in [round.shards, round.late] {
            let mut sending = tokio::task::JoinSet::new();
            for entries in queues.into_iter().filter(|entries| !entries.is_empty()) {
                let shards = Arc::clone(&self.shards);
                sending.spawn(async move { shards.send(entries).await });
            }
            let mut stopped = false;
            while let Some(sent) = sending.join_next().await {
                stopped |= sent.map_err(|e| StepError::Panicked(e.to_string()))? == Err(Stopped);
            }
            if stopped {
                return Ok(Err(Stopped));
            }
        }
        Ok(Ok(()))
    }

    /// Makes the position durable and lets the log go before it, when it is time.
    async fn save(&mut self, now: bool) -> Result<(), StepError> {
        let Some((position, place)) = self.sent else { return Ok(()) };
        let clock = self.shards.clock.monotonic();
        let is_time = self.written_at.is_none_or(|at| clock.saturating_sub(at) >= POSITION_INTERVAL);
        if self.durable == Some(position) || !(now || is_time) {
            return Ok(());
        }
        let (file, fs) = (self.file.clone(), Arc::clone(&self.fs));
        let (db, name) = (Arc::clone(&self.shards.db), self.shards.target.name.clone());
        let work = move || {
            file.write(fs.as_ref(), position)?;
            db.hold_wal(&name, place)?;
            Ok::<_, StepError>(())
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| StepError::Panicked(e.to_string()))??;
        (self.durable, self.written_at) = (Some(position), Some(clock));
        self.shards.stats.position.store(position.0, Relaxed);
        Ok(())
    }

    /// Whether something else than samples is to be done.
    fn is_due(&self) -> bool {
        let pending = self.sent.is_some_and(|(position, _)| self.durable != Some(position));
        let at = self.written_at.unwrap_or_default();
        pending && self.shards.clock.monotonic().saturating_sub(at) >= POSITION_INTERVAL || self.metadata_is_due()
    }

    fn metadata_is_due(&self) -> bool {
        let target = &self.shards.target;
        let now = self.shards.clock.monotonic();
        let is_time = self.metadata_at.is_none_or(|at| now.saturating_sub(at) >= target.metadata_interval);
        // In 2.0 each series says it.
        target.metadata && self.shards.version() == Version::V1 && is_time
    }

    /// Tells of all metrics, now and then.
    async fn tell_metadata(&mut self) {
        if !self.metadata_is_due() {
            return;
        }
        self.metadata_at = Some(self.shards.clock.monotonic());
        let metrics = self.shards.db.metadata(None, MAX_METADATA);
        let stats = &self.shards.stats;
        for part in metrics.chunks(self.shards.target.max_metadata) {
            let body = body::metadata_body(part);
            match self.shards.post(Version::V1, &body, Some(METADATA_ATTEMPTS)).await {
                Ok(Attempt::Taken) => add(&stats.metadata, part.len() as u64),
                Ok(_) => add(&stats.metadata_failed, part.len() as u64),
                Err(Stopped) => return,
            }
        }
    }
}

/// The oldest time that is still sent.
fn oldest(shards: &Shards) -> TimestampMs {
    let age = shards.target.max_age.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    age.map_or(TimestampMs::MIN, |age| shards.clock.now_ms().saturating_sub(age))
}
