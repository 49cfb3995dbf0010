//! What a watch remembers as bytes, so that a restart need not learn again. The format is docs/format/detector.md.

use std::collections::BTreeMap;

use sonde_detect::{Novelty, STATE_LEN, StateError};
use sonde_model::{Labels, TimestampMs};
use thiserror::Error;

use super::state::{Detector, State};

const MAGIC: &[u8; 4] = b"SDET";
const VERSION: u8 = 1;
/// Magic, version, checksum.
const HEADER_LEN: usize = 4 + 1 + 4;
/// The least that one series takes: its number of labels, and its state.
const LEAST_ENTRY_LEN: usize = 2 + STATE_LEN;
/// No state that is written is larger: 100,000 series with 4 KiB of labels each.
pub(super) const MAX_BYTES: u64 = 512 << 20;

/// Why bytes are no state.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum StateFileError {
    #[error("it does not begin as the state of a watch")]
    Magic,
    #[error("its version {0} is not known here")]
    Version(u8),
    #[error("its checksum does not hold")]
    Checksum,
    #[error("it ends early, or says of itself what cannot be")]
    Malformed,
    #[error("it was learned from another expression or interval")]
    OtherWatch,
    #[error("a series of it")]
    Series(#[from] StateError),
}

/// The state as bytes; `None` before the first step. `expr` and `step_ms` say what it was learned from.
pub(super) fn encode(state: &State, expr: &str, step_ms: i64) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(state.series.len() * (STATE_LEN + 128) + expr.len() + 32);
    body.extend(state.last?.to_le_bytes());
    body.extend(step_ms.to_le_bytes());
    write_text(&mut body, expr);
    body.extend(u32::try_from(state.series.len()).ok()?.to_le_bytes());
    for (labels, detector) in &state.series {
        body.extend(u16::try_from(labels.len()).ok()?.to_le_bytes());
        for (name, value) in labels.iter() {
            write_text(&mut body, name);
            write_text(&mut body, value);
        }
        body.extend(detector.novelty.to_bytes());
    }
    let mut out = Vec::with_capacity(HEADER_LEN + body.len());
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend(crc32fast::hash(&body).to_le_bytes());
    out.extend(body);
    Some(out)
}

/// The state that [`encode`] wrote for the same expression and interval, with at most `max_series` series.
pub(super) fn decode(bytes: &[u8], expr: &str, step_ms: i64, max_series: usize) -> Result<State, StateFileError> {
    let mut header = Input(bytes);
    if header.array() != Ok(*MAGIC) {
        return Err(StateFileError::Magic);
    }
    let [version] = header.array()?;
    if version != VERSION {
        return Err(StateFileError::Version(version));
    }
    let checksum = u32::from_le_bytes(header.array()?);
    if crc32fast::hash(header.0) != checksum {
        return Err(StateFileError::Checksum);
    }
    let mut body = header;
    let last = TimestampMs::from_le_bytes(body.array()?);
    let step = i64::from_le_bytes(body.array()?);
    if step != step_ms || body.text()? != expr {
        return Err(StateFileError::OtherWatch);
    }
    let count = u32::from_le_bytes(body.array()?) as usize;
    if count > body.0.len() / LEAST_ENTRY_LEN {
        return Err(StateFileError::Malformed);
    }
    let mut series = BTreeMap::new();
    for _ in 0..count {
        let labels = body.labels()?;
        let novelty = Novelty::from_bytes(body.take(STATE_LEN)?)?;
        if series.len() < max_series {
            let present = novelty.last_timestamp_ms() == Some(last);
            series.insert(labels, Detector { novelty, present });
        }
    }
    if !body.0.is_empty() {
        return Err(StateFileError::Malformed);
    }
    Ok(State { last: Some(last), series })
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Labels and expressions are bounded far below 4 GiB by who made them.
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Bytes that may end at any place.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], StateFileError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(StateFileError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StateFileError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(StateFileError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn text(&mut self) -> Result<&'a str, StateFileError> {
        let len = u32::from_le_bytes(self.array()?) as usize;
        std::str::from_utf8(self.take(len)?).map_err(|_| StateFileError::Malformed)
    }

    fn labels(&mut self) -> Result<Labels, StateFileError> {
        let count = u16::from_le_bytes(self.array()?);
        // Every label takes its two lengths at least.
        if usize::from(count) > self.0.len() / 8 {
            return Err(StateFileError::Malformed);
        }
        let pairs = (0..count).map(|_| Ok((self.text()?, self.text()?)));
        Ok(Labels::from_pairs(pairs.collect::<Result<Vec<_>, StateFileError>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(series: usize) -> State {
        let mut state = State { last: Some(60_000 * 50), ..State::default() };
        for n in 0..series {
            let mut detector = Detector { present: true, ..Detector::default() };
            for i in 1..=50 {
                detector.novelty.push(i * 60_000, (i * 7 % 13) as f64 + n as f64);
            }
            state.series.insert(Labels::from_pairs([("__name__", "anomaly_score"), ("n", &n.to_string())]), detector);
        }
        state
    }

    #[test]
    fn a_state_comes_back_whole() {
        for series in [0, 1, 3] {
            let state = learned(series);
            let bytes = encode(&state, "a / b", 60_000).expect("it has walked");
            assert_eq!(decode(&bytes, "a / b", 60_000, 10), Ok(state));
        }
        assert_eq!(encode(&State::default(), "a", 1), None);
        let bytes = encode(&learned(3), "a / b", 60_000).expect("it has walked");
        assert_eq!(decode(&bytes, "a / c", 60_000, 10), Err(StateFileError::OtherWatch));
        assert_eq!(decode(&bytes, "a / b", 30_000, 10), Err(StateFileError::OtherWatch));
        assert_eq!(decode(&bytes, "a / b", 60_000, 2).map(|state| state.series.len()), Ok(2));
    }

    #[test]
    fn what_is_cut_or_flipped_is_refused() {
        let bytes = encode(&learned(2), "a", 60_000).expect("it has walked");
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len], "a", 60_000, 10).is_err(), "cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode(&flipped, "a", 60_000, 10).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn arbitrary_bytes_under_a_good_checksum_do_no_harm() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let good = encode(&learned(2), "a", 60_000).expect("it has walked");
        for round in 0..2_000 {
            let mut body = if round % 2 == 0 {
                let len = random.usize(..3_000);
                std::iter::repeat_with(|| random.u8(..)).take(len).collect()
            } else {
                good[HEADER_LEN..].to_vec()
            };
            for _ in 0..random.usize(..20) {
                if let Some(byte) = (!body.is_empty()).then(|| random.usize(..body.len())) {
                    body[byte] = random.choice([0, 1, 0x7f, 0x80, 0xff]).expect("a choice");
                }
            }
            let mut bytes = [MAGIC.as_slice(), &[VERSION], &crc32fast::hash(&body).to_le_bytes()].concat();
            bytes.extend(&body);
            if let Ok(state) = decode(&bytes, "a", 60_000, 10) {
                // Whatever was read can go on.
                for mut detector in state.series.into_values() {
                    for i in 0..20 {
                        detector.novelty.push(4_000_000_000 + i * 60_000, i as f64);
                    }
                }
            }
        }
    }
}
