//! Filesystems: which are mounted from /proc/self/mountinfo, how full they are from statvfs.

use std::collections::BTreeMap;

use crate::config::Patterns;
use crate::payload::Payload;

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number, as `254:0`: the same for every mount of the same filesystem.
    pub id: String,
    /// What is mounted, as `/dev/vda1`.
    pub device: String,
    /// Where, for the host.
    pub mountpoint: String,
    /// Where, for the agent: in a container below the root of the host.
    pub path: String,
    /// The kind, as `ext4`.
    pub kind: String,
    /// Whether it can be written, by anyone: the filesystem itself, not this mount of it.
    pub writable: bool,
}

/// How full a filesystem is, in bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What nothing uses, the part reserved for root included.
    pub free: u64,
    /// What ordinary users can still write.
    pub available: u64,
    /// Inodes; 0 where the filesystem has no fixed number.
    pub inodes: u64,
    /// Inodes that nothing uses.
    pub inodes_free: u64,
}

/// Reads /proc/self/mountinfo: one mount of each filesystem, the one with the shortest path, unless left out by kind
/// or by mount point. Only what is mounted at or below `root` counts.
pub fn parse_mountinfo(text: &str, root: &str, exclude_kinds: &Patterns, exclude_mounts: &Patterns) -> Vec<Mount> {
    let mut mounts: BTreeMap<String, Mount> = BTreeMap::new();
    for mount in text.lines().filter_map(|line| parse_mount(line, root)) {
        // The root of a container is an overlay, and its only disk.
        let is_root = mount.mountpoint == "/";
        if exclude_kinds.cover(&mount.kind) && !is_root || exclude_mounts.cover(&mount.mountpoint) {
            continue;
        }
        match mounts.get(&mount.id) {
            Some(known) if known.mountpoint.len() <= mount.mountpoint.len() => {}
            _ => {
                mounts.insert(mount.id.clone(), mount);
            }
        }
    }
    mounts.into_values().collect()
}

/// `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS FIELDS... - KIND DEVICE SUPER-OPTIONS`
///
/// The options of the mount do not say whether the filesystem is read-only: a sandbox (systemd's `ProtectSystem=strict`,
/// a read-only volume) makes every mount read-only for the agent alone. A disk that fails shows in the super-options.
fn parse_mount(line: &str, root: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut words = mount.split(' ').skip(2);
    let (id, path, _options) = (words.next()?, words.nth(1)?, words.next()?);
    let mut words = filesystem.split(' ');
    let (kind, device, super_options) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    let path = unescape(path);
    Some(Mount {
        id: id.to_owned(),
        device: unescape(device),
        mountpoint: below(root, &path)?.to_owned(),
        path,
        kind: kind.to_owned(),
        writable: !super_options.split(',').any(|option| option == "ro"),
    })
}

/// What a path is called where `root` is the root; `None` where it lies elsewhere.
fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(root.trim_end_matches('/'))? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Undoes the octal escapes of the kernel: `\040` is a space.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Adds the metrics of the filesystems whose space is known.
pub fn record(filesystems: &[(Mount, Space)], payload: &mut Payload) {
    payload.up_down("system.filesystem.usage", "By", "Space in each state; reserved is for root only.", |points| {
        for (mount, space) in filesystems {
            for (state, bytes) in space.states() {
                points.add(&with_state(&mount.attributes(), state), bytes);
            }
        }
    });
    let help = "Share of the space that is used, of what ordinary users can write.";
    payload.gauge("system.filesystem.utilization", "1", help, |points| {
        for (mount, space) in filesystems {
            let used = space.total.saturating_sub(space.free);
            let writable = used.saturating_add(space.available);
            if writable > 0 {
                points.add(&with_state(&mount.attributes(), "used"), used as f64 / writable as f64);
            }
        }
    });
    payload.up_down("system.filesystem.limit", "By", "Size of the filesystem.", |points| {
        for (mount, space) in filesystems {
            points.add(&mount.attributes(), space.total);
        }
    });
    payload.up_down("system.filesystem.inodes.usage", "{inode}", "Inodes in each state.", |points| {
        for (mount, space) in filesystems.iter().filter(|(_, space)| space.inodes > 0) {
            let used = space.inodes.saturating_sub(space.inodes_free);
            points.add(&with_state(&mount.attributes(), "used"), used);
            points.add(&with_state(&mount.attributes(), "free"), space.inodes_free);
        }
    });
}

fn with_state<'a>(attributes: &[(&'a str, &'a str); 4], state: &'a str) -> [(&'a str, &'a str); 5] {
    let [device, mountpoint, kind, mode] = *attributes;
    [device, mountpoint, kind, mode, ("system.filesystem.state", state)]
}

