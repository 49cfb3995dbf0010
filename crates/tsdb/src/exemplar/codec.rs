//! The bytes of exemplars and of label sets, in WAL records and in the file. See docs/format/exemplars.md.

use sonde_disk::varint::{Reader, put, put_signed, put_str};
use sonde_model::{Exemplar, Labels, TimestampMs};

use crate::codec::DecodeError;

const SAME_PAIR: u8 = 0;
const SAME_NAME: u8 = 1;
const NEW_PAIR: u8 = 2;

/// Appends exemplars one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    labels: Labels,
    timestamp: TimestampMs,
}

impl Writer {
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, exemplar: &Exemplar) {
        put_signed(out, exemplar.timestamp.wrapping_sub(self.timestamp));
        out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
        put_labels(out, &self.labels, &exemplar.labels);
        self.timestamp = exemplar.timestamp;
        self.labels = exemplar.labels.clone();
    }
}

/// Reads exemplars as the writer wrote them.
#[derive(Debug, Default)]
pub(crate) struct Previous<'a> {
    labels: Vec<(&'a str, &'a str)>,
    timestamp: TimestampMs,
}

impl<'a> Previous<'a> {
    pub(crate) fn read(&mut self, reader: &mut Reader<'a>) -> Result<Exemplar, DecodeError> {
        self.timestamp = self.timestamp.wrapping_add(reader.signed()?);
        let value = f64::from_bits(reader.u64_le()?);
        let labels = read_labels(reader, &mut self.labels)?;
        Ok(Exemplar { labels, value, timestamp: self.timestamp })
    }
}

/// Appends labels as what differs from those before.
pub(crate) fn put_labels(out: &mut Vec<u8>, before: &Labels, labels: &Labels) {
    put(out, labels.len() as u64);
    let mut before = before.iter();
    for (name, value) in labels.iter() {
        match before.next() {
            Some(same) if same == (name, value) => out.push(SAME_PAIR),
            Some((same, _)) if same == name => {
                out.push(SAME_NAME);
                put_str(out, value);
            }
            _ => {
                out.push(NEW_PAIR);
                put_str(out, name);
                put_str(out, value);
            }
        }
    }
}

/// Reads labels; `before` are those before, and are then these.
pub(crate) fn read_labels<'a>(
    reader: &mut Reader<'a>,
    before: &mut Vec<(&'a str, &'a str)>,
) -> Result<Labels, DecodeError> {
    let len = reader.count(1, "labels")?;
    for i in 0..len {
        let nothing = DecodeError::Inconsistent { what: "a label like one that is not there" };
        let pair = match reader.u8()? {
            SAME_PAIR => *before.get(i).ok_or(nothing)?,
            SAME_NAME => (before.get(i).ok_or(nothing)?.0, reader.str()?),
            NEW_PAIR => (reader.str()?, reader.str()?),
            value => return Err(DecodeError::Unknown { what: "label form", value }),
        };
        match before.get_mut(i) {
            Some(place) => *place = pair,
            None => before.push(pair),
        }
    }
    before.truncate(len);
    if !before.is_sorted_by(|a, b| a.0 < b.0) || before.iter().any(|(_, value)| value.is_empty()) {
        return Err(DecodeError::Inconsistent { what: "labels that are not sorted, or are empty" });
    }
    Ok(Labels::from_sorted(before))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn any_labels() -> impl Strategy<Value = Labels> {
        prop::collection::vec(("[a-c]{1,2}", "[x-zü]{1,3}"), 0..5).prop_map(Labels::from_pairs)
    }

    fn any_exemplar() -> impl Strategy<Value = Exemplar> {
        let parts = (any_labels(), any::<u64>(), any::<i64>());
        parts.prop_map(|(labels, bits, timestamp)| Exemplar { labels, value: f64::from_bits(bits), timestamp })
    }

    proptest! {
        #[test]
        fn exemplars_come_back(exemplars in prop::collection::vec(any_exemplar(), 0..20)) {
            let (mut bytes, mut writer) = (Vec::new(), Writer::default());
            exemplars.iter().for_each(|e| writer.put(&mut bytes, e));
            let (mut reader, mut previous) = (Reader::new(&bytes), Previous::default());
            for exemplar in &exemplars {
                let read = previous.read(&mut reader).expect("it was written");
                prop_assert!(read.order(exemplar).is_eq(), "{read:?} {exemplar:?}");
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let (mut reader, mut previous) = (Reader::new(&bytes), Previous::default());
            while previous.read(&mut reader).is_ok() {}
        }
    }
}
