//! `sonde tsdb`: a look into the metrics store, in and out of it.

mod args;
mod export;
mod files;
mod import;
mod inspect;
mod progress;
mod snapshot;
mod store;
mod verify;

pub(crate) use args::TsdbArgs;

use crate::problem::Problem;
use args::TsdbCommand;

/// Does what was asked.
pub(crate) fn run(args: &TsdbArgs) -> Result<(), Problem> {
    match &args.command {
        TsdbCommand::Inspect(args) => inspect::run(args),
        TsdbCommand::Verify(args) => verify::run(args),
        TsdbCommand::Export(args) => export::run(args),
        TsdbCommand::Import(args) => import::run(args),
        TsdbCommand::Snapshot(args) => snapshot::run(args),
    }
}
