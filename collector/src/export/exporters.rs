//! All targets: started, stopped and changed as the configuration says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sonde_disk::Fs;
use sonde_tsdb::{CommittedReader, Db};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::position::PositionFile;
use super::setup::Target;
use super::target::{self, Start};
use crate::server::Server;
use crate::telemetry;

/// A target that runs.
struct Running {
    target: Arc<Target>,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    async fn stop(mut self) {
        self.token.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Where the positions lie: beside the samples, so that whoever exchanges those does so with the positions in their log.
fn dir(server: &Server) -> PathBuf {
    server.flags.data_dir.join("tsdb").join("remote_write")
}

fn configured(server: &Server) -> Vec<Target> {
    // It was proven when it was loaded.
    Target::all(&server.config.load().remote_write).unwrap_or_default()
}

/// The places from which targets read that have no position yet.
pub(crate) type Fresh = BTreeMap<String, CommittedReader>;

/// Keeps the log for all targets, before anything can cut it or add to it: a target that is new begins here. A target says
/// itself how much it needs once it knows.
pub(crate) fn hold(server: &Server, db: &Db) -> Fresh {
    let targets = configured(server);
    targets.into_iter().map(|target| (target.name.clone(), hold_for(&target.name, db))).collect()
}

fn hold_for(name: &str, db: &Db) -> CommittedReader {
    if let Err(error) = db.hold_wal(name, db.wal_start()) {
        tracing::error!(target_name = name, "the log cannot be kept: {error}");
    }
    db.committed(None)
}

/// Runs the targets until the token is cancelled; what they send is in the log until the receivers have it.
pub(crate) async fn run(server: Arc<Server>, fs: Arc<dyn Fs>, mut fresh: Fresh, token: CancellationToken) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    loop {
        configure(&server, &fs, &token, &mut running, &mut fresh).await;
        tokio::select! {
            () = token.cancelled() => break,
            () = server.export_changed.notified() => {}
        }
    }
    for (_, one) in running {
        one.stop().await;
    }
}

async fn configure(
    server: &Arc<Server>,
    fs: &Arc<dyn Fs>,
    token: &CancellationToken,
    running: &mut BTreeMap<String, Running>,
    fresh: &mut Fresh,
) {
    let Some(core) = server.core() else { return };
    let targets: BTreeMap<String, Target> =
        configured(server).into_iter().map(|target| (target.name.clone(), target)).collect();
    let same = |name: &String, one: &Running| targets.get(name).is_some_and(|new| new.config == one.target.config);
    let changed: Vec<String> = running.iter().filter(|(name, one)| !same(name, one)).map(|(n, _)| n.clone()).collect();
    for name in changed {
        if let Some(one) = running.remove(&name) {
            one.stop().await;
        }
        if !targets.contains_key(&name)
            && let Err(error) = core.db.release_wal(&name)
        {
            tracing::error!(target_name = name, "the log cannot be cut: {error}");
        }
    }
    server.export_stats.keep(|name| targets.contains_key(name));
    let names: Vec<&str> = targets.keys().map(String::as_str).collect();
    if let Err(error) = PositionFile::remove_others(fs.as_ref(), &dir(server), &names) {
        tracing::error!("the positions of receivers that are gone cannot be removed: {error}");
    }
    for (name, target) in targets {
        if running.contains_key(&name) {
            continue;
        }
        let fresh = fresh.remove(&name).unwrap_or_else(|| hold_for(&name, &core.db));
        let (target, token, mut tasks) = (Arc::new(target), token.child_token(), JoinSet::new());
        tasks.spawn(target::run(Start {
            target: Arc::clone(&target),
            stats: server.export_stats.of(&name),
            db: Arc::clone(&core.db),
            fs: Arc::clone(fs),
            dir: dir(server),
            clock: server.clock.clone(),
            token: token.clone(),
            fresh,
        }));
        running.insert(name, Running { target, token, tasks });
    }
    telemetry::register_export(server);
}
