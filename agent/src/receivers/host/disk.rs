//! Block devices from /proc/diskstats.

use crate::config::Patterns;
use crate::payload::Payload;

/// /proc/diskstats counts in sectors of this size, whatever the device has.
const SECTOR_BYTES: u64 = 512;

/// What /proc/diskstats says of one device, since boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskStat {
    /// The name, as `sda` or `nvme0n1`.
    pub device: String,
    /// Reads.
    pub read: Transfers,
    /// Writes.
    pub write: Transfers,
    /// Time with at least one request in flight, in ms.
    pub busy_ms: u64,
}

/// One direction of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Requests that were completed.
    pub operations: u64,
    /// Requests that were merged into others before.
    pub merged: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time that the requests took, added up, in ms.
    pub time_ms: u64,
}

/// Reads /proc/diskstats: whole devices that `exclude` does not cover. Partitions repeat what their device says.
pub fn parse_diskstats(text: &str, exclude: &Patterns) -> Vec<DiskStat> {
    let mut disks: Vec<DiskStat> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next() else { continue };
        let is_partition = disks.iter().any(|disk| is_partition_of(device, &disk.device));
        if is_partition || exclude.cover(device) {
            continue;
        }
        let mut fields = [0; 10];
        for (field, word) in fields.iter_mut().zip(words) {
            *field = word.parse().unwrap_or(0);
        }
        let transfers = |fields: &[u64]| Transfers {
            operations: fields[0],
            merged: fields[1],
            bytes: fields[2].saturating_mul(SECTOR_BYTES),
            time_ms: fields[3],
        };
        let disk = DiskStat {
            device: device.to_owned(),
            read: transfers(&fields[0..4]),
            write: transfers(&fields[4..8]),
            busy_ms: fields[9],
        };
        disks.push(disk);
    }
    disks
}

/// Whether `name` is `disk` with the number of a partition behind it: `sda1`, `nvme0n1p2`.
fn is_partition_of(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let number = if disk.ends_with(|c: char| c.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
    number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads /sys/block/DEVICE/size: the capacity in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok()?.checked_mul(SECTOR_BYTES)
}

/// Adds the metrics of a reading; `capacity` gives the size of a device in bytes.
pub fn record(disks: &[DiskStat], mut capacity: impl FnMut(&str) -> Option<u64>, payload: &mut Payload) {
    let directed = |payload: &mut Payload, name: &str, unit: &str, help: &str, read: fn(&Transfers) -> u64| {
        payload.counter(name, unit, help, |points| {
            for disk in disks {
                for (direction, transfers) in [("read", &disk.read), ("write", &disk.write)] {
                    let attributes = [("system.device", disk.device.as_str()), ("disk.io.direction", direction)];
                    match unit {
                        "s" => points.add(&attributes, seconds(read(transfers))),
                        _ => points.add(&attributes, read(transfers)),
                    }
                }
            }
        });
    };
    directed(payload, "system.disk.io", "By", "Bytes read and written.", |transfers| transfers.bytes);
    directed(payload, "system.disk.operations", "{operation}", "Completed requests.", |transfers| transfers.operations);
    directed(payload, "system.disk.merged", "{operation}", "Requests merged into others.", |transfers| {
        transfers.merged
    });
    directed(payload, "system.disk.operation_time", "s", "Time that requests took, added up.", |transfers| {
        transfers.time_ms
    });
    payload.counter("system.disk.io_time", "s", "Time with at least one request in flight.", |points| {
        for disk in disks {
            points.add(&[("system.device", &disk.device)], seconds(disk.busy_ms));
        }
    });
    payload.up_down("system.disk.limit", "By", "Capacity of the device.", |points| {
        for disk in disks {
            if let Some(bytes) = capacity(&disk.device) {
                points.add(&[("system.device", &disk.device)], bytes);
            }
        }
    });
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    const DISKSTATS: &str = include_str!("fixtures/diskstats.txt");

    #[test]
    fn whole_devices_only() {
        let disks = parse_diskstats(DISKSTATS, &Patterns::of(&["loop*", "ram*"]));
        let names: Vec<_> = disks.iter().map(|disk| disk.device.as_str()).collect();
        assert_eq!(names, ["vda", "nvme0n1", "dm-0", "dm-10"]);
        assert_eq!(
            disks[0],
            DiskStat {
                device: "vda".into(),
                read: Transfers { operations: 55_202, merged: 8_411, bytes: 8_510_874 * 512, time_ms: 59_465 },
                write: Transfers { operations: 12_420, merged: 96_827, bytes: 23_303_480 * 512, time_ms: 73_281 },
                busy_ms: 11_520,
            }
        );
    }

    #[test]
    fn a_device_becomes_metrics() {
        let disks = parse_diskstats(DISKSTATS, &Patterns::of(&["loop*", "ram*", "nvme*", "dm-*"]));
        let mut payload = Payload::new(0, 0);
        record(&disks, |device| (device == "vda").then_some(1 << 30), &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.disk.io{system.device=vda,disk.io.direction=read} By counter 4357567488",
                "system.disk.io{system.device=vda,disk.io.direction=write} By counter 11931381760",
                "system.disk.operations{system.device=vda,disk.io.direction=read} {operation} counter 55202",
                "system.disk.operations{system.device=vda,disk.io.direction=write} {operation} counter 12420",
                "system.disk.merged{system.device=vda,disk.io.direction=read} {operation} counter 8411",
                "system.disk.merged{system.device=vda,disk.io.direction=write} {operation} counter 96827",
                "system.disk.operation_time{system.device=vda,disk.io.direction=read} s counter 59.465",
                "system.disk.operation_time{system.device=vda,disk.io.direction=write} s counter 73.281",
                "system.disk.io_time{system.device=vda} s counter 11.52",
                "system.disk.limit{system.device=vda} By updown 1073741824",
            ]
        );
    }

    #[test]
    fn sizes_are_in_sectors() {
        assert_eq!(parse_size("2048\n"), Some(1 << 20));
        assert_eq!(parse_size("x"), None);
    }
}
