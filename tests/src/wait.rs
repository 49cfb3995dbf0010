//! Waiting for a condition with a deadline, never for a time.

use std::time::Duration;

use crate::Stopwatch;

/// Asks `probe` until it answers `Ok`, and gives its answer; panics with its last word after `deadline`.
pub fn wait_for<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Stopwatch::start();
    let pause = Duration::from_millis(20);
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(reason) if start.elapsed() > deadline => panic!("{what}: not within {deadline:?}: {reason}"),
            Err(_) => std::thread::sleep(pause),
        }
    }
}

/// Asks `probe` until it is true; panics after `deadline`.
pub fn eventually(what: &str, deadline: Duration, mut probe: impl FnMut() -> bool) {
    wait_for(what, deadline, || if probe() { Ok(()) } else { Err("still not so".to_owned()) });
}
