//! The life of the store and of the state database: opened beside the servers, which say "not ready" meanwhile; maintained; closed last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sonde_alerting::RuleFile;
use sonde_disk::{Fs, FsLock};
use sonde_runtime::Stage;
use sonde_tsdb::{Db, OpenReport};
use tokio_util::sync::CancellationToken;

use crate::auth::{AdminFile, local_address};
use crate::derive;
use crate::export;
use crate::server::{Core, Server};
use crate::settings::{rule_settings, scheme, state_options, store_options};
use crate::state::{self, Location, State, StateError};
use crate::telemetry;

/// How often the store is asked whether there is something to do.
pub(super) const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// Locked while the state database is open.
const STATE_LOCK: &str = "state.lock";

/// How often in that time it is asked whether its head is crowded with series that have ended: at a change of all pods
/// of a large cluster every second counts.
const LOOKS: u32 = 5;

/// What is needed to start.
pub(super) struct Start {
    pub(super) server: Arc<Server>,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) state: Location,
    pub(super) rule_files: Vec<RuleFile>,
    pub(super) storage: Stage,
    pub(super) pipelines: Stage,
}

/// Opens the store, and with it everything that needs one.
pub(super) fn spawn(start: Start) {
    let storage = start.storage.clone();
    storage.spawn("store", async move {
        // The tokens come first, because nobody is let in before they are known, and the log of the store may take a while.
        let (server, fs) = (Arc::clone(&start.server), Arc::clone(&start.fs));
        let opening = tokio::task::spawn_blocking(move || open_state(&server, fs, &start.state));
        let (_only, state, mut memory) = opening.await.map_err(|e| Error::Panicked(e.to_string()))??;
        start.server.auth.open(state.clone(), std::mem::take(&mut memory.tokens));
        let (server, fs) = (Arc::clone(&start.server), Arc::clone(&start.fs));
        let opening = tokio::task::spawn_blocking(move || open(&server, fs));
        let (db, report) = opening.await.map_err(|e| Error::Panicked(e.to_string()))??;
        let token = start.storage.token();
        // Before the first sample is taken.
        let fresh = export::hold(&start.server, &db);
        let core = start.server.set_store(db, Arc::clone(&start.fs), state, memory);
        telemetry::register_core(&start.server);
        telemetry::register_opening(&start.server.registry, &report);
        spawn_pipelines(&start.server, core, start.rule_files, &start.pipelines);
        let deriving = derive::run(Arc::clone(&start.server), Arc::clone(&start.fs), start.pipelines.token());
        start.pipelines.spawn("derive", deriving);
        let exporting = export::run(Arc::clone(&start.server), Arc::clone(&start.fs), fresh, start.pipelines.token());
        start.pipelines.spawn("remote write", exporting);
        maintain(&start.server, core, &token).await;
        start.server.auth.store_last_uses();
        let (db, state) = (Arc::clone(&core.db), core.state.clone());
        let closing = tokio::task::spawn_blocking(move || {
            db.close();
            state.close();
        });
        closing.await.map_err(|e| Error::Panicked(e.to_string()))
    });
}

/// Why the store is not there.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the metrics store")]
    Store(#[source] sonde_tsdb::Error),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{}: another collector uses this data directory, or it cannot be written", path.display())]
    DataDir { path: PathBuf, source: io::Error },
    #[error("the metrics store failed unexpectedly: {0}")]
    Panicked(String),
}

fn open(server: &Server, fs: Arc<dyn Fs>) -> Result<(Arc<Db>, OpenReport), Error> {
    let dir = server.flags.data_dir.join("tsdb");
    let started = server.clock.monotonic();
    let options = store_options(&server.config.load());
    let (db, report) = Db::open(fs, &dir, options, server.clock.now_ms()).map_err(Error::Store)?;
    let took = server.clock.monotonic().saturating_sub(started);
    let (series, samples, blocks) = (report.series, report.samples, report.blocks);
    tracing::info!(series, samples, blocks, ?took, "the metrics store in {} is open", dir.display());
    tell_damage(&report);
    Ok((db, report))
}

/// What keeps a second process out, and what goes with this one.
struct Only {
    _lock: FsLock,
    _admin: AdminFile,
}

fn open_state(server: &Server, fs: Arc<dyn Fs>, location: &Location) -> Result<(Only, State, state::Memory), Error> {
    let data_dir = &server.flags.data_dir;
    let failed = |source| Error::DataDir { path: data_dir.clone(), source };
    fs.create_dir_all(data_dir).map_err(failed)?;
    let lock = fs.lock(&data_dir.join(STATE_LOCK)).map_err(failed)?;
    let (state, memory) = State::open(location, state_options(&server.config.load()))?;
    let address = format!("{}://{}", scheme(&server.config.load()), local_address(server.flags.listen));
    let admin = AdminFile::write(fs, data_dir, server.auth.admin_secret(), &address).map_err(failed)?;
    let alerts: usize = memory.groups.iter().flat_map(|group| &group.rules).map(|rule| rule.alerts.len()).sum();
    let (groups, outbox) = (memory.groups.len(), memory.outbox.len());
    let (silences, tokens) = (memory.silences.len(), memory.tokens.len());
    tracing::info!(groups, alerts, outbox, silences, tokens, "the state database is open");
    Ok((Only { _lock: lock, _admin: admin }, state, memory))
}

