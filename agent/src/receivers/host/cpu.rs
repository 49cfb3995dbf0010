//! CPU time by mode from /proc/stat, and how many CPUs there are.

use std::collections::BTreeSet;

use super::text::numbers;
use crate::payload::Payload;

/// The length of a tick of /proc/stat: Linux shows `USER_HZ` = 100 on every architecture that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// The modes of the semantic conventions. `/proc/stat` counts guest time in `user` and `nice` too, so it is not added.
const MODES: [&str; 7] = ["user", "nice", "system", "idle", "iowait", "interrupt", "steal"];

/// What /proc/stat says of the CPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStat {
    /// Ticks by mode, all CPUs together.
    pub total: Ticks,
    /// Ticks by mode of each CPU that is on line, with its number.
    pub cpus: Vec<(u32, Ticks)>,
}

/// Ticks by mode, in the order of the semantic conventions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks([u64; MODES.len()]);

/// Reads the `cpu` lines of /proc/stat.
pub fn parse_stat(text: &str) -> Option<CpuStat> {
    let mut stat = None;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        let Some(number) = name.strip_prefix("cpu") else { continue };
        let ticks = parse_ticks(rest);
        if number.is_empty() {
            stat = Some(CpuStat { total: ticks, cpus: Vec::new() });
        } else if let (Some(stat), Ok(number)) = (&mut stat, number.parse()) {
            stat.cpus.push((number, ticks));
        }
    }
    stat
}

fn parse_ticks(fields: &str) -> Ticks {
    let mut values = [0; 8];
    for (value, number) in values.iter_mut().zip(numbers(fields)) {
        *value = number;
    }
    let [user, nice, system, idle, iowait, irq, softirq, steal] = values;
    Ticks([user, nice, system, idle, iowait, irq + softirq, steal])
}

/// Physical cores by the text of /proc/cpuinfo; `None` where it does not tell, as on many ARM and virtual machines.
pub fn parse_physical_cores(text: &str) -> Option<u64> {
    let (mut package, mut cores) = ("", BTreeSet::new());
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim_end() {
            "physical id" => package = value.trim(),
            "core id" => {
                cores.insert((package, value.trim()));
            }
            _ => {}
        }
    }
    Some(cores.len() as u64).filter(|count| *count > 0)
}

/// Adds the metrics of `now`; `before` is the reading before it, from which utilisation is computed.
pub fn record(now: &CpuStat, before: Option<&CpuStat>, physical: Option<u64>, per_cpu: bool, payload: &mut Payload) {
    payload.up_down("system.cpu.logical.count", "{cpu}", "Logical CPUs that are on line.", |points| {
        points.add(&[], now.cpus.len() as u64);
    });
    payload.up_down("system.cpu.physical.count", "{cpu}", "Physical CPU cores.", |points| {
        if let Some(count) = physical {
            points.add(&[], count);
        }
    });
    payload.counter("system.cpu.time", "s", "Time that CPUs spent in each mode.", |points| {
        each(now, per_cpu, |cpu, ticks| {
            for (mode, ticks) in MODES.iter().zip(ticks.0) {
                let seconds = ticks as f64 / TICKS_PER_SECOND;
                match cpu {
                    Some(cpu) => points.add(&[("cpu.mode", mode), ("cpu.logical_number", &cpu.to_string())], seconds),
                    None => points.add(&[("cpu.mode", mode)], seconds),
                }
            }
        });
    });
    let Some(shares) = before.and_then(|before| now.total.shares_since(&before.total)) else { return };
    let help = "Share of CPU time spent in each mode since the reading before, all CPUs together.";
    payload.gauge("system.cpu.utilization", "1", help, |points| {
        for (mode, share) in MODES.iter().zip(shares) {
            points.add(&[("cpu.mode", mode)], share);
        }
    });
}

fn each(stat: &CpuStat, per_cpu: bool, mut add: impl FnMut(Option<u32>, &Ticks)) {
    if per_cpu {
        stat.cpus.iter().for_each(|(cpu, ticks)| add(Some(*cpu), ticks));
    } else {
        add(None, &stat.total);
    }
}

impl Ticks {
    /// The share of each mode in the ticks since `before`. The kernel may take back a little idle and iowait time;
    /// that reads as none.
    fn shares_since(&self, before: &Ticks) -> Option<[f64; MODES.len()]> {
        let mut spent = [0; MODES.len()];
        for (index, spent) in spent.iter_mut().enumerate() {
            *spent = self.0[index].saturating_sub(before.0[index]);
        }
        let total: u64 = spent.iter().sum();
        (total > 0).then(|| spent.map(|ticks| ticks as f64 / total as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    const STAT: &str = include_str!("fixtures/stat.txt");

    #[test]
    fn times_add_up_interrupts_and_leave_guests_out() {
        let stat = parse_stat(STAT).unwrap();
        assert_eq!(stat.total, Ticks([43_604, 20, 13_828, 244_070, 620, 103, 13]));
        assert_eq!(stat.cpus.iter().map(|(cpu, _)| *cpu).collect::<Vec<_>>(), [0, 1]);
        let mut payload = Payload::new(0, 0);
        record(&stat, None, Some(1), false, &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.cpu.logical.count{} {cpu} updown 2",
                "system.cpu.physical.count{} {cpu} updown 1",
                "system.cpu.time{cpu.mode=user} s counter 436.04",
                "system.cpu.time{cpu.mode=nice} s counter 0.2",
                "system.cpu.time{cpu.mode=system} s counter 138.28",
                "system.cpu.time{cpu.mode=idle} s counter 2440.7",
                "system.cpu.time{cpu.mode=iowait} s counter 6.2",
                "system.cpu.time{cpu.mode=interrupt} s counter 1.03",
                "system.cpu.time{cpu.mode=steal} s counter 0.13",
            ]
        );
    }

    #[test]
    fn each_cpu_is_told_apart_when_asked() {
        let mut payload = Payload::new(0, 0);
        record(&parse_stat(STAT).unwrap(), None, None, true, &mut payload);
        let lines = lines(&payload);
        assert_eq!(lines.len(), 1 + 2 * 7);
        assert_eq!(lines[8], "system.cpu.time{cpu.mode=user,cpu.logical_number=1} s counter 223.28");
    }

    #[test]
    fn utilisation_is_the_share_since_the_reading_before() {
        let before = CpuStat { total: Ticks([100, 0, 0, 100, 50, 0, 0]), cpus: Vec::new() };
        let now = CpuStat { total: Ticks([130, 0, 10, 160, 40, 0, 0]), cpus: Vec::new() };
        let mut payload = Payload::new(0, 0);
        record(&now, Some(&before), None, false, &mut payload);
        let lines = lines(&payload);
        assert!(lines.contains(&"system.cpu.utilization{cpu.mode=user} 1 gauge 0.3".to_owned()), "{lines:?}");
        assert!(lines.contains(&"system.cpu.utilization{cpu.mode=iowait} 1 gauge 0.0".to_owned()), "{lines:?}");
        // No tick has passed: there is nothing to divide by.
        assert_eq!(now.total.shares_since(&now.total), None);
    }

    #[test]
    fn cores_are_counted_once() {
        let cpuinfo = "processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 1\nphysical id\t: 0\ncore id\t\t: 0\n\n\
                       processor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n";
        assert_eq!(parse_physical_cores(cpuinfo), Some(2));
        assert_eq!(parse_physical_cores("processor : 0\nBogoMIPS : 48.00\n"), None);
    }

    #[test]
    fn a_text_without_cpus_is_refused() {
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("cpu0 1 2 3\nintr 5\n"), None);
    }
}
