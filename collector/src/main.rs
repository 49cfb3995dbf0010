//! The thin binary: flags, globals, signals, run.

use std::process::ExitCode;

use clap::Parser;
use sonde_collector::{App, Config, Flags, StartError};
use sonde_runtime::{Clock, LogFormat, logs, signal};
use tokio_util::sync::CancellationToken;

/// The Sonde collector: takes metrics, stores them, answers queries, evaluates rules.
#[derive(Debug, Parser)]
#[command(name = "sonde-collector", version)]
struct Command {
    #[command(flatten)]
    flags: Flags,

    /// How log lines look: human or json.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,

    /// What is logged: a level, or a list as in info,sonde_collector=debug.
    #[arg(long, value_name = "FILTER", env = "SONDE_LOG", default_value = "info")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    if let Err(e) = logs::init(command.log_format, &command.log) {
        return fail(&e);
    }
    // Another provider is there only if something else in this process installed one, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = command.flags.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load);
    let built = config.map_err(StartError::from).and_then(|config| App::build(config, command.flags, Clock::system()));
    let app = match built {
        Ok(app) => app,
        Err(e) => {
            let another = e.another_command(&std::env::args().collect::<Vec<_>>());
            let code = fail(&e);
            if let Some(another) = another {
                tracing::error!("this would start: {another}");
            }
            return code;
        }
    };
    let shutdown = CancellationToken::new();
    if let Err(e) = signal::install(shutdown.clone(), app.reload()) {
        return fail(&e);
    }
    let addresses = app.addresses();
    tracing::info!("listening on {}://{}", addresses.scheme, addresses.main);
    match app.run(shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        // The stages have said what went wrong.
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!("{}", sonde_runtime::stage::with_causes(error));
    ExitCode::FAILURE
}
