//! What the process of the agent itself uses, from /proc/self/stat.

use std::time::Duration;

use super::source::Source;

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnProcess {
    /// CPU time of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// Memory that it holds.
    pub resident_bytes: u64,
}

/// Reads what this process uses; `None` on a system without /proc.
pub fn read() -> Option<OwnProcess> {
    Source::new().parse("/proc/self/stat", |text| parse(text, page_bytes())).ok()
}

fn parse(stat: &str, page_bytes: u64) -> Option<OwnProcess> {
    let behind_name = &stat[stat.rfind(')')? + 1..];
    // The state, the first word, is field 3.
    let mut fields = behind_name.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let pages: u64 = fields.nth(8)?.parse().ok()?;
    // A tick is 10 ms on every architecture that Rust supports.
    let cpu = Duration::from_millis(user.saturating_add(system).saturating_mul(10));
    Some(OwnProcess { cpu, resident_bytes: pages.saturating_mul(page_bytes) })
}

#[cfg(unix)]
fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(not(unix))]
fn page_bytes() -> u64 {
    4_096
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: u64 = 4_096;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat =
            "7 (a) b) S 1 7 7 0 -1 4194560 900 0 3 0 120 30 0 0 20 0 5 0 1000 99999 1234 18446744073709551615 1 1";
        let expected = OwnProcess { cpu: Duration::from_millis(1_500), resident_bytes: 1_234 * PAGE_BYTES };
        assert_eq!(parse(stat, PAGE_BYTES), Some(expected));
        assert_eq!(parse("7 (a) S 1", PAGE_BYTES), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_holds_memory() {
        assert!(read().unwrap().resident_bytes > 100_000);
    }
}
