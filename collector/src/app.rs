//! The collector as a program: built from a proven configuration, run until it is told to stop.

mod listen;
mod spans;
mod store;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use sonde_disk::{Fs, OsFs};
use sonde_otlp::{ServeOptions, WireConnector, WireListener, certificates, serve, serve_wire, wire};
use sonde_runtime::{Clock, Reload, Stage, Stages, StagesError};
use tokio_util::sync::CancellationToken;

pub use listen::StartError;

use crate::api;
use crate::auth::Auth;
use crate::config::Config;
use crate::flags::Flags;
use crate::notify::Notifier;
use crate::rules::{self, RuleFilesError};
use crate::server::Server;
use crate::settings::{notify_setup, otlp_limits, scheme};
use crate::state::Location;
use crate::telemetry;
use crate::tls::Tls;

/// The state database in the data folder.
const STATE_FILE: &str = "state.sqlite";
/// How long receivers may take to answer what they took.
const SERVERS_DEADLINE: Duration = Duration::from_secs(15);
/// How long evaluations of rules and deliveries of notifications may take to end.
const RULES_DEADLINE: Duration = Duration::from_secs(15);
/// How long the main port may take to answer what it took, queries included.
const API_DEADLINE: Duration = Duration::from_secs(15);
/// How long the store may take to write what is pending and to close.
const STORAGE_DEADLINE: Duration = Duration::from_secs(60);

/// A collector that is ready to run: its configuration is proven, its ports are bound.
#[derive(Debug)]
pub struct App {
    server: Arc<Server>,
    fs: Arc<dyn Fs>,
    state: Location,
    rule_files: Vec<sonde_alerting::RuleFile>,
    reload: Reload,
    main: TcpListener,
    otlp_grpc: Option<TcpListener>,
    otlp_http: Option<TcpListener>,
    wire: Option<WireListener>,
}

/// The addresses that a collector listens on; ports are real ones, also where 0 was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The page and all HTTP APIs.
    pub main: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP over HTTP.
    pub otlp_http: Option<SocketAddr>,
}

impl App {
    /// Proves the configuration, then binds the ports. Opens no file of the store yet: see [`App::run`].
    pub fn build(config: Config, flags: Flags, clock: Clock) -> Result<Self, StartError> {
        let state = Location::File(flags.data_dir.join(STATE_FILE));
        Self::build_on(Arc::new(OsFs), state, config, flags, clock)
    }

    /// As [`App::build`], with the files of the store on another file system and the state database in a place of its own: for
    /// tests of what disks do.
    pub fn build_on(
        fs: Arc<dyn Fs>,
        state: Location,
        config: Config,
        mut flags: Flags,
        clock: Clock,
    ) -> Result<Self, StartError> {
        listen::check_addresses(&flags, &config)?;
        let tls = Tls::load(&config.tls, clock.now_ms()).map_err(StartError::Tls)?;
        let rule_files = rules::read_files(&config.rules.files).map_err(StartError::Rules)?;
        let notifier = Notifier::new(clock.clone()).map_err(|e| StartError::Notifier(e.to_string()))?;

        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let main = listen::bind("--listen", flags.listen)?;
        let bind_optional = |flag, address: Option<SocketAddr>| address.map(|a| listen::bind(flag, a)).transpose();
        let otlp_grpc = bind_optional("--otlp-grpc-listen", flags.otlp_grpc_listen.address())?;
        let otlp_http = bind_optional("--otlp-http-listen", flags.otlp_http_listen.address())?;
        // Links and the collector's own instance name show the real port.
        flags.listen = main.local_addr().unwrap_or(flags.listen);

        notifier.configure(notify_setup(&config, &flags).map_err(|e| StartError::Notifier(e.to_string()))?);
        let auth = Auth::new(&flags, clock.now_ms())?;
        let server = Arc::new(Server::new(config, flags, clock, notifier, auth).with_tls(tls));
        Ok(App { server, fs, state, rule_files, reload: Reload::new(), main, otlp_grpc, otlp_http, wire: None })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        let of = |listener: &TcpListener| listener.local_addr().ok();
        Addresses {
            scheme: scheme(&self.server.config.load()),
            main: self.server.flags.listen,
            otlp_grpc: self.otlp_grpc.as_ref().and_then(of),
            otlp_http: self.otlp_http.as_ref().and_then(of),
        }
    }

    /// A way to send OTLP over gRPC from within the process, past sockets and TLS: for the agent of `sonde up`.
    pub fn wire(&mut self) -> WireConnector {
        let (connector, listener) = wire();
        self.wire = Some(listener);
        connector
    }

    /// Asks for reloads: the binary connects it with SIGHUP.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Says whether the store is open and rules are loaded.
    pub fn health(&self) -> sonde_runtime::Health {
        self.server.health.clone()
    }

    /// Runs until `shutdown` is cancelled or a part fails, then stops in data order: receivers, rules, API, store.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StagesError> {
        let mut stages = Stages::new();
        let servers = stages.add("servers", SERVERS_DEADLINE);
        let pipelines = stages.add("rules", RULES_DEADLINE);
        let api_stage = stages.add("api", API_DEADLINE);
        let storage = stages.add("storage", STORAGE_DEADLINE);

        let server = self.server;
        telemetry::register_server(&server);
        let limits = otlp_limits(&server.config.load());
        if let Some(listener) = self.otlp_grpc {
            serve_on(&servers, &server, "otlp-grpc", listener, api::otlp_grpc_router(&server, &limits));
        }
        if let Some(listener) = self.otlp_http {
            serve_on(&servers, &server, "otlp-http", listener, api::otlp_http_router(&server, &limits));
        }
        serve_on(&api_stage, &server, "http", self.main, api::main_router(&server, &limits));
        if let Some(wire) = self.wire {
            let router = api::otlp_grpc_router(&server, &limits);
            servers.spawn("own agent", serve_wire(wire, router, ServeOptions::default(), servers.token()));
        }
        if let Some(tls) = &server.tls {
            let follow =
                certificates::follow("tls", Arc::clone(tls.certificates()), server.clock.clone(), pipelines.token());
            pipelines.spawn("certificates", follow);
        }
        reload_on_request(&pipelines, &server, &self.reload);
        spans::spawn(&server, Arc::clone(&self.fs), &storage);
        store::spawn(store::Start {
            server,
            fs: self.fs,
            state: self.state,
            rule_files: self.rule_files,
            storage,
            pipelines,
        });
        stages.run(shutdown).await
    }
}

fn serve_on(stage: &Stage, server: &Server, name: &'static str, listener: TcpListener, router: axum::Router) {
    let token = stage.token();
    let options = server.tls.as_ref().map_or_else(ServeOptions::default, |tls| tls.serve_options(name));
    stage.spawn(name, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        serve(listener, router, options, token).await
    });
}

/// Reloads when SIGHUP asks for it. `POST /-/reload` does so itself, because it answers with what came of it.
fn reload_on_request(stage: &Stage, server: &Arc<Server>, reload: &Reload) {
    let (token, server) = (stage.token(), Arc::clone(server));
    let mut requests = reload.subscribe();
    stage.spawn("reload", async move {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                more = requests.next() => {
                    if !more {
                        return;
                    }
                }
            }
            let server = Arc::clone(&server);
            // What went wrong was logged, and the old configuration holds.
            drop(tokio::task::spawn_blocking(move || server.reload()).await);
        }
    });
}

impl From<RuleFilesError> for StartError {
    fn from(error: RuleFilesError) -> Self {
        StartError::Rules(error)
    }
}

#[cfg(test)]
mod tests;
