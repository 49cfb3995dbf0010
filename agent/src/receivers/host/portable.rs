//! Host metrics through `sysinfo`, for systems without /proc: a developer's macOS or Windows.
//!
//! It gives less than Linux does: memory, swap, load, uptime, the number of CPUs and how busy they are.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::load;
use crate::config::HostReceiver;
use crate::payload::Payload;

/// The host as `sysinfo` sees it.
#[derive(Debug)]
pub struct Portable {
    system: System,
}

impl Portable {
    /// Prepares reading; `None` on a system that `sysinfo` does not know.
    pub fn new() -> Option<Self> {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::everything());
        System::new_with_specifics(kinds).ok().map(|system| Portable { system })
    }

    /// Adds what these receivers can read.
    pub fn record(&mut self, receivers: &[HostReceiver], payload: &mut Payload) {
        for receiver in receivers {
            match receiver {
                HostReceiver::Cpu => self.cpu(payload),
                HostReceiver::Memory => self.memory(payload),
                HostReceiver::Paging => self.paging(payload),
                HostReceiver::Load => {
                    if let Ok(average) = System::load_average() {
                        load::record([average.one, average.five, average.fifteen], payload);
                    }
                }
                HostReceiver::Uptime => {
                    if let Ok(seconds) = System::uptime() {
                        load::record_uptime(seconds as f64, payload);
                    }
                }
                HostReceiver::Disk
                | HostReceiver::Filesystem
                | HostReceiver::Network
                | HostReceiver::Processes
                | HostReceiver::Connections => {}
            }
        }
    }

    fn cpu(&mut self, payload: &mut Payload) {
        self.system.refresh_cpu_usage();
        let busy = f64::from(self.system.global_cpu_usage()) / 100.0;
        payload.up_down("system.cpu.logical.count", "{cpu}", "Logical CPUs that are on line.", |points| {
            points.add(&[], self.system.cpus().len() as u64);
        });
        let help = "Share of CPU time spent in each mode since the reading before, all CPUs together.";
        payload.gauge("system.cpu.utilization", "1", help, |points| {
            points.add(&[("cpu.mode", "user")], busy);
            points.add(&[("cpu.mode", "idle")], 1.0 - busy);
        });
    }

    fn memory(&mut self, payload: &mut Payload) {
        self.system.refresh_memory();
        let (total, used) = (self.system.total_memory(), self.system.used_memory());
        let states = [("used", used), ("free", total.saturating_sub(used))];
        payload.up_down("system.memory.usage", "By", "Memory in each state.", |points| {
            states.iter().for_each(|(state, bytes)| points.add(&[("system.memory.state", state)], *bytes));
        });
        payload.up_down("system.memory.limit", "By", "Memory of the machine.", |points| points.add(&[], total));
        payload.gauge("system.memory.utilization", "1", "Share of memory in each state.", |points| {
            let share = |bytes: u64| if total > 0 { bytes as f64 / total as f64 } else { 0.0 };
            states.iter().for_each(|(state, bytes)| points.add(&[("system.memory.state", state)], share(*bytes)));
        });
    }

    fn paging(&mut self, payload: &mut Payload) {
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_swap());
        let (total, used) = (self.system.total_swap(), self.system.used_swap());
        payload.up_down("system.paging.usage", "By", "Swap space in each state.", |points| {
            points.add(&[("system.paging.state", "used")], used);
            points.add(&[("system.paging.state", "free")], total.saturating_sub(used));
        });
    }
}

/// How long the host has been up, in nanoseconds.
pub fn uptime_ns() -> i64 {
    i64::try_from(System::uptime().unwrap_or(0)).unwrap_or(0).saturating_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    #[test]
    fn sysinfo_gives_the_essentials() {
        let mut payload = Payload::new(0, 0);
        let receivers = [HostReceiver::Cpu, HostReceiver::Memory, HostReceiver::Load, HostReceiver::Uptime];
        Portable::new().unwrap().record(&receivers, &mut payload);
        let lines = lines(&payload);
        for name in ["system.cpu.utilization{", "system.memory.limit{", "system.cpu.load_average.1m{", "system.uptime{"]
        {
            assert!(lines.iter().any(|line| line.starts_with(name)), "{name} not in {lines:#?}");
        }
    }
}
