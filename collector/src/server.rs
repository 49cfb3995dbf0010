//! What the handlers, the tasks and the threads of the collector share.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use sonde_disk::Fs;
use sonde_model::TimestampMs;
use sonde_runtime::{Clock, Health, Registry};
use sonde_tracedb::TraceDb;
use sonde_tsdb::Db;
use tokio::sync::Notify;

use crate::anomaly::Anomalies;
use crate::api::{ApiStats, Encoded};
use crate::auth::Auth;
use crate::config::{Config, ConfigError};
use crate::derive::DeriveStats;
use crate::export::ExportStats;
use crate::flags::Flags;
use crate::inbox::Inbox;
use crate::ingest::{Ingest, SpanIngest};
use crate::notify::{Notifier, SetupError};
use crate::query::{Answers, QueryPool, StoreSource};
use crate::rule_store::StoreForRules;
use crate::rules::{self, RuleFilesError, Rules};
use crate::settings::{notify_setup, retention, rule_settings};
use crate::state::{Memory, State};
use crate::telemetry;
use crate::tls::Tls;
use crate::turns::Turns;
use crate::watch::Watch;

/// The collector as its handlers see it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) clock: Clock,
    pub(crate) flags: Flags,
    pub(crate) config: Arc<ArcSwap<Config>>,
    pub(crate) health: Health,
    pub(crate) registry: Registry,
    pub(crate) queries: QueryPool,
    pub(crate) answers: Answers<Encoded>,
    pub(crate) api_stats: ApiStats,
    pub(crate) otlp_stats: Arc<sonde_otlp::receiver::Stats>,
    pub(crate) derive_stats: Arc<DeriveStats>,
    pub(crate) export_stats: ExportStats,
    /// Told when the receivers of remote write may have changed.
    pub(crate) export_changed: Notify,
    pub(crate) notifier: Notifier,
    pub(crate) inbox: Inbox,
    /// Of requests that change alerts or silences.
    pub(crate) alert_changes: Turns,
    pub(crate) auth: Auth,
    pub(crate) watch: Watch,
    pub(crate) started: TimestampMs,
    pub(crate) reloads: Reloads,
    /// Certificates, where TLS is on.
    pub(crate) tls: Option<Tls>,
    core: OnceLock<Core>,
    spans: OnceLock<Spans>,
}

/// What is there once the store is open.
#[derive(Debug)]
pub(crate) struct Core {
    /// The metrics store.
    pub(crate) db: Arc<Db>,
    /// The road into it.
    pub(crate) ingest: Arc<Ingest>,
    /// The rule groups.
    pub(crate) rules: Rules,
    /// What is watched for anomalies.
    pub(crate) anomalies: Anomalies,
    /// What must survive a restart besides samples.
    pub(crate) state: State,
}

/// What is there once the span store is open.
#[derive(Debug)]
pub(crate) struct Spans {
    /// The span store.
    pub(crate) db: Arc<TraceDb>,
    /// The road into it.
    pub(crate) ingest: Arc<SpanIngest>,
}

/// The last reload of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Reloads(parking_lot::Mutex<Reloaded>);

/// How the last reload went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reloaded {
    /// When a configuration was last taken.
    pub(crate) succeeded_at: TimestampMs,
    /// When the last one was tried.
    pub(crate) tried_at: TimestampMs,
    /// Whether the last one was no good.
    pub(crate) failed: bool,
}

impl Server {
    /// A collector whose store is not open yet.
    pub(crate) fn new(config: Config, flags: Flags, clock: Clock, notifier: Notifier, auth: Auth) -> Self {
        let health = Health::new();
        health.not_ready("store", "the store is being opened");
        health.not_ready("spans", "the span store is being opened");
        let started = clock.now_ms();
        Server {
            queries: QueryPool::new(clock.clone(), config.query.concurrency, config.query.queue),
            answers: Answers::new(clock.clone(), &config.query),
            config: Arc::new(ArcSwap::from_pointee(config)),
            flags,
            health,
            registry: Registry::new(),
            api_stats: ApiStats::default(),
            otlp_stats: Arc::default(),
            derive_stats: Arc::default(),
            export_stats: ExportStats::default(),
            export_changed: Notify::new(),
            watch: Watch::new(&clock),
            alert_changes: Turns::default(),
            inbox: Inbox::new(clock.clone(), notifier.clone()),
            notifier,
            auth,
            started,
            reloads: Reloads(parking_lot::Mutex::new(Reloaded {
                succeeded_at: started,
                tried_at: started,
                failed: false,
            })),
            tls: None,
            core: OnceLock::new(),
            spans: OnceLock::new(),
            clock,
        }
    }

