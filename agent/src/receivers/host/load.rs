//! Load averages and uptime from /proc/loadavg and /proc/uptime.

use crate::payload::Payload;

/// Reads /proc/loadavg: the averages over 1, 5 and 15 minutes.
pub fn parse_loadavg(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// Reads /proc/uptime: seconds since boot.
pub fn parse_uptime(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Adds the load averages.
pub fn record(averages: [f64; 3], payload: &mut Payload) {
    for (name, help, value) in [
        ("system.cpu.load_average.1m", "Threads that ran or waited, averaged over 1 minute.", averages[0]),
        ("system.cpu.load_average.5m", "Threads that ran or waited, averaged over 5 minutes.", averages[1]),
        ("system.cpu.load_average.15m", "Threads that ran or waited, averaged over 15 minutes.", averages[2]),
    ] {
        payload.gauge(name, "{thread}", help, |points| points.add(&[], value));
    }
}

/// Adds the uptime.
pub fn record_uptime(seconds: f64, payload: &mut Payload) {
    payload.gauge("system.uptime", "s", "Time since boot.", |points| points.add(&[], seconds));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    #[test]
    fn averages_and_uptime() {
        let mut payload = Payload::new(0, 0);
        record(parse_loadavg("8.12 3.40 1.25 9/278 26981\n").unwrap(), &mut payload);
        record_uptime(parse_uptime("1525.31 2440.70\n").unwrap(), &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.cpu.load_average.1m{} {thread} gauge 8.12",
                "system.cpu.load_average.5m{} {thread} gauge 3.4",
                "system.cpu.load_average.15m{} {thread} gauge 1.25",
                "system.uptime{} s gauge 1525.31",
            ]
        );
        for text in ["", "1 2", "a b c"] {
            assert_eq!(parse_loadavg(text), None, "{text}");
        }
        assert_eq!(parse_uptime(""), None);
    }
}
