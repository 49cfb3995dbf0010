//! Host metrics: CPU, memory, paging, disks, filesystems, network, load, uptime, processes.
//!
//! On Linux each receiver is a pure parser over a file under /proc or /sys; elsewhere `sysinfo` gives what it can. One
//! collection is one payload. What cannot be read is left out and counted, the rest goes on.

pub mod cpu;
pub mod disk;
pub mod filesystem;
pub mod load;
pub mod memory;
pub mod network;
pub mod own_process;
pub mod paging;
pub mod portable;
pub mod processes;
mod slow;
mod source;
mod task;
mod text;

use std::time::Duration;

use crate::config::{HostConfig, HostReceiver};
use crate::payload::Payload;
use source::{ReadError, Source};

pub use slow::{Slow, SlowReading};
pub use task::{HostStats, run};

/// Collects the metrics of this host.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    source: Source,
    /// When the host was started, in nanoseconds since the Unix epoch: the start of its counters.
    boot_ns: i64,
    physical_cores: Option<u64>,
    cpu_before: Option<cpu::CpuStat>,
    portable: Option<portable::Portable>,
    /// Receivers whose last reading failed: one log line per cause, not one per second.
    failing: Vec<HostReceiver>,
}

/// What one collection gave.
#[derive(Debug)]
pub struct Collection {
    /// The metrics.
    pub payload: Payload,
    /// Receivers that could not be read.
    pub failed: Vec<HostReceiver>,
}

impl Host {
    /// Prepares collecting. `now_ns` and uptime tell when the host was started.
    pub fn new(config: HostConfig, now_ns: i64) -> Self {
        let mut source = Source::new();
        let on_linux = cfg!(target_os = "linux");
        let boot_ns = source.boot_ns().unwrap_or_else(|| now_ns.saturating_sub(portable::uptime_ns()));
        let physical_cores = source.read("/proc/cpuinfo").ok().and_then(cpu::parse_physical_cores);
        let portable = if on_linux { None } else { portable::Portable::new() };
        Host { config, source, boot_ns, physical_cores, cpu_before: None, portable, failing: Vec::new() }
    }

    /// Reads everything that is cheap, and adds what the slow receivers read since the last time.
    pub fn collect(&mut self, time_ns: i64, slow: Option<&SlowReading>) -> Collection {
        let mut payload = Payload::new(time_ns, self.boot_ns);
        let mut failed = Vec::new();
        if let Some(portable) = &mut self.portable {
            portable.record(&self.config.receivers, &mut payload);
        } else {
            for receiver in self.config.receivers.clone() {
                let read = self.read(receiver, slow, &mut payload);
                self.note(receiver, read, &mut failed);
            }
        }
        Collection { payload, failed }
    }

    fn read(
        &mut self,
        receiver: HostReceiver,
        slow: Option<&SlowReading>,
        payload: &mut Payload,
    ) -> Result<(), ReadError> {
        let (source, config) = (&mut self.source, &self.config);
        match receiver {
            HostReceiver::Cpu => {
                let now = source.parse("/proc/stat", cpu::parse_stat)?;
                cpu::record(&now, self.cpu_before.as_ref(), self.physical_cores, config.per_cpu, payload);
                self.cpu_before = Some(now);
            }
            HostReceiver::Memory => {
                memory::record(&source.parse("/proc/meminfo", memory::parse_meminfo)?, payload);
            }
            HostReceiver::Paging => {
                let faults = source.parse("/proc/vmstat", paging::parse_vmstat)?;
                // A kernel without swap has no such file.
                let swaps = source.read("/proc/swaps").map(paging::parse_swaps).unwrap_or_default();
                paging::record(&swaps, Some(&faults), payload);
            }
            HostReceiver::Disk => {
                let disks = disk::parse_diskstats(source.read("/proc/diskstats")?, &config.disk_exclude);
                let capacity = |device: &str| {
                    // Slashes in device names are exclamation marks under /sys.
                    let path = format!("/sys/block/{}/size", device.replace('/', "!"));
                    source.parse(&path, disk::parse_size).ok()
                };
                disk::record(&disks, capacity, payload);
            }
            HostReceiver::Network => {
                let interfaces = network::parse_net_dev(source.read("/proc/net/dev")?, &config.network_exclude);
                network::record(&interfaces, payload);
            }
            HostReceiver::Load => load::record(source.parse("/proc/loadavg", load::parse_loadavg)?, payload),
            HostReceiver::Uptime => load::record_uptime(source.parse("/proc/uptime", load::parse_uptime)?, payload),
            HostReceiver::Processes => {
                let created = source.parse("/proc/stat", processes::parse_created)?;
                let limit = source.parse("/proc/sys/kernel/threads-max", |text| text.trim().parse().ok()).ok();
                processes::record(Some(created), limit, payload);
                if let Some(states) = slow.and_then(|slow| slow.processes.as_ref()) {
                    states.record(payload);
                }
            }
            HostReceiver::Filesystem => {
                if let Some(slow) = slow {
                    filesystem::record(&slow.filesystems, payload);
                    if let Some(error) = &slow.filesystem_error {
                        return Err(error.clone());
                    }
                }
            }
            HostReceiver::Connections => {
                if let Some(states) = slow.and_then(|slow| slow.connections.as_ref()) {
                    network::record_connections(states, payload);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, receiver: HostReceiver, read: Result<(), ReadError>, failed: &mut Vec<HostReceiver>) {
        match read {
            Ok(()) => self.failing.retain(|failing| *failing != receiver),
            Err(error) => {
                failed.push(receiver);
                if !self.failing.contains(&receiver) {
                    self.failing.push(receiver);
                    tracing::warn!("host receiver {receiver} cannot be read: {error}; the others go on");
                }
            }
        }
    }
}

/// How long a slow reading may hold up a collection.
pub fn slow_patience(interval: Duration) -> Duration {
    (interval / 2).min(Duration::from_secs(2))
}

#[cfg(test)]
mod tests;