    /// The same with TLS on its listeners.
    pub(crate) fn with_tls(self, tls: Option<Tls>) -> Self {
        Server { tls, ..self }
    }

    /// Takes the open store, whose files are on `fs`, and the open state database with what it remembers: from now on requests
    /// are served.
    pub(crate) fn set_store(&self, db: Arc<Db>, fs: Arc<dyn Fs>, state: State, memory: Memory) -> &Core {
        let ingest = Ingest::new(Arc::clone(&db), self.clock.clone(), Arc::clone(&self.config));
        let store = Arc::new(StoreForRules::new(Arc::clone(&db), self.clock.clone(), Arc::clone(&self.config)));
        let learned = self.flags.data_dir.join("anomaly");
        let anomalies = Anomalies::new(Arc::clone(&store) as _, fs, learned, self.clock.clone());
        let settings = rule_settings(&self.config.load(), &self.flags);
        let rules = Rules::new(store, self.notifier.clone(), self.clock.clone(), settings);
        let firing = memory.firing();
        rules.recall(memory.groups);
        // Silences first: nothing is told that was silenced before the start.
        self.notifier.silences().recall(state.clone(), memory.silences);
        self.notifier.recall(state.clone(), memory.outbox, &firing);
        self.inbox.recall(memory.received);
        let core = self.core.get_or_init(|| Core { db, ingest: Arc::new(ingest), rules, anomalies, state });
        self.health.ready("store");
        core
    }

    /// The store and the road into it; `None` while the store is being opened.
    pub(crate) fn core(&self) -> Option<&Core> {
        self.core.get()
    }

    /// Takes the open span store: from now on spans are taken and searched.
    pub(crate) fn set_spans(&self, db: Arc<TraceDb>) {
        let ingest = Arc::new(SpanIngest::new(Arc::clone(&db), self.clock.clone()));
        self.spans.get_or_init(|| Spans { db, ingest });
        self.health.ready("spans");
    }

    /// The span store and the road into it; `None` while it is being opened.
    pub(crate) fn spans(&self) -> Option<&Spans> {
        self.spans.get()
    }

    /// The store as queries read it; `None` while it is being opened.
    pub(crate) fn source(&self) -> Option<StoreSource> {
        let core = self.core.get()?;
        Some(StoreSource::new(Arc::clone(&core.db), self.config.load().query.max_series))
    }

    /// How the last reload went.
    pub(crate) fn reloaded(&self) -> Reloaded {
        *self.reloads.0.lock()
    }

    /// Reads the configuration file and the rule files again. Where one is no good, nothing changes.
    pub(crate) fn reload(&self) -> Result<(), ReloadError> {
        let result = self.try_reload();
        let mut reloaded = self.reloads.0.lock();
        reloaded.failed = result.is_err();
        reloaded.tried_at = self.clock.now_ms();
        if result.is_ok() {
            reloaded.succeeded_at = reloaded.tried_at;
        }
        drop(reloaded);
        match &result {
            Ok(()) => tracing::info!("the configuration was loaded again"),
            Err(e) => tracing::error!("the configuration was not loaded again, the old one holds: {e}"),
        }
        result
    }

    fn try_reload(&self) -> Result<(), ReloadError> {
        let new = match &self.flags.config {
            Some(path) => Arc::new(Config::load(path)?),
            None => self.config.load_full(),
        };
        let files = rules::read_files(&new.rules.files)?;
        let notify = notify_setup(&new, &self.flags)?;
        if let Some(tls) = &self.tls {
            tls.reload(&new.tls, self.clock.now_ms())?;
        }
        let restart = self.config.load().needs_restart(&new);
        if !restart.is_empty() {
            tracing::warn!("the configuration changed in keys that need a restart: {}", restart.join(", "));
        }
        new.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        self.config.store(Arc::clone(&new));
        self.answers.cache.set_max_bytes(usize::try_from(new.query.cache.0).unwrap_or(usize::MAX));
        self.notifier.configure(notify);
        telemetry::register_notifier(self);
        self.export_changed.notify_one();
        if let Some(core) = self.core() {
            core.ingest.forget_memo();
            core.rules.load(files, rule_settings(&new, &self.flags));
            core.anomalies.load(&new.anomaly);
            core.db.set_retention(retention(&new));
        }
        Ok(())
    }
}

/// Why a reload was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The configuration file is no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A rule file is no good.
    #[error(transparent)]
    Rules(#[from] RuleFilesError),
    /// A certificate is no good.
    #[error(transparent)]
    Tls(#[from] sonde_tls::TlsError),
    /// Nobody can be told of alerts by what the configuration says.
    #[error(transparent)]
    Notify(#[from] SetupError),
}
