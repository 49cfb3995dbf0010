//! Builds the agent from its configuration and runs it in stages: receivers, own telemetry, exporter.
//!
//! Nothing is opened or bound before the configuration is proven; nothing is global.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use sonde_disk::{Fs, OsFs};
use sonde_otlp::exporter::{BackoffOptions, Exporter, ExporterError, ExporterOptions};
use sonde_otlp::{ServeOptions, WireConnector, certificates, receiver, serve};
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_runtime::signal::ReloadRequests;
use sonde_runtime::telemetry::Telemetry;
use sonde_runtime::{Clock, Registry, Stage, Stages, StagesError};
use sonde_tls::{ClientTls, Reloading, ServerTls, TlsError};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, InvalidConfig, Listen};
use crate::credentials::{Credentials, CredentialsError};
use crate::export::{ExportOptions, ExportStats, QueueExporter};
use crate::live::Live;
use crate::origin::Origin;
use crate::payload::Encoded;
use crate::queue::{OpenError, QueueOptions, Queues, Source};
use crate::receivers::host::{self, HostStats};
use crate::receivers::otlp::LocalOtlp;
use crate::receivers::scrape::{self, ScrapeStats};
use crate::{gaps, resource, self_metrics};

/// How long receivers may take to finish what they have begun.
const RECEIVERS_DEADLINE: Duration = Duration::from_secs(10);
/// How long the last reading of the agent's own metrics may take.
const TELEMETRY_DEADLINE: Duration = Duration::from_secs(5);
/// What the exporter may take beyond its drain, to write its cursor.
const EXPORTER_GRACE: Duration = Duration::from_secs(5);
/// Bodies of host metrics stay far below this; those of scraped pages are cut into pieces that do.
const MIN_MAX_BODY_BYTES: usize = 16 << 20;

/// An agent that is ready to run.
#[derive(Debug)]
pub struct App {
    config: Config,
    clock: Clock,
    registry: Registry,
    origin: Arc<Origin>,
    queues: Queues,
    exporter: Exporter,
    client_tls: Option<Arc<ClientTls>>,
    server_tls: Option<Arc<ServerTls>>,
    credentials: Credentials,
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
    reload: Option<(PathBuf, ReloadRequests)>,
}