impl Mount {
    fn attributes(&self) -> [(&str, &str); 4] {
        [
            ("system.device", &self.device),
            ("system.filesystem.mountpoint", &self.mountpoint),
            ("system.filesystem.type", &self.kind),
            ("system.filesystem.mode", if self.writable { "rw" } else { "ro" }),
        ]
    }
}

impl Space {
    fn states(&self) -> [(&'static str, u64); 3] {
        [
            ("used", self.total.saturating_sub(self.free)),
            ("free", self.available),
            ("reserved", self.free.saturating_sub(self.available)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    const MOUNTINFO: &str = include_str!("fixtures/mountinfo.txt");

    #[test]
    fn one_mount_of_each_filesystem() {
        let kinds = Patterns::of(&["proc", "sysfs", "tmpfs", "cgroup*", "overlay", "nfs*"]);
        let mounts = parse_mountinfo(MOUNTINFO, "/", &kinds, &Patterns::of(&["/snap/*"]));
        let seen: Vec<_> =
            mounts.iter().map(|m| (m.mountpoint.as_str(), m.device.as_str(), m.kind.as_str(), m.writable)).collect();
        assert_eq!(
            seen,
            [
                ("/", "overlay", "overlay", true),
                ("/media/my disk", "/dev/sdb1", "vfat", false),
                ("/data", "/dev/mapper/vg-data", "ext4", true),
            ]
        );
    }

    #[test]
    fn a_sandbox_makes_nothing_read_only() {
        let mount = parse_mount("27 1 254:0 / / ro,relatime - ext4 /dev/vda rw", "/").unwrap();
        assert!(mount.writable, "the mount is read-only for the agent alone");
        let mount = parse_mount("27 1 254:0 / / rw,relatime - ext4 /dev/vda ro,errors=remount-ro", "/").unwrap();
        assert!(!mount.writable, "the disk failed");
    }

    #[test]
    fn in_a_container_mounts_lie_below_the_root_of_the_host() {
        let text = "1 0 0:40 / / rw - overlay overlay rw\n\
                    2 1 254:0 /etc/hosts /etc/hosts rw - ext4 /dev/vda rw\n\
                    3 1 254:0 / /host ro - ext4 /dev/vda rw\n\
                    4 3 254:1 / /host/data rw - xfs /dev/vdb rw\n\
                    5 3 254:2 / /host/run/x rw - xfs /dev/vdc rw\n\
                    6 1 254:3 / /hosting rw - xfs /dev/vdd rw\n";
        for root in ["/host", "/host/"] {
            let mounts = parse_mountinfo(text, root, &Patterns::of(&["overlay"]), &Patterns::of(&["/run/*"]));
            let seen: Vec<_> = mounts.iter().map(|m| (m.mountpoint.as_str(), m.path.as_str())).collect();
            assert_eq!(seen, [("/", "/host"), ("/data", "/host/data")]);
        }
    }

    #[test]
    fn reserved_space_is_not_free() {
        let mount = parse_mount("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", "/").unwrap();
        let space = Space { total: 1_000, free: 500, available: 450, inodes: 10, inodes_free: 4 };
        let mut payload = Payload::new(0, 0);
        record(&[(mount, space)], &mut payload);
        let attributes = "system.device=/dev/vda,system.filesystem.mountpoint=/,system.filesystem.type=ext4,\
                          system.filesystem.mode=rw";
        assert_eq!(
            lines(&payload),
            [
                format!("system.filesystem.usage{{{attributes},system.filesystem.state=used}} By updown 500"),
                format!("system.filesystem.usage{{{attributes},system.filesystem.state=free}} By updown 450"),
                format!("system.filesystem.usage{{{attributes},system.filesystem.state=reserved}} By updown 50"),
                format!(
                    "system.filesystem.utilization{{{attributes},system.filesystem.state=used}} 1 gauge 0.5263157894736842"
                ),
                format!("system.filesystem.limit{{{attributes}}} By updown 1000"),
                format!(
                    "system.filesystem.inodes.usage{{{attributes},system.filesystem.state=used}} {{inode}} updown 6"
                ),
                format!(
                    "system.filesystem.inodes.usage{{{attributes},system.filesystem.state=free}} {{inode}} updown 4"
                ),
            ]
        );
    }

    #[test]
    fn escapes_are_undone() {
        for (text, plain) in [("/a\\040b", "/a b"), ("\\134", "\\"), ("\\04", "\\04"), ("\\999", "\\999"), ("é", "é")]
        {
            assert_eq!(unescape(text), plain);
        }
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in ["", "27 1 254:0 / /", "27 1 254:0 / / rw", "27 1 254:0 / / rw - ext4"] {
            assert_eq!(parse_mount(line, "/"), None, "{line}");
        }
    }
}
