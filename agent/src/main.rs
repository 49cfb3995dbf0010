//! The thin binary of the agent; `sonde agent` is the same.

use clap::Parser;
use sonde_agent::flags::Flags;

/// The per-host daemon of Sonde.
#[derive(Debug, Parser)]
#[command(name = "sonde-agent", version)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> anyhow::Result<()> {
    sonde_agent::command::run(&Cli::parse().flags)
}
