//! Who shakes hands now, by address: one machine that never finishes must not take the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Handshakes by the address from which they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Shaking(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A handshake, until it is dropped.
#[derive(Debug)]
pub(super) struct Shake {
    shaking: Shaking,
    machine: IpAddr,
}

impl Shaking {
    /// One more from this address, or nothing where it has `limit` already.
    pub(super) fn begin(&self, address: SocketAddr, limit: usize) -> Option<Shake> {
        let machine = machine(address.ip());
        let mut counts = self.0.lock();
        let count = counts.entry(machine).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Shake { shaking: self.clone(), machine })
    }
}

impl Drop for Shake {
    fn drop(&mut self) {
        let mut counts = self.shaking.0.lock();
        if let Some(count) = counts.get_mut(&self.machine) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.machine);
            }
        }
    }
}

/// The address; of one of IPv6 the network of 64 bits, all of which a single machine may have.
fn machine(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_its_own_count() {
        let (shaking, limit) = (Shaking::default(), 2);
        let begin = |address: &str| shaking.begin(address.parse().expect("an address"), limit);
        let first = begin("10.0.0.1:1").expect("the first");
        let second = begin("[::ffff:10.0.0.1]:2").expect("the second");
        assert!(begin("10.0.0.1:3").is_none());
        let third = begin("10.0.0.2:1").expect("another machine");
        drop(first);
        let fourth = begin("10.0.0.1:4").expect("there is room again");
        let network = [begin("[2001:db8::1]:1"), begin("[2001:db8::2]:1")];
        assert!(network.iter().all(Option::is_some) && begin("[2001:db8::3]:1").is_none());
        assert!(begin("[2001:db8:0:1::1]:1").is_some());
        drop((second, third, fourth, network));
        assert!(shaking.0.lock().is_empty(), "nothing is kept");
    }
}