/// Why an agent cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The configuration cannot work.
    #[error("the agent's configuration: {0}")]
    Config(#[from] InvalidConfig),
    /// The queue cannot be opened.
    #[error("the agent's data")]
    Queue(#[from] OpenError),
    /// A certificate or a key is no good.
    #[error("the agent's certificates")]
    Tls(#[from] TlsError),
    /// The exporter cannot be made.
    #[error("the agent's collector")]
    Exporter(#[from] ExporterError),
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {address}; give another address in the agent's configuration, or `off`")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The token cannot be used.
    #[error("the agent's token")]
    Credentials(#[from] CredentialsError),
    /// The thread that opens the queue died.
    #[error("opening the agent's queue was cut off")]
    CutOff,
}

impl App {
    /// Proves the configuration, opens the queue, binds the addresses. Must be called within a tokio runtime.
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        Self::build_on(Arc::new(OsFs), config, clock).await
    }

    /// As [`App::build`], on any file system.
    pub async fn build_on(fs: Arc<dyn Fs>, config: Config, clock: Clock) -> Result<Self, BuildError> {
        config.check()?;
        let now_s = clock.now_ms().div_euclid(1_000);
        let client_tls = client_tls(&config, now_s)?;
        let server_tls = config.otlp.tls.options().map(|options| load(options, now_s)).transpose()?;
        let exporter = Exporter::new(ExporterOptions { tls: client_tls.clone(), ..exporter_options(&config) })?;
        let (dir, options) = (config.agent_dir(), queue_options(&config));
        let (queue_fs, queue_dir) = (Arc::clone(&fs), dir.clone());
        let opening = tokio::task::spawn_blocking(move || Queues::open(queue_fs, &queue_dir, &options));
        let (queues, report) = opening.await.map_err(|_| BuildError::CutOff)??;
        let (agent, epoch) = (report.identity.agent, report.identity.epoch);
        tracing::info!("agent {agent}, epoch {epoch}: {} batches wait", report.waiting);
        tracing::info!("queue of metrics: {}; queue of spans: {}", report.metrics, report.traces);
        if report.is_damaged() {
            tracing::error!("the agent's queue was damaged: what was lost is given up, the rest goes on");
        }
        let grpc = bind("otlp.grpc_listen", config.otlp.grpc_listen).await?;
        let http = bind("otlp.http_listen", config.otlp.http_listen).await?;
        let origin = Arc::new(Origin::new(&resource::detect(), &config.resource_attributes));
        let host = origin.attribute("host.name").unwrap_or_default().to_owned();
        let backoff = export_options(&config).backoff;
        let credentials = Credentials::open(&config.collector, fs, &dir, agent, host, backoff)?;
        let registry = Registry::new();
        Ok(App {
            config,
            clock,
            registry,
            origin,
            queues,
            exporter,
            client_tls,
            server_tls,
            credentials,
            grpc,
            http,
            reload: None,
        })
    }

    /// Reads the file at `path` again whenever that is requested, and follows changes of `host` and `scrape`.
    #[must_use]
    pub fn with_reload(mut self, path: PathBuf, requests: ReloadRequests) -> Self {
        self.reload = Some((path, requests));
        self
    }

    /// Sends to a collector in this process instead of the configured one.
    pub fn with_wire(mut self, wire: WireConnector) -> Result<Self, BuildError> {
        self.exporter = Exporter::new(ExporterOptions { wire: Some(wire), ..exporter_options(&self.config) })?;
        Ok(self)
    }

    /// Where OTLP/gRPC is taken.
    pub fn otlp_grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref()?.local_addr().ok()
    }

    /// Where OTLP/HTTP is taken.
    pub fn otlp_http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.local_addr().ok()
    }

    /// The agent's own metrics, for a `/metrics` page of the process.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The queues, for tests and tools.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Runs until `shutdown` is cancelled or a task fails; then stops the receivers, sends what it can in time and
    /// leaves the rest on disk.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), StagesError> {
        let mut stages = Stages::new();
        let receivers = stages.add("agent receivers", RECEIVERS_DEADLINE);
        let telemetry = stages.add("agent telemetry", TELEMETRY_DEADLINE);
        let exporter = stages.add("agent exporter", self.config.shutdown_drain.0 + EXPORTER_GRACE);
        self.spawn_exporters(&exporter);
        self.spawn_gaps(&telemetry);
        self.spawn_telemetry(&telemetry);
        self.spawn_certificates(&receivers);
        self.spawn_otlp(&receivers);
        self.spawn_live(&receivers);

        let (queues, origin) = (self.queues.clone(), Arc::clone(&self.origin));
        let ended = stages.run(shutdown).await;
        if queues.has_gaps() {
            gaps::write(&queues, &origin, self.clock.now_ns());
        }
        // The join fails only if closing panicked, which is reported by the panic itself.
        let _ = tokio::task::spawn_blocking(move || queues.close()).await;
        ended
    }

    /// One exporter for each signal, over one connection: what holds up one does not hold up the other.
    fn spawn_exporters(&mut self, stage: &Stage) {
        self_metrics::register_sent(&self.registry, self.exporter.stats());
        let may_send = CancellationToken::new();
        let credentials = std::mem::replace(&mut self.credentials, Credentials::Nothing);
        let showing = credentials.run(self.exporter.clone(), self.clock.clone(), may_send.clone(), stage.token());
        stage.spawn("token", showing);
        for (name, queue) in [("exporter", &self.queues.metrics), ("exporter of spans", &self.queues.traces)] {
            let stats = Arc::new(ExportStats::default());
            self_metrics::register_export(&self.registry, &stats, queue);
            self_metrics::register_queue(&self.registry, queue, &self.clock);
            let options = export_options(&self.config);
            let (queue, exporter, clock) = (Arc::clone(queue), self.exporter.clone(), self.clock.clone());
            let (may_send, stop) = (may_send.clone(), stage.token());
            let exporting = QueueExporter::new(queue, exporter, options, clock, stats).run(stage.token());
            stage.spawn(name, async move {
                tokio::select! {
                    () = may_send.cancelled() => {}
                    () = stop.cancelled() => {}
                }
                exporting.await;
            });
        }
    }

    fn spawn_gaps(&self, stage: &Stage) {
        let (queues, origin) = (self.queues.clone(), Arc::clone(&self.origin));
        stage.spawn("gap records", gaps::run(queues, origin, self.clock.clone(), stage.token()));
    }

    fn spawn_telemetry(&self, stage: &Stage) {
        self_metrics::register_process(&self.registry);
        let attributes = self.origin.attributes().map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        let (queue, clock) = (Arc::clone(&self.queues.metrics), self.clock.clone());
        let telemetry =
            Telemetry::start(attributes.collect::<Vec<_>>(), self.config.telemetry.interval.0, move |own| {
                let request = ExportMetricsServiceRequest::from(own);
                let batch = Encoded { items: crate::payload::count_points(&request), body: request.encode_to_vec() };
                queue.offer(Source::Telemetry, &batch, clock.now_ms());
                Ok(())
            });
        self.registry.install(&telemetry.meter(resource::SERVICE_NAME));
        let stop = stage.token();
        stage.spawn("own metrics", async move {
            stop.cancelled().await;
            // What happened until now is read once more; a failure is reported by the callback's own counters.
            let _ = tokio::task::spawn_blocking(move || telemetry.shutdown()).await;
        });
    }

    /// The certificates follow their files.
    fn spawn_certificates(&self, stage: &Stage) {
        if let Some(tls) = &self.client_tls {
            self_metrics::register_certificates(&self.registry, tls.stats(), "client", "ca");
            let follow = certificates::follow("collector.tls", Arc::clone(tls), self.clock.clone(), stage.token());
            stage.spawn("certificates to the collector", follow);
        }
        if let Some(tls) = &self.server_tls {
            self_metrics::register_certificates(&self.registry, tls.stats(), "server", "client_ca");
            let follow = certificates::follow("otlp.tls", Arc::clone(tls), self.clock.clone(), stage.token());
            stage.spawn("certificates of the listeners", follow);
        }
    }

    /// How a listener is served.
    fn serve_options(&self, listener: &'static str) -> ServeOptions {
        let options = ServeOptions { tls: self.server_tls.clone(), ..ServeOptions::default() };
        if self.server_tls.is_some() {
            self_metrics::register_handshakes(&self.registry, &options.handshakes, listener);
        }
        options
    }

    fn spawn_otlp(&mut self, stage: &Stage) {
        let config = self.config.otlp.clone();
        let (queues, clock) = (self.queues.clone(), self.clock.clone());
        let consumer = Arc::new(LocalOtlp::new(queues, clock, &self.origin, config.add_host_attributes));
        let max_body_bytes = usize::try_from(config.max_body.0).unwrap_or(usize::MAX);
        let limits =
            receiver::Limits { max_compressed_bytes: max_body_bytes, max_body_bytes, ..receiver::Limits::default() };
        let stats = Arc::new(receiver::Stats::default());
        if self.grpc.is_some() || self.http.is_some() {
            self_metrics::register_otlp(&self.registry, &stats);
        }
        if let Some(listener) = self.grpc.take() {
            let router = receiver::grpc_router(Arc::clone(&consumer), limits.clone(), Arc::clone(&stats));
            let options = self.serve_options("otlp-grpc");
            stage.spawn("OTLP/gRPC", serve(listener, router, options, stage.token()));
        }
        if let Some(listener) = self.http.take() {
            let router = receiver::http_router(consumer, limits, stats);
            let options = self.serve_options("otlp-http");
            stage.spawn("OTLP/HTTP", serve(listener, router, options, stage.token()));
        }
    }

    fn spawn_live(&mut self, stage: &Stage) {
        let live = Live::new(self.config.clone());
        let stats = Arc::new(HostStats::default());
        self_metrics::register_host(&self.registry, &stats);
        let (queue, origin, clock) = (Arc::clone(&self.queues.metrics), Arc::clone(&self.origin), self.clock.clone());
        stage.spawn("host receivers", host::run(queue, origin, clock, stats, live.host(), stage.token()));
        let stats = Arc::new(ScrapeStats::default());
        self_metrics::register_scrape(&self.registry, &stats);
        let (queue, origin, clock) = (Arc::clone(&self.queues.metrics), Arc::clone(&self.origin), self.clock.clone());
        stage.spawn("scraping", scrape::run(queue, origin, clock, stats, live.scrape(), stage.token()));
        stage.spawn("reload", live.follow(self.reload.take(), stage.token()));
    }
}

