//! Developer commands, one door for everything: `cargo xtask run`, `cargo xtask test`, `cargo xtask bench`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to the person who typed it")]

mod bench;
mod command;
mod fuzz;
mod run;
mod soak;
mod steps;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and checks Sonde.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds Sonde in release mode and starts `sonde up` with data in ./sonde-data.
    Run {
        /// Flags handed on to `sonde up`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs every check and test there is, and installs what they need.
    Test(test::Options),
    /// Runs the tests that go on for as long as they are let: kills, dead webhooks.
    Soak(soak::Options),
    /// Runs the benchmarks; they are kept out of `test` because they take long.
    Bench {
        /// Only benchmarks whose name holds this text.
        filter: Option<String>,
    },
    /// Fuzzes the decoders and format readers with coverage.
    Fuzz {
        /// Only this target, a file in fuzz/targets without its ending.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run { args } => run::run(&args),
        Command::Test(options) => test::test(&options),
        Command::Soak(options) => soak::soak(&options),
        Command::Bench { filter } => bench::bench(filter.as_deref()),
        Command::Fuzz { target, seconds } => fuzz::fuzz(target.as_deref(), seconds),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
