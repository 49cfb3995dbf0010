//! Paging: swap devices from /proc/swaps, faults and operations from /proc/vmstat.

use super::text::value_of;
use crate::payload::Payload;

/// A swap device or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapDevice {
    /// Its path.
    pub device: String,
    /// Its size in bytes.
    pub size: u64,
    /// How much of it is used, in bytes.
    pub used: u64,
}

/// What /proc/vmstat counts of paging, since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Page faults of both kinds.
    pub all: u64,
    /// Page faults that needed the disk.
    pub major: u64,
    /// Pages read from swap.
    pub swapped_in: u64,
    /// Pages written to swap.
    pub swapped_out: u64,
    /// KiB read from disks by paging of files.
    pub paged_in: u64,
    /// KiB written to disks by paging of files.
    pub paged_out: u64,
}

/// Reads /proc/swaps. Spaces in names are escaped as `\040`, as in all such files.
pub fn parse_swaps(text: &str) -> Vec<SwapDevice> {
    let parse_line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let device = super::filesystem::unescape(words.next()?);
        let kib = |word: Option<&str>| word?.parse::<u64>().ok()?.checked_mul(1024);
        let (size, used) = (kib(words.nth(1))?, kib(words.next())?);
        Some(SwapDevice { device, size, used })
    };
    text.lines().skip(1).filter_map(parse_line).collect()
}

/// Reads /proc/vmstat; `None` if it counts no faults.
pub fn parse_vmstat(text: &str) -> Option<Faults> {
    let count = |key| value_of(text, key).unwrap_or(0);
    Some(Faults {
        all: value_of(text, "pgfault")?,
        major: count("pgmajfault"),
        swapped_in: count("pswpin"),
        swapped_out: count("pswpout"),
        paged_in: count("pgpgin"),
        paged_out: count("pgpgout"),
    })
}

/// Adds the metrics of a reading.
pub fn record(swaps: &[SwapDevice], faults: Option<&Faults>, payload: &mut Payload) {
    let states = |swap: &SwapDevice| [("used", swap.used), ("free", swap.size.saturating_sub(swap.used))];
    payload.up_down("system.paging.usage", "By", "Swap space in each state.", |points| {
        for swap in swaps {
            for (state, bytes) in states(swap) {
                points.add(&[("system.device", &swap.device), ("system.paging.state", state)], bytes);
            }
        }
    });
    payload.gauge("system.paging.utilization", "1", "Share of swap space in each state.", |points| {
        for swap in swaps.iter().filter(|swap| swap.size > 0) {
            for (state, bytes) in states(swap) {
                let share = bytes as f64 / swap.size as f64;
                points.add(&[("system.device", &swap.device), ("system.paging.state", state)], share);
            }
        }
    });
    let Some(faults) = faults else { return };
    payload.counter("system.paging.faults", "{fault}", "Page faults; major ones needed the disk.", |points| {
        points.add(&[("system.paging.fault.type", "major")], faults.major);
        points.add(&[("system.paging.fault.type", "minor")], faults.all.saturating_sub(faults.major));
    });
    let help = "Paging operations: major ones move pages of swap, minor ones KiB of files.";
    payload.counter("system.paging.operations", "{operation}", help, |points| {
        for (kind, direction, count) in [
            ("major", "in", faults.swapped_in),
            ("major", "out", faults.swapped_out),
            ("minor", "in", faults.paged_in),
            ("minor", "out", faults.paged_out),
        ] {
            points.add(&[("system.paging.fault.type", kind), ("system.paging.direction", direction)], count);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    const SWAPS: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
                         /dev/dm-1                               partition\t1000\t\t250\t\t-2\n\
                         /var/my\\040swap                        file\t\t1024\t\t0\t\t-3\n";

    #[test]
    fn swap_devices_are_told_apart() {
        let swaps = parse_swaps(SWAPS);
        assert_eq!(swaps[0], SwapDevice { device: "/dev/dm-1".into(), size: 1_000 << 10, used: 250 << 10 });
        assert_eq!(swaps[1].device, "/var/my swap");
        assert_eq!(parse_swaps("Filename Type Size Used Priority\n"), []);
    }

    #[test]
    fn faults_and_operations() {
        let faults =
            parse_vmstat("pgpgin 4255437\npgpgout 11651740\npswpin 1\npswpout 2\npgfault 100\npgmajfault 30\n");
        let mut payload = Payload::new(0, 0);
        record(&parse_swaps(SWAPS)[..1], faults.as_ref(), &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.paging.usage{system.device=/dev/dm-1,system.paging.state=used} By updown 256000",
                "system.paging.usage{system.device=/dev/dm-1,system.paging.state=free} By updown 768000",
                "system.paging.utilization{system.device=/dev/dm-1,system.paging.state=used} 1 gauge 0.25",
                "system.paging.utilization{system.device=/dev/dm-1,system.paging.state=free} 1 gauge 0.75",
                "system.paging.faults{system.paging.fault.type=major} {fault} counter 30",
                "system.paging.faults{system.paging.fault.type=minor} {fault} counter 70",
                "system.paging.operations{system.paging.fault.type=major,system.paging.direction=in} {operation} counter 1",
                "system.paging.operations{system.paging.fault.type=major,system.paging.direction=out} {operation} counter 2",
                "system.paging.operations{system.paging.fault.type=minor,system.paging.direction=in} {operation} counter 4255437",
                "system.paging.operations{system.paging.fault.type=minor,system.paging.direction=out} {operation} counter 11651740",
            ]
        );
        assert_eq!(parse_vmstat("nr_free_pages 3\n"), None);
    }
}