async fn bind(key: &'static str, listen: Listen) -> Result<Option<TcpListener>, BuildError> {
    let Some(address) = listen.address() else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(BuildError::Listen { key, address, source }),
    }
}

/// What is shown to the collector, and whom the agent trusts; nothing where the endpoint is not encrypted.
fn client_tls(config: &Config, now_s: i64) -> Result<Option<Arc<ClientTls>>, TlsError> {
    let is_https = config.collector.endpoint.starts_with("https://");
    is_https.then(|| load(config.collector.tls.options(), now_s)).transpose()
}

fn load<S: sonde_tls::Source>(source: S, now_s: i64) -> Result<Arc<Reloading<S>>, TlsError> {
    let (loaded, warnings) = Reloading::load(source, now_s)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(Arc::new(loaded))
}

fn exporter_options(config: &Config) -> ExporterOptions {
    let collector = &config.collector;
    ExporterOptions {
        endpoint: collector.endpoint.clone(),
        headers: collector.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        compress: collector.compress,
        timeout: collector.timeout.0,
        connect_timeout: collector.connect_timeout.0,
        server_name: Some(collector.tls.server_name.clone()).filter(|name| !name.is_empty()),
        ..ExporterOptions::default()
    }
}

fn export_options(config: &Config) -> ExportOptions {
    let collector = &config.collector;
    let backoff =
        BackoffOptions { initial: collector.retry_initial.0, max: collector.retry_max.0, ..BackoffOptions::default() };
    ExportOptions { max_in_flight: collector.max_in_flight, backoff, drain: config.shutdown_drain.0 }
}

fn queue_options(config: &Config) -> QueueOptions {
    let from_clients = usize::try_from(config.otlp.max_body.0).unwrap_or(usize::MAX);
    QueueOptions {
        max_bytes: config.queue.max_bytes.0,
        max_trace_bytes: config.queue.max_trace_bytes.0,
        min_free_bytes: config.queue.min_free.0,
        // Twice what a client may send: added attributes make a body larger.
        max_body_bytes: from_clients.saturating_mul(2).max(MIN_MAX_BODY_BYTES),
    }
}
