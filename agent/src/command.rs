//! Runs the agent as a process of its own: the globals that a binary installs, then the app.

use std::time::Duration;

use anyhow::Context;
use sonde_runtime::{Clock, Reload, logs, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::flags::Flags;

/// How long threads that hang in the kernel may hold up the end of the process.
const THREADS_GRACE: Duration = Duration::from_secs(1);

/// Runs the agent until it is told to stop.
pub fn run(flags: &Flags) -> anyhow::Result<()> {
    let config = flags.load()?;
    logs::init(config.telemetry.log_format, &config.telemetry.log_filter)?;
    // An error means that another part of the program has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();

    // One thread is enough for what an agent does, and keeps its memory small.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(60))
        .build()
        .context("cannot start")?;
    let ended = runtime.block_on(async {
        let (shutdown, reload) = (CancellationToken::new(), Reload::new());
        signal::install(shutdown.clone(), reload.clone()).context("cannot listen to signals")?;
        let endpoint = config.collector.endpoint.clone();
        let mut app = App::build(config, Clock::system()).await?;
        if let Some(path) = &flags.config {
            app = app.with_reload(path.clone(), reload.subscribe());
        }
        for (name, address) in [("gRPC", app.otlp_grpc_addr()), ("HTTP", app.otlp_http_addr())] {
            if let Some(address) = address {
                tracing::info!("taking OTLP/{name} on {address}");
            }
        }
        tracing::info!("sending to {endpoint}");
        anyhow::Ok(app.run(shutdown).await?)
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    ended
}
