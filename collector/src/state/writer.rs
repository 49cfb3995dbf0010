//! The thread that owns the connection, and the handle that others have of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::change::{Change, Memory};
use super::database::{self, Location, Options};
use super::error::{CommitError, StateError};
use super::history::{self, HistoryLine, HistoryPage};
use super::stats::Stats;
use super::{alerts, outbox, received, silences, tokens};

/// Bundles that may wait. Rule groups and notifications wait for their own bundle, so that there are few.
const MAX_WAITING: usize = 1_024;
/// Bundles that share a transaction at most.
const MAX_TOGETHER: usize = 128;

/// What is called once a bundle is committed or lost; on the thread of the database, so it must not block.
pub type Done = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// The state database. Clones share it.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    commands: SyncSender<Command>,
    stats: Arc<Stats>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Command {
    Commit(Bundle),
    History(HistoryPage, SyncSender<rusqlite::Result<Vec<HistoryLine>>>),
    Close,
}

struct Bundle {
    changes: Vec<Change>,
    done: Done,
}

impl State {
    /// Opens or makes the database and says what it remembers.
    pub fn open(location: &Location, options: Options) -> Result<(Self, Memory), StateError> {
        let connection = database::open(location, &options)?;
        let read = || {
            Ok(Memory {
                groups: alerts::read_groups(&connection)?,
                outbox: outbox::read(&connection)?,
                silences: silences::read(&connection)?,
                received: received::read(&connection)?,
                tokens: tokens::read(&connection)?,
            })
        };
        let memory = read().map_err(|e| database::classify(location.path(), e))?;
        let (commands, receiver) = sync_channel(MAX_WAITING);
        let stats = Arc::new(Stats::default());
        let writer = Writer { connection, options, stats: Arc::clone(&stats), failing: false };
        let thread = std::thread::Builder::new().name("state".to_owned());
        let thread = thread.spawn(move || writer.run(&receiver)).map_err(StateError::Thread)?;
        let inner = Inner { commands, stats, thread: Mutex::new(Some(thread)) };
        Ok((State { inner: Arc::new(inner) }, memory))
    }

    /// Hands over changes that belong together: all of them are committed, or none. Bundles are committed in the order in
    /// which they are handed over. Does not block.
    ///
    /// An empty bundle is done when those before it are.
    pub fn commit(&self, changes: Vec<Change>, done: Done) {
        match self.inner.commands.try_send(Command::Commit(Bundle { changes, done })) {
            Ok(()) => {}
            Err(TrySendError::Full(Command::Commit(bundle))) => {
                self.inner.stats.turned_away();
                (bundle.done)(Err(CommitError::Busy));
            }
            Err(TrySendError::Disconnected(Command::Commit(bundle))) => (bundle.done)(Err(CommitError::Closed)),
            Err(_) => {}
        }
    }

    /// Lines of the history of alerts, newest first. Blocks.
    pub fn history(&self, page: HistoryPage) -> Result<Vec<HistoryLine>, CommitError> {
        let (sender, answer) = sync_channel(1);
        self.inner.commands.send(Command::History(page, sender)).map_err(|_| CommitError::Closed)?;
        let lines = answer.recv().map_err(|_| CommitError::Closed)?;
        lines.map_err(|e| CommitError::Write(Arc::new(e)))
    }

    /// Commits what waits and closes the file. Blocks. What comes later is refused.
    pub fn close(&self) {
        let Some(thread) = self.inner.thread.lock().take() else { return };
        // A thread that is gone already needs no command.
        drop(self.inner.commands.send(Command::Close));
        if thread.join().is_err() {
            tracing::error!("the thread of the state database ended early");
        }
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("stats", &self.inner.stats).finish_non_exhaustive()
    }
}

struct Writer {
    connection: Connection,
    options: Options,
    stats: Arc<Stats>,
    failing: bool,
}

impl Writer {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut next = None;
        while let Some(command) = next.take().or_else(|| commands.recv().ok()) {
            match command {
                Command::Commit(bundle) => {
                    let mut bundles = vec![bundle];
                    while bundles.len() < MAX_TOGETHER && next.is_none() {
                        match commands.try_recv() {
                            Ok(Command::Commit(bundle)) => bundles.push(bundle),
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.commit(bundles);
                }
                Command::History(page, answer) => drop(answer.send(history::read(&self.connection, &page))),
                Command::Close => break,
            }
        }
        if let Err((_, e)) = self.connection.close() {
            tracing::warn!("the state database was not closed well: {e}");
        }
    }

    fn commit(&mut self, bundles: Vec<Bundle>) {
        let result = if bundles.iter().all(|bundle| bundle.changes.is_empty()) {
            Ok(())
        } else {
            let result = self.write(&bundles).map_err(|e| CommitError::Write(Arc::new(e)));
            self.stats.committed(result.is_ok());
            self.tell(&result);
            result
        };
        for bundle in bundles {
            (bundle.done)(result.clone());
        }
    }

    fn write(&mut self, bundles: &[Bundle]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut newest = None;
        for change in bundles.iter().flat_map(|bundle| &bundle.changes) {
            match change {
                Change::Group(change) => alerts::write_group(&transaction, change)?,
                Change::GroupGone { file, name } => alerts::forget_group(&transaction, file, name)?,
                Change::Transition(line) => {
                    history::write(&transaction, line)?;
                    newest = newest.max(Some(line.at));
                }
                Change::OutboxGroup(change) => outbox::write(&transaction, change)?,
                Change::Outbox(all) => outbox::replace(&transaction, all)?,
                Change::Silence(silence) => silences::write(&transaction, silence)?,
                Change::SilenceGone(id) => silences::forget(&transaction, *id)?,
                Change::Received(alert) => received::write(&transaction, alert)?,
                Change::ReceivedGone(labels) => received::forget(&transaction, labels)?,
                Change::Token(token) => tokens::write(&transaction, token)?,
                Change::TokenUsed { hash, at } => tokens::write_use(&transaction, hash, *at)?,
                Change::TokenGone(hash) => tokens::forget(&transaction, hash)?,
            }
        }
        if let Some(newest) = newest {
            let Options { history, history_age_ms, .. } = self.options;
            history::trim(&transaction, history, newest.saturating_sub(history_age_ms))?;
        }
        transaction.commit()
    }

    /// One line when it begins to fail and one when it works again: it is tried with every evaluation.
    fn tell(&mut self, result: &Result<(), CommitError>) {
        match result {
            Err(e) if !self.failing => {
                self.failing = true;
                let reason = sonde_runtime::stage::with_causes(e);
                tracing::error!("{reason}; rules go on in memory, and a restart would forget what they do from now on");
            }
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("the state database can be written again");
            }
            _ => {}
        }
    }
}
