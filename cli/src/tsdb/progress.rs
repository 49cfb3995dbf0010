//! How far long work is: a bar where somebody looks at a terminal, a line now and then where not.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use sonde_runtime::Clock;
/// A number with its thousands apart.
pub(super) use sonde_runtime::numbers::thousands as count;

/// A bar is drawn anew so often.
const REDRAW: Duration = Duration::from_millis(100);
/// Without a terminal a line comes so often.
const LINE: Duration = Duration::from_secs(10);
/// Characters of the bar itself.
const WIDTH: usize = 30;

/// Tells on stderr how far the work is.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    unit: Unit,
    clock: Clock,
    started: Duration,
    told: Duration,
    is_terminal: bool,
    drawn: bool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Samples,
}

impl Progress {
    /// Work with this name begins.
    pub(super) fn new(what: &'static str, unit: Unit) -> Self {
        let clock = Clock::system();
        let started = clock.monotonic();
        let is_terminal = std::io::stderr().is_terminal();
        Progress { what, unit, clock, started, told: started, is_terminal, drawn: false }
    }

    /// So much is done, of so much where that is known.
    pub(super) fn at(&mut self, done: u64, total: Option<u64>) {
        let now = self.clock.monotonic();
        let pause = if self.is_terminal { REDRAW } else { LINE };
        if now.saturating_sub(self.told) < pause {
            return;
        }
        self.told = now;
        let line = line(self.what, self.unit, done, total, now.saturating_sub(self.started), self.is_terminal);
        let text = if self.is_terminal { format!("\r{line}\x1b[K") } else { format!("{line}\n") };
        self.drawn = true;
        // Where stderr is gone there is nobody left to tell.
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
}

impl Drop for Progress {
    /// The bar leaves no trace: what comes of the work is told by others.
    fn drop(&mut self) {
        if self.is_terminal && self.drawn {
            drop(std::io::stderr().write_all(b"\r\x1b[K"));
        }
    }
}

fn line(what: &str, unit: Unit, done: u64, total: Option<u64>, elapsed: Duration, with_bar: bool) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let speed = done as f64 / seconds;
    let rate = format!("{}/s", amount(unit, speed));
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{what}: {} at {rate}", amount(unit, done as f64));
    };
    let share = (done as f64 / total as f64).clamp(0.0, 1.0);
    let left = if speed > 0.0 { (total.saturating_sub(done)) as f64 / speed } else { 0.0 };
    let left = format!("{}:{:02} left", left as u64 / 60, left as u64 % 60);
    let full = (share * WIDTH as f64) as usize;
    let bar = if with_bar { format!("[{}{}] ", "#".repeat(full), " ".repeat(WIDTH - full)) } else { String::new() };
    format!("{what}: {bar}{:.0} % of {} at {rate}, {left}", share * 100.0, amount(unit, total as f64))
}

fn amount(unit: Unit, n: f64) -> String {
    match unit {
        Unit::Bytes => bytes(n as u64),
        Unit::Samples => format!("{} samples", count(n as u64)),
    }
}

/// Bytes for people.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        let at = |done, total, bar| line("reading", Unit::Bytes, done, total, Duration::from_secs(2), bar);
        assert_eq!(at(1 << 20, Some(4 << 20), false), "reading: 25 % of 4.0 MiB at 512.0 KiB/s, 0:06 left");
        assert_eq!(
            at(2 << 20, Some(4 << 20), true),
            "reading: [###############               ] 50 % of 4.0 MiB at 1.0 MiB/s, 0:02 left"
        );
        assert_eq!(at(100, None, true), "reading: 100 B at 50 B/s");
        assert_eq!(line("x", Unit::Samples, 0, None, Duration::ZERO, true), "x: 0 samples at 0 samples/s");
    }
}
