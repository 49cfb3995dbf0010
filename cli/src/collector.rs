//! `sonde collector`: the server alone.

use sonde_collector::{App, Config, Flags, StartError};
use sonde_runtime::Clock;

use crate::args::CollectorArgs;
use crate::problem::Problem;
use crate::process::{self, problem};

pub(crate) fn run(args: CollectorArgs) -> Result<(), Problem> {
    process::serve(&args.log, async {
        let app = build(args.collector, &Clock::system())?;
        let shutdown = process::signals(app.reload())?;
        tracing::info!("listening on {}://{}", app.addresses().scheme, app.addresses().main);
        app.run(shutdown).await.map_err(|e| problem(&e))
    })
}

/// Proves the configuration and binds the ports. Where one is taken, the problem says which command would start.
pub(crate) fn build(flags: Flags, clock: &Clock) -> Result<App, Problem> {
    let config = flags.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load);
    config.map_err(StartError::from).and_then(|config| App::build(config, flags, clock.clone())).map_err(|error| {
        let another = error.another_command(&std::env::args().collect::<Vec<_>>());
        let problem = match error {
            StartError::Rules(errors) => Problem::list(errors.to_string().lines().map(str::to_owned).collect()),
            other => problem(&other),
        };
        match another {
            Some(command) => problem.hint(format!("This would start: {command}")),
            None => problem,
        }
    })
}
