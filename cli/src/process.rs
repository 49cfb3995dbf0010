//! What a process that serves installs once: logs, TLS, signals, the async runtime.

use std::error::Error;

use sonde_runtime::{Reload, logs, signal, stage};
use tokio_util::sync::CancellationToken;

use crate::args::LogArgs;
use crate::problem::Problem;

/// Installs logs and TLS, then runs `serve` until it ends.
pub(crate) fn serve(log: &LogArgs, serve: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    logs::init(log.log_format, &log.log).map_err(|e| problem(&e))?;
    // The one TLS provider of this process; nothing else has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| problem(&e))?;
    runtime.block_on(serve)
}

/// A token that Ctrl-C and SIGTERM cancel; SIGHUP asks for a reload.
pub(crate) fn signals(reload: Reload) -> Result<CancellationToken, Problem> {
    let shutdown = CancellationToken::new();
    signal::install(shutdown.clone(), reload).map_err(|e| problem(&e))?;
    Ok(shutdown)
}

/// An error with its causes as a sentence.
pub(crate) fn problem(error: &dyn Error) -> Problem {
    Problem::new(stage::with_causes(error))
}
