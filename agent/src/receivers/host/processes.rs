//! Processes: how many in which state from /proc/PID/stat, how many were created from /proc/stat.

use super::text::value_of;
use crate::payload::Payload;

/// The states of the semantic conventions.
const STATES: [&str; 4] = ["running", "sleeping", "stopped", "defunct"];

/// Processes by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessStates([u64; STATES.len()]);

impl ProcessStates {
    /// Counts a process by the text of its /proc/PID/stat; a text that is cut off counts as nothing.
    pub fn count(&mut self, stat: &str) {
        // The name in parentheses may hold anything, parentheses and spaces too: the state is behind the last one.
        let state = stat.rfind(')').and_then(|end| stat[end + 1..].trim_start().chars().next());
        let index = match state {
            Some('R') => 0,
            Some('S' | 'D' | 'I' | 'W' | 'P' | 'K') => 1,
            Some('T' | 't') => 2,
            Some('Z' | 'X' | 'x') => 3,
            _ => return,
        };
        self.0[index] += 1;
    }

    /// Adds the counts.
    pub fn record(&self, payload: &mut Payload) {
        payload.up_down("system.process.count", "{process}", "Processes in each state.", |points| {
            for (state, count) in STATES.iter().zip(self.0) {
                points.add(&[("process.state", state)], count);
            }
        });
    }
}

/// Processes created since boot, from /proc/stat.
pub fn parse_created(stat: &str) -> Option<u64> {
    value_of(stat, "processes")
}

/// Adds what is cheap to read; `limit` is the largest number of threads.
pub fn record(created: Option<u64>, limit: Option<u64>, payload: &mut Payload) {
    payload.counter("system.process.created", "{process}", "Processes created since boot.", |points| {
        if let Some(count) = created {
            points.add(&[], count);
        }
    });
    payload.up_down("system.process.limit", "{thread}", "How many threads the kernel allows.", |points| {
        if let Some(count) = limit {
            points.add(&[], count);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    #[test]
    fn states_are_behind_the_last_parenthesis() {
        let mut states = ProcessStates::default();
        for stat in [
            "1 (systemd) S 0 1 1",
            "2 (kworker/0:0) I 2 0 0",
            "3 (evil) R (name) D 1 3 3",
            "4 (cargo) R 1 4 4",
            "5 (gone) Z 1 5 5",
            "6 (paused) T 1 6 6",
            "7 (cut",
            "8 (cut)",
            "",
        ] {
            states.count(stat);
        }
        let mut payload = Payload::new(0, 0);
        states.record(&mut payload);
        record(parse_created("cpu 1\nprocesses 26875\nprocs_running 8\n"), Some(192_827), &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.process.count{process.state=running} {process} updown 1",
                "system.process.count{process.state=sleeping} {process} updown 3",
                "system.process.count{process.state=stopped} {process} updown 1",
                "system.process.count{process.state=defunct} {process} updown 1",
                "system.process.created{} {process} counter 26875",
                "system.process.limit{} {thread} updown 192827",
            ]
        );
    }
}
