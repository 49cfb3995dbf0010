//! `cargo xtask run`: the main job, on the embedded store, with one command.

use anyhow::Result;

use crate::command;

/// Builds the release binary and becomes `sonde up`; Ctrl-C reaches it and it stops in order.
pub(crate) fn run(args: &[String]) -> Result<()> {
    command::run(&mut command::cargo(&["build", "--release", "--package", "sonde"]))?;
    let mut sonde = std::process::Command::new(command::target_dir().join("release/sonde"));
    sonde.arg("up").args(args);
    become_process(&mut sonde)
}

#[cfg(unix)]
fn become_process(command: &mut std::process::Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    // Signals must reach the server and nobody else, so this process makes way.
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_process(command: &mut std::process::Command) -> Result<()> {
    command::run(command)
}
