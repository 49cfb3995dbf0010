//! `cargo xtask test`: every check and test there is; `.ci/run` is this command.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::steps::Steps;
use crate::tools;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only the checks that need no build of tests: format, clippy, docs, deny.
    #[arg(long)]
    check_only: bool,
}

/// Runs all steps, prints what was not run and why, and fails if any step failed.
pub(crate) fn test(options: &Options) -> Result<()> {
    let not_run = target_file("not-run.txt");
    let passed = target_file("passed.txt");
    for file in [&not_run, &passed] {
        std::fs::create_dir_all(command::target_dir())?;
        std::fs::write(file, "")?;
    }
    let mut steps = Steps::default();
    let mut missing = Vec::new();
    steps.step("format", || command::run(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("clippy", || {
        command::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    });
    steps.step("docs", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
        command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    if command::on_path("cargo-deny") {
        steps.step("deny", || command::run(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])));
    } else {
        missing.push(
            "cargo deny (not installed; deny.toml's bans and licences are also checked by tests/tidy)".to_owned(),
        );
    }
    if !options.check_only {
        steps.step("tools", || {
            missing.extend(tools::install());
            Ok(())
        });
        steps.step("build", || command::run(&mut cargo(&["build", "--workspace", "--bins", "--locked"])));
        steps.step("tests", || {
            // One after another where tests start servers: two cores are shared with what they measure.
            let mut test = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
            test.env("SONDE_TOOLS", tools::dir()).env("SONDE_NOT_RUN", &not_run).env("SONDE_PASSED", &passed);
            command::run(&mut test)
        });
    }
    print_file("conformance, passed/total", &passed);
    missing.extend(std::fs::read_to_string(&not_run).unwrap_or_default().lines().map(str::to_owned));
    println!("\n=== not run");
    if missing.is_empty() {
        println!("nothing: everything ran");
    }
    for line in &missing {
        println!("{line}");
    }
    steps.sum_up()
}

fn target_file(name: &str) -> PathBuf {
    command::target_dir().join(name)
}

fn print_file(title: &str, path: &PathBuf) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if !text.is_empty() {
        print!("\n=== {title}\n{text}");
    }
}
