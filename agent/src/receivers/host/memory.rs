//! Memory from /proc/meminfo.

use crate::payload::Payload;

/// Sizes in bytes, huge pages in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    /// Memory of the machine.
    pub total: u64,
    /// Memory that nothing uses.
    pub free: u64,
    /// What programs could get without swapping; older kernels do not say.
    pub available: Option<u64>,
    /// Raw disk blocks in memory.
    pub buffers: u64,
    /// Files in memory.
    pub cached: u64,
    /// Shared memory and tmpfs.
    pub shared: u64,
    /// Kernel memory that can be taken back.
    pub slab_reclaimable: u64,
    /// Kernel memory that cannot.
    pub slab_unreclaimable: u64,
    /// Swap of the machine.
    pub swap_total: u64,
    /// Swap that nothing uses.
    pub swap_free: u64,
    /// Huge pages of the machine.
    pub huge_total: u64,
    /// Huge pages that nothing uses.
    pub huge_free: u64,
    /// Huge pages promised and not yet used.
    pub huge_reserved: u64,
    /// Huge pages above the configured number.
    pub huge_surplus: u64,
    /// The size of a huge page.
    pub huge_page_size: u64,
}

/// Reads /proc/meminfo; `None` if it does not even hold the total.
pub fn parse_meminfo(text: &str) -> Option<Meminfo> {
    let mut info = Meminfo::default();
    let mut has_total = false;
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
        let value = if words.next() == Some("kB") { number.saturating_mul(1024) } else { number };
        match key {
            "MemTotal" => (info.total, has_total) = (value, true),
            "MemFree" => info.free = value,
            "MemAvailable" => info.available = Some(value),
            "Buffers" => info.buffers = value,
            "Cached" => info.cached = value,
            "Shmem" => info.shared = value,
            "SReclaimable" => info.slab_reclaimable = value,
            "SUnreclaim" => info.slab_unreclaimable = value,
            "SwapTotal" => info.swap_total = value,
            "SwapFree" => info.swap_free = value,
            "HugePages_Total" => info.huge_total = value,
            "HugePages_Free" => info.huge_free = value,
            "HugePages_Rsvd" => info.huge_reserved = value,
            "HugePages_Surp" => info.huge_surplus = value,
            "Hugepagesize" => info.huge_page_size = value,
            _ => {}
        }
    }
    has_total.then_some(info)
}

/// Adds the metrics of a reading.
pub fn record(info: &Meminfo, payload: &mut Payload) {
    let states = [("used", info.used()), ("free", info.free), ("buffers", info.buffers), ("cached", info.cached)];
    payload.up_down(
        "system.memory.usage",
        "By",
        "Memory in each state; used is the total less what is available.",
        |points| {
            states.iter().for_each(|(state, bytes)| points.add(&[("system.memory.state", state)], *bytes));
        },
    );
    payload.up_down("system.memory.limit", "By", "Memory of the machine.", |points| points.add(&[], info.total));
    payload.gauge("system.memory.utilization", "1", "Share of memory in each state.", |points| {
        if info.total > 0 {
            let share = |bytes: u64| bytes as f64 / info.total as f64;
            states.iter().for_each(|(state, bytes)| points.add(&[("system.memory.state", state)], share(*bytes)));
        }
    });
    payload.up_down(
        "system.memory.linux.available",
        "By",
        "Memory that programs could get without swapping.",
        |points| {
            if let Some(bytes) = info.available {
                points.add(&[], bytes);
            }
        },
    );
    payload
        .up_down("system.memory.linux.shared", "By", "Shared memory and tmpfs.", |points| points.add(&[], info.shared));
    payload.up_down("system.memory.linux.slab.usage", "By", "Kernel memory in slabs.", |points| {
        points.add(&[("system.memory.linux.slab.state", "reclaimable")], info.slab_reclaimable);
        points.add(&[("system.memory.linux.slab.state", "unreclaimable")], info.slab_unreclaimable);
    });
    if info.huge_page_size > 0 {
        record_huge_pages(info, payload);
    }
}

fn record_huge_pages(info: &Meminfo, payload: &mut Payload) {
    let state = "system.memory.linux.hugepages.state";
    let used = info.huge_total.saturating_sub(info.huge_free);
    payload.up_down("system.memory.linux.hugepages.limit", "{page}", "Huge pages of the machine.", |points| {
        points.add(&[], info.huge_total);
    });
    payload.up_down("system.memory.linux.hugepages.usage", "{page}", "Huge pages in each state.", |points| {
        points.add(&[(state, "used")], used);
        points.add(&[(state, "free")], info.huge_free);
    });
    payload.up_down(
        "system.memory.linux.hugepages.reserved",
        "{page}",
        "Huge pages promised, not yet used.",
        |points| {
            points.add(&[], info.huge_reserved);
        },
    );
    payload.up_down(
        "system.memory.linux.hugepages.surplus",
        "{page}",
        "Huge pages above the configured number.",
        |points| {
            points.add(&[], info.huge_surplus);
        },
    );
    payload.up_down("system.memory.linux.hugepages.page_size", "By", "The size of a huge page.", |points| {
        points.add(&[], info.huge_page_size);
    });
}

impl Meminfo {
    /// What is in use by the definition of the semantic conventions; with an older kernel, by the older formula.
    pub fn used(&self) -> u64 {
        let unused =
            self.available.unwrap_or_else(|| self.free.saturating_add(self.buffers).saturating_add(self.cached));
        self.total.saturating_sub(unused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    #[test]
    fn sizes_become_bytes_and_pages_stay_pages() {
        let info = parse_meminfo(include_str!("fixtures/meminfo.txt")).unwrap();
        let expected = Meminfo {
            total: 24_684_092 * 1024,
            free: 11_066_368 * 1024,
            available: Some(21_509_692 * 1024),
            buffers: 193_196 * 1024,
            cached: 9_880_212 * 1024,
            shared: 1_460 * 1024,
            slab_reclaimable: 513_516 * 1024,
            slab_unreclaimable: 69_088 * 1024,
            swap_total: 1_048_572 * 1024,
            swap_free: 1_000_000 * 1024,
            huge_total: 4,
            huge_free: 3,
            huge_reserved: 1,
            huge_surplus: 0,
            huge_page_size: 2_048 * 1024,
        };
        assert_eq!(info, expected);
        let mut payload = Payload::new(0, 0);
        record(&info, &mut payload);
        let lines = lines(&payload);
        for line in [
            "system.memory.usage{system.memory.state=used} By updown 3250585600",
            "system.memory.limit{} By updown 25276510208",
            "system.memory.linux.available{} By updown 22025924608",
            "system.memory.linux.slab.usage{system.memory.linux.slab.state=unreclaimable} By updown 70746112",
            "system.memory.linux.hugepages.usage{system.memory.linux.hugepages.state=used} {page} updown 1",
        ] {
            assert!(lines.contains(&line.to_owned()), "{line} not in {lines:#?}");
        }
    }

    #[test]
    fn an_old_kernel_has_the_old_formula() {
        let info = parse_meminfo("MemTotal: 1000 kB\nMemFree: 200 kB\nBuffers: 100 kB\nCached: 300 kB\n").unwrap();
        assert_eq!(info.used(), 400 * 1024);
    }

    #[test]
    fn a_text_without_a_total_is_refused() {
        assert_eq!(parse_meminfo("MemFree: 200 kB\n"), None);
        assert_eq!(parse_meminfo("MemTotal: many kB\n"), None);
    }
}
