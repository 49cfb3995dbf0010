//! The requests that wait for their other side: found by their key, given up in the order in which they began to wait.

use std::collections::{BTreeMap, HashMap};

use sonde_model::span::{SpanId, TraceId};

use super::Open;

/// What both sides know of a request: the trace, and the span of the calling side (nothing for a root that is called).
pub(super) type Key = (TraceId, Option<SpanId>);

/// The requests that wait. It holds nothing of those that are gone.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: HashMap<Key, Waits>,
    order: BTreeMap<u64, Key>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waits {
    ticket: u64,
    open: Open,
}

impl Waiting {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// A request of this key that waits.
    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Open> {
        self.requests.get_mut(key).map(|waits| &mut waits.open)
    }

    /// Lets a request wait behind all others; it takes the place of one of its key.
    pub(super) fn push(&mut self, open: Open) {
        let key = open.key();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.order.insert(ticket, key);
        if let Some(before) = self.requests.insert(key, Waits { ticket, open }) {
            self.order.remove(&before.ticket);
        }
    }

    /// Takes a request out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Open> {
        let waits = self.requests.remove(key)?;
        self.order.remove(&waits.ticket);
        Some(waits.open)
    }

    /// The request that has waited longest.
    pub(super) fn oldest(&self) -> Option<&Open> {
        self.in_order().next()
    }

    /// All of them, the one that has waited longest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Open> {
        self.order.values().filter_map(|key| self.requests.get(key)).map(|waits| &waits.open)
    }
}

/// Ids as hex texts: so they lie in the state file.
pub(super) mod hex {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(in super::super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The same for an id that may be absent: then it is the empty text.
pub(super) mod hex_or_empty {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<T: Display, S: Serializer>(id: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_str(""),
        }
    }

    pub(in super::super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
    }
}
