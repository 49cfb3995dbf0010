//! The sonde command: reads the command line, does what it says, and turns problems into sentences and exit codes.

mod agent;
mod alerts;
mod args;
mod certs;
mod check;
mod client;
mod collector;
mod plain;
mod problem;
mod process;
mod query;
mod silence;
mod token;
mod trace;
mod tsdb;
mod up;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Command, Sonde};
use problem::Problem;

fn main() -> ExitCode {
    let outcome = match Sonde::parse().command {
        Command::Up(args) => up::run(args),
        Command::Collector(args) => collector::run(args),
        Command::Agent(args) => agent::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Alerts(args) => alerts::run(&args),
        Command::Silence(args) => silence::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Tsdb(args) => tsdb::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Certs(args) => certs::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where stderr is gone there is nobody left to tell.
            drop(std::io::stderr().write_all(problem.to_string().as_bytes()));
            ExitCode::from(problem.exit_code())
        }
    }
}

/// Prints to stdout. That the reader has gone, as `head` does, is no problem. Programs get every byte, terminals no commands.
pub(crate) fn print(text: &str) -> Result<(), Problem> {
    let mut stdout = std::io::stdout();
    let text = if stdout.is_terminal() { plain::on_lines(text) } else { text.into() };
    match stdout.write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Problem::new(format!("cannot write: {e}"))),
        _ => Ok(()),
    }
}

/// Tells something that does not stop the work.
pub(crate) fn warn(warning: &str) {
    // Where stderr is gone there is nobody left to warn.
    drop(writeln!(std::io::stderr(), "warning: {}", plain::on_one_line(warning)));
}
