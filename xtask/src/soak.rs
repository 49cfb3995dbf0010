//! `cargo xtask soak`: the tests that go on for as long as they are let, and those whose build is long, one after another.

use anyhow::Result;

use crate::command::{self, cargo};
use crate::steps::Steps;
use crate::tools;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each of the tests goes on.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The seed of a run that failed; without it each test takes a new one and prints it.
    #[arg(long)]
    seed: Option<u64>,
    /// Only tests whose name holds this text.
    #[arg(long)]
    only: Option<String>,
}

/// A test that goes on for longer when it is asked to.
struct Soak {
    /// Its file in `tests/tests`.
    test: &'static str,
    /// The variable that says how long.
    variable: &'static str,
    /// How much of that unit a minute is.
    per_minute: u64,
}

const SOAKS: [Soak; 2] = [
    // Alerts over kills and dead webhooks.
    Soak { test: "alert_chaos", variable: "SONDE_CHAOS_SECONDS", per_minute: 60 },
    // Samples and spans over kills of agent and collector.
    Soak { test: "kill", variable: "SONDE_KILLS", per_minute: 300 },
];

/// Tests of the metrics store that have an end, and look at `SONDE_SOAK` for how far it is.
const WHOLE: [&str; 2] = ["each_fault", "the_store_equals_a_map"];

/// Builds the programs and runs the tests. Each prints its seed.
pub(crate) fn soak(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("build", || command::run(&mut cargo(&["build", "--workspace", "--bins", "--locked"])));
    let wanted = |soak: &&Soak| options.only.as_ref().is_none_or(|only| soak.test.contains(only.as_str()));
    for soak in SOAKS.iter().filter(wanted) {
        steps.step(&format!("{}, {} minutes", soak.test, options.minutes), || {
            let mut test = cargo(&["test", "-p", "sonde-tests", "--locked", "--test", soak.test, "--", "--nocapture"]);
            test.env(soak.variable, (options.minutes * soak.per_minute).to_string());
            if let Some(seed) = options.seed {
                test.env("SONDE_SEED", seed.to_string());
            }
            command::run(&mut test)
        });
    }
    for test in WHOLE.iter().filter(|test| options.only.as_ref().is_none_or(|only| test.contains(only.as_str()))) {
        steps.step(&format!("{test}, whole"), || {
            let args = ["test", "--release", "-p", "sonde-tsdb", "--locked", "--test", "store", test];
            command::run(cargo(&args).env("SONDE_SOAK", "1"))
        });
    }
    if options.only.as_ref().is_none_or(|only| "parquet".contains(only.as_str())) {
        steps.step("parquet", parquet);
    }
    steps.sum_up()
}

/// The export to Parquet, which is behind a feature; last, because the command is built anew with it.
fn parquet() -> Result<()> {
    const COMMAND: [&str; 5] = ["-p", "sonde", "--features", "parquet", "--locked"];
    command::run(cargo(&["clippy"]).args(COMMAND).args(["--all-targets", "--", "-D", "warnings"]))?;
    command::run(cargo(&["test"]).args(COMMAND).args(["--bins", "tsdb"]))?;
    command::run(cargo(&["build"]).args(COMMAND))?;
    tools::install_parquet_readers()?;
    let mut test = cargo(&["test", "-p", "sonde-tests", "--locked", "--test", "parquet"]);
    command::run(test.env("SONDE_TOOLS", tools::dir()))
}