/// Says what was lost or set aside, each range and each file.
fn tell_damage(report: &OpenReport) {
    if let Some(tail) = &report.wal.truncated_tail {
        let bytes = tail.bytes;
        tracing::warn!("{bytes} bytes at the end of the write-ahead log, never acknowledged, were cut off");
    }
    for range in &report.wal.damage {
        tracing::error!("damage in the write-ahead log, samples were lost: {range}");
    }
    for block in &report.quarantined {
        tracing::error!("damage in a block, it was set aside as {}: {}", block.path.display(), block.reason);
    }
    if let Some(reason) = &report.manifest_damage {
        tracing::error!("damage in the list of blocks, all blocks that can be read were taken: {reason}");
    }
    if let Some(reason) = &report.exemplar_damage {
        tracing::error!("the file of exemplars could not be read, those of the write-ahead log are there: {reason}");
    }
    if report.orphan_exemplars > 0 {
        let count = report.orphan_exemplars;
        tracing::error!("{count} exemplars lost their series with damaged records of the write-ahead log");
    }
    if report.orphans > 0 {
        tracing::error!("{} samples lost their series with damaged records of the write-ahead log", report.orphans);
    }
    if let Some(reason) = &report.first_unreadable {
        let count = report.unreadable_records;
        tracing::error!("{count} records of the write-ahead log cannot be read, the first because: {reason}");
    }
}

/// Starts what reads from and writes into the store by itself: rules, notifications, the collector's own metrics.
fn spawn_pipelines(server: &Arc<Server>, core: &Core, rule_files: Vec<RuleFile>, stage: &Stage) {
    let (rules, token) = (core.rules.clone(), stage.token());
    let settings = rule_settings(&server.config.load(), &server.flags);
    stage.spawn("rules", async move {
        let loading = rules.clone();
        drop(tokio::task::spawn_blocking(move || loading.load(rule_files, settings)).await);
        rules.run(token).await;
    });
    let (anomalies, token, config) = (core.anomalies.clone(), stage.token(), Arc::clone(&server.config));
    stage.spawn("anomalies", async move {
        let loading = anomalies.clone();
        drop(tokio::task::spawn_blocking(move || loading.load(&config.load().anomaly)).await);
        anomalies.run(token).await;
    });
    stage.spawn("notify", server.notifier.clone().run(stage.token()));
    stage.spawn("inbox", server.inbox.clone().run(stage.token()));
    if let Some(own) = telemetry::start(server) {
        let token = stage.token();
        stage.spawn("telemetry", async move {
            token.cancelled().await;
            // It blocks for the last collection.
            let stopped = tokio::task::spawn_blocking(move || own.shutdown()).await;
            if let Ok(Err(e)) = stopped {
                tracing::warn!("the collector's own metrics could not be written a last time: {e}");
            }
        });
    }
}

/// Flushes when it is due, drops what is too old, looks at the clock; until the token is cancelled.
async fn maintain(server: &Arc<Server>, core: &Core, token: &CancellationToken) {
    let mut failing = false;
    loop {
        for _ in 0..LOOKS {
            tokio::select! {
                () = token.cancelled() => return,
                () = server.clock.sleep(MAINTENANCE_INTERVAL / LOOKS) => {}
            }
            if core.db.is_crowded() {
                break;
            }
        }
        look(server, &core.db);
        server.auth.store_last_uses();
        let (db, now, silences) = (Arc::clone(&core.db), server.clock.now_ms(), server.notifier.silences().clone());
        let ingest = Arc::clone(&core.ingest);
        let work = move || {
            // That the state database does not take it has been logged; it is tried again.
            drop(silences.forget_old());
            let maintained = db.maintain(now);
            ingest.forget_gone();
            maintained
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(())) if failing => {
                failing = false;
                tracing::info!("the maintenance of the store works again");
            }
            Ok(Ok(())) => {}
            // It is tried again every few seconds: one line when it begins is enough.
            Ok(Err(_)) if failing => {}
            Ok(Err(e)) => {
                failing = true;
                tracing::error!("the maintenance of the store fails: {}", sonde_runtime::stage::with_causes(&e));
            }
            Err(e) => tracing::error!("the maintenance of the store failed unexpectedly: {e}"),
        }
    }
}

fn look(server: &Server, db: &Db) {
    let stats = db.stats();
    let samples = stats.float_samples.load(Relaxed) + stats.histogram_samples.load(Relaxed);
    if let Some(jump) = server.watch.look(&server.clock, samples) {
        let seconds = jump as f64 / 1e3;
        tracing::warn!(
            "the clock jumped by {seconds} s; after a day or more forward retention by age pauses until the clock is back or has run on for a day"
        );
    }
}
