//! What is measured of this host, and how often.

use std::fmt;

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

use super::pattern::Patterns;
use super::{InvalidConfig, at_least, invalid};

/// What is measured of this host.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// How often.
    pub interval: Duration,
    /// How often what may take long is read: filesystems, process states, connections.
    pub slow_interval: Duration,
    /// What. An empty list turns host metrics off.
    pub receivers: Vec<HostReceiver>,
    /// Where the root of the host is mounted, in a container: only what lies below it is measured, and told without it.
    pub root: String,
    /// Whether CPU time is told for each CPU instead of for all together.
    pub per_cpu: bool,
    /// Block devices that are left out.
    pub disk_exclude: Patterns,
    /// Kinds of filesystems that are left out; the root is always there.
    pub filesystem_exclude_types: Patterns,
    /// Mount points that are left out.
    pub filesystem_exclude_mounts: Patterns,
    /// Network interfaces that are left out.
    pub network_exclude: Patterns,
}

/// One receiver of host metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostReceiver {
    /// CPU time and utilisation.
    Cpu,
    /// Memory by state.
    Memory,
    /// Swap, page faults.
    Paging,
    /// Block devices.
    Disk,
    /// How full filesystems are.
    Filesystem,
    /// Network interfaces.
    Network,
    /// Load averages.
    Load,
    /// Time since boot.
    Uptime,
    /// Processes by state.
    Processes,
    /// TCP connections by state. Not on by default: its cost grows with their number.
    Connections,
}

/// Pseudo filesystems, and those over a network, which may hang.
const EXCLUDED_TYPES: [&str; 41] = [
    "9p",
    "afs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "ceph",
    "cgroup",
    "cgroup2",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.*",
    "fusectl",
    "glusterfs",
    "gpfs",
    "hugetlbfs",
    "iso9660",
    "lustre",
    "mqueue",
    "ncpfs",
    "nfs",
    "nfs4",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smb3",
    "smbfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "virtiofs",
];

impl HostReceiver {
    /// Every receiver there is.
    pub const ALL: [HostReceiver; 10] = [
        HostReceiver::Cpu,
        HostReceiver::Memory,
        HostReceiver::Paging,
        HostReceiver::Disk,
        HostReceiver::Filesystem,
        HostReceiver::Network,
        HostReceiver::Load,
        HostReceiver::Uptime,
        HostReceiver::Processes,
        HostReceiver::Connections,
    ];

    /// The name, as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            HostReceiver::Cpu => "cpu",
            HostReceiver::Memory => "memory",
            HostReceiver::Paging => "paging",
            HostReceiver::Disk => "disk",
            HostReceiver::Filesystem => "filesystem",
            HostReceiver::Network => "network",
            HostReceiver::Load => "load",
            HostReceiver::Uptime => "uptime",
            HostReceiver::Processes => "processes",
            HostReceiver::Connections => "connections",
        }
    }
}

impl fmt::Display for HostReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl HostConfig {
    /// Whether anything reads what is slow.
    pub fn has_slow(&self) -> bool {
        let slow = [HostReceiver::Filesystem, HostReceiver::Processes, HostReceiver::Connections];
        self.receivers.iter().any(|receiver| slow.contains(receiver))
    }

    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        at_least("host.interval", self.interval, Duration::from_millis(100))?;
        at_least("host.slow_interval", self.slow_interval, self.interval)?;
        if !self.root.starts_with('/') {
            return Err(invalid("host.root", format!("{:?} is no absolute path", self.root)));
        }
        let mut seen = self.receivers.clone();
        seen.sort_unstable();
        match seen.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(invalid("host.receivers", format!("{} stands there twice", pair[0]))),
            None => Ok(()),
        }
    }
}

impl Default for HostConfig {
    fn default() -> Self {
        let by_default = HostReceiver::ALL.into_iter().filter(|receiver| *receiver != HostReceiver::Connections);
        HostConfig {
            interval: Duration::from_secs(5),
            slow_interval: Duration::from_secs(15),
            receivers: by_default.collect(),
            root: "/".to_owned(),
            per_cpu: false,
            disk_exclude: Patterns::of(&["loop*", "ram*", "zram*", "fd*", "sr*"]),
            filesystem_exclude_types: Patterns::of(&EXCLUDED_TYPES),
            filesystem_exclude_mounts: Patterns::of(&[
                "/var/lib/docker/*",
                "/var/lib/containers/*",
                "/run/*",
                "/snap/*",
            ]),
            network_exclude: Patterns::of(&["veth*"]),
        }
    }
}
