//! `cargo xtask bench`: the criterion benchmarks of every crate.

use anyhow::Result;

use crate::command;

/// Runs the benchmarks whose name holds `filter`, or all.
pub(crate) fn bench(filter: Option<&str>) -> Result<()> {
    let mut args = vec!["bench", "--workspace", "--benches"];
    if let Some(filter) = filter {
        args.extend(["--", filter]);
    }
    command::run(&mut command::cargo(&args))
}
