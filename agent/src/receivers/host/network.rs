//! Network interfaces from /proc/net/dev, connections by state from /proc/net/tcp and its kin.

use super::text::numbers;
use crate::config::Patterns;
use crate::payload::Payload;

/// What /proc/net/dev says of one interface, since it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The name.
    pub name: String,
    /// What came in.
    pub receive: Traffic,
    /// What went out.
    pub transmit: Traffic,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Errors.
    pub errors: u64,
    /// Packets dropped though nothing was wrong with them.
    pub dropped: u64,
}

/// TCP states in the order of their numbers in the kernel, from 1, by the names of the semantic conventions.
const TCP_STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_received",
    "fin_wait_1",
    "fin_wait_2",
    "time_wait",
    "closed",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

/// TCP connections by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpStates([u64; TCP_STATES.len()]);

/// Reads /proc/net/dev: the interfaces that `exclude` does not cover.
pub fn parse_net_dev(text: &str, exclude: &Patterns) -> Vec<Interface> {
    let parse_line = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let name = name.trim();
        if exclude.cover(name) {
            return None;
        }
        let mut fields = [0; 16];
        for (field, number) in fields.iter_mut().zip(numbers(counts)) {
            *field = number;
        }
        let traffic =
            |fields: &[u64]| Traffic { bytes: fields[0], packets: fields[1], errors: fields[2], dropped: fields[3] };
        Some(Interface { name: name.to_owned(), receive: traffic(&fields[..8]), transmit: traffic(&fields[8..]) })
    };
    text.lines().filter_map(parse_line).collect()
}

/// Adds the connections that /proc/net/tcp or /proc/net/tcp6 lists to `states`.
pub fn parse_tcp(text: &str, states: &mut TcpStates) {
    for line in text.lines().skip(1) {
        let state = line.split_ascii_whitespace().nth(3).and_then(|word| usize::from_str_radix(word, 16).ok());
        if let Some(count) = state.and_then(|state| states.0.get_mut(state.checked_sub(1)?)) {
            *count += 1;
        }
    }
}

/// Adds the metrics of a reading.
pub fn record(interfaces: &[Interface], payload: &mut Payload) {
    let directed = |payload: &mut Payload, name: &str, unit: &str, help: &str, key: &str, read: fn(&Traffic) -> u64| {
        payload.counter(name, unit, help, |points| {
            for interface in interfaces {
                for (direction, traffic) in [("receive", &interface.receive), ("transmit", &interface.transmit)] {
                    points.add(&[(key, &interface.name), ("network.io.direction", direction)], read(traffic));
                }
            }
        });
    };
    let by_name = "network.interface.name";
    directed(payload, "system.network.io", "By", "Bytes received and transmitted.", by_name, |traffic| traffic.bytes);
    directed(payload, "system.network.errors", "{error}", "Errors of the interface.", by_name, |traffic| {
        traffic.errors
    });
    let help = "Packets dropped though nothing was wrong with them.";
    directed(payload, "system.network.packet.dropped", "{packet}", help, by_name, |traffic| traffic.dropped);
    let help = "Packets received and transmitted.";
    directed(payload, "system.network.packet.count", "{packet}", help, "system.device", |traffic| traffic.packets);
}

/// Adds the connections of a reading.
pub fn record_connections(states: &TcpStates, payload: &mut Payload) {
    payload.up_down("system.network.connection.count", "{connection}", "TCP connections in each state.", |points| {
        for (state, count) in TCP_STATES.iter().zip(states.0) {
            points.add(&[("network.transport", "tcp"), ("network.connection.state", state)], count);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::tests::lines;

    const NET_DEV: &str = include_str!("fixtures/net_dev.txt");

    #[test]
    fn interfaces_become_metrics() {
        let interfaces = parse_net_dev(NET_DEV, &Patterns::of(&["veth*"]));
        assert_eq!(interfaces.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["lo", "eth0"]);
        let mut payload = Payload::new(0, 0);
        record(&interfaces[1..], &mut payload);
        assert_eq!(
            lines(&payload),
            [
                "system.network.io{network.interface.name=eth0,network.io.direction=receive} By counter 127337213",
                "system.network.io{network.interface.name=eth0,network.io.direction=transmit} By counter 366798",
                "system.network.errors{network.interface.name=eth0,network.io.direction=receive} {error} counter 1",
                "system.network.errors{network.interface.name=eth0,network.io.direction=transmit} {error} counter 3",
                "system.network.packet.dropped{network.interface.name=eth0,network.io.direction=receive} {packet} counter 2",
                "system.network.packet.dropped{network.interface.name=eth0,network.io.direction=transmit} {packet} counter 4",
                "system.network.packet.count{system.device=eth0,network.io.direction=receive} {packet} counter 5240",
                "system.network.packet.count{system.device=eth0,network.io.direction=transmit} {packet} counter 3332",
            ]
        );
    }

    #[test]
    fn connections_are_counted_by_state() {
        let mut states = TcpStates::default();
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                      0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
                      1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000\n\
                      2: 0100007F:1F90 0100007F:D2F2 01 00000000:00000000\n\
                      3: broken\n   4: a b FF c\n   5: a b 00 c\n";
        parse_tcp(tcp, &mut states);
        let mut payload = Payload::new(0, 0);
        record_connections(&states, &mut payload);
        let nonzero: Vec<_> = lines(&payload).into_iter().filter(|line| !line.ends_with(" 0")).collect();
        assert_eq!(
            nonzero,
            [
                "system.network.connection.count{network.transport=tcp,network.connection.state=established} {connection} updown 2",
                "system.network.connection.count{network.transport=tcp,network.connection.state=listen} {connection} updown 1",
            ]
        );
    }
}
