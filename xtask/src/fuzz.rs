//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer, with coverage, on the stable toolchain.
//!
//! Coverage needs only flags of LLVM that stable passes on. Sanitizers would need nightly and find little: the project has no
//! unsafe code of its own.

use anyhow::{Context, Result, bail};

use crate::command;

/// What instruments the code, and turns checksums off so that inputs reach what lies behind them.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Runs one target, or all, for so many seconds each. What crashes lies in `target/fuzz/TARGET` afterwards.
pub(crate) fn fuzz(target: Option<&str>, seconds: u64) -> Result<()> {
    let dir = command::workspace_root().join("fuzz");
    let build_dir = command::target_dir().join("fuzz");
    // With a target named, build scripts and macros are not instrumented.
    let host = host()?;
    let mut cargo = command::cargo(&["build", "--release", "--bins", "--target", &host]);
    cargo.current_dir(&dir).env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &build_dir);
    command::run(&mut cargo)?;
    let mut targets: Vec<String> = std::fs::read_dir(dir.join("targets"))?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| target.is_none_or(|wanted| wanted == name))
        .collect();
    targets.sort();
    if targets.is_empty() {
        bail!("there is no such target in {}", dir.join("targets").display());
    }
    let corpora = build_dir.join("corpus");
    // What the fuzzer begins with: stores and requests that are made anew, queries and rules of this tree.
    let mut seeds = std::process::Command::new(build_dir.join(&host).join("release/seeds"));
    seeds.arg("-runs=0").env("SONDE_CORPUS", &corpora).env("SONDE_ROOT", command::workspace_root());
    command::run_quietly(&mut seeds)?;
    for name in targets {
        let corpus = corpora.join(&name);
        std::fs::create_dir_all(&corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
        let mut run = std::process::Command::new(build_dir.join(&host).join("release").join(&name));
        run.arg(&corpus).arg(format!("-max_total_time={seconds}")).args([
            "-rss_limit_mb=2048",
            "-timeout=20",
            "-print_final_stats=1",
        ]);
        run.arg(format!("-artifact_prefix={}/", corpus.display())).env("RUST_BACKTRACE", "1");
        command::run(&mut run)?;
    }
    Ok(())
}

/// The platform that rustc builds for by itself.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc").arg("-vV").output().context("cannot start `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("`rustc -vV` names no host")
}
