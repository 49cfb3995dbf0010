//! What the store writes into the WAL: outcomes, self-contained. See docs/format/wal-records.md.

use sonde_disk::varint::{Reader, put, put_signed, put_str};
use sonde_model::{AgentId, BatchId, Cursor, Exemplar, Histogram, Signal, StreamId, TimestampMs};

use crate::Metadata;
use crate::codec::number::{self, NumberWriter};
use crate::codec::{DecodeError, histogram};
use crate::exemplar::codec as exemplars;
use crate::head::Registry;
use crate::head::registry::SymbolPair;
use crate::metadata::MetricKind;

mod starts;

use starts::Starts;

const BATCH: u8 = 1;
const CURSORS: u8 = 2;
const METADATA: u8 = 3;
const CHECKPOINT: u8 = 4;

/// The version of all record kinds.
const VERSION: u8 = 1;
/// The version of a batch that has exemplars behind its samples.
const WITH_EXEMPLARS: u8 = 2;
/// The version of a batch that has start timestamps before its samples, and exemplars or not behind them.
const WITH_STARTS: u8 = 3;

const HAS_CURSOR: u8 = 1;

const SAME_PAIR: u8 = 0;
const SAME_NAME: u8 = 1;
const NEW_PAIR: u8 = 2;

/// A record, read. Samples and definitions are walked over without being collected.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Batch(BatchRecord<'a>),
    Cursors(Vec<(StreamId, Cursor)>),
    Metadata(Vec<(&'a str, Metadata)>),
    /// All that came before belongs to flush `flush`; series are defined anew after it.
    Checkpoint {
        flush: u64,
        epoch: u64,
    },
}

/// A batch, read up to its definitions.
#[derive(Debug)]
pub(crate) struct BatchRecord<'a> {
    pub(crate) epoch: u64,
    pub(crate) cursor: Option<(BatchId, u32)>,
    pub(crate) metadata: Vec<(&'a str, Metadata)>,
    has_exemplars: bool,
    has_starts: bool,
    reader: Reader<'a>,
}

/// What a batch holds.
#[derive(Debug)]
pub(crate) enum Item<'l, 'a> {
    /// From here on the slot stands for these labels.
    Definition {
        slot: u32,
        labels: &'l [(&'a str, &'a str)],
    },
    Sample {
        slot: u32,
        timestamp: TimestampMs,
        /// Since when the value counts, 0 where that is not known.
        start: TimestampMs,
        value: Value,
    },
    Exemplar {
        slot: u32,
        exemplar: Exemplar,
    },
}

/// The value of a logged sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Float(u64),
    Histogram(Box<Histogram>),
}

/// Writes one batch. The parts must be written in the order of the methods.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    samples: Vec<u8>,
    definitions: Vec<u8>,
    head: Vec<u8>,
    defined: u64,
    defined_before: Option<u32>,
    count: u64,
    slot: u32,
    timestamp: TimestampMs,
    numbers: NumberWriter,
    starts: Vec<u8>,
    exemplars: ExemplarSection,
}

/// The exemplars of a batch.
#[derive(Debug, Default)]
struct ExemplarSection {
    bytes: Vec<u8>,
    count: u64,
    slot: u32,
    writer: exemplars::Writer,
}

impl BatchWriter {
    pub(crate) fn new(
        epoch: u64,
        cursor: Option<(BatchId, u32)>,
        metadata: &[(String, Metadata)],
        samples: usize,
    ) -> Self {
        let mut head = vec![BATCH, VERSION];
        put(&mut head, epoch);
        head.push(if cursor.is_some() { HAS_CURSOR } else { 0 });
        if let Some((id, checksum)) = cursor {
            put_stream(&mut head, &id.into());
            put(&mut head, id.seq);
            head.extend_from_slice(&checksum.to_le_bytes());
        }
        put_metadata(&mut head, metadata.iter().map(|(name, m)| (name.as_str(), m)));
        BatchWriter {
            samples: Vec::with_capacity(samples * 8),
            definitions: Vec::new(),
            head,
            defined: 0,
            defined_before: None,
            count: 0,
            slot: 0,
            timestamp: 0,
            numbers: NumberWriter::default(),
            starts: Vec::new(),
            exemplars: ExemplarSection::default(),
        }
    }

    /// Says which labels a slot stands for in this and later records of the epoch.
    pub(crate) fn define(&mut self, slot: u32, registry: &Registry) {
        let out = &mut self.definitions;
        let pairs = registry.pairs(slot);
        put(out, u64::from(slot));
        put(out, pairs.len() as u64);
        let before: &[SymbolPair] = self.defined_before.map_or(&[], |slot| registry.pairs(slot));
        for (i, pair) in pairs.iter().enumerate() {
            match before.get(i) {
                Some(b) if b == pair => out.push(SAME_PAIR),
                Some(b) if b.0 == pair.0 => {
                    out.push(SAME_NAME);
                    put_str(out, registry.text(pair.1));
                }
                _ => {
                    out.push(NEW_PAIR);
                    put_str(out, registry.text(pair.0));
                    put_str(out, registry.text(pair.1));
                }
            }
        }
        self.defined += 1;
        self.defined_before = Some(slot);
    }

    /// Adds a float.
    #[inline]
    pub(crate) fn float(&mut self, slot: u32, timestamp: TimestampMs, value: f64) {
        self.place(slot, timestamp, false);
        self.numbers.put(&mut self.samples, value);
    }

    /// Adds a histogram.
    pub(crate) fn histogram(&mut self, slot: u32, timestamp: TimestampMs, h: &Histogram) {
        self.place(slot, timestamp, true);
        histogram::encode(h, None, &mut self.samples);
    }

    /// Says since when the samples count, those of all or of none.
    pub(crate) fn starts(&mut self, starts: &[TimestampMs]) {
        if !starts.is_empty() {
            starts::put_all(starts, &mut self.starts);
        }
    }

    /// Adds an exemplar.
    pub(crate) fn exemplar(&mut self, slot: u32, exemplar: &Exemplar) {
        let section = &mut self.exemplars;
        put_signed(&mut section.bytes, i64::from(slot) - i64::from(section.slot));
        section.writer.put(&mut section.bytes, exemplar);
        section.slot = slot;
        section.count += 1;
    }

    /// Bytes of all parts so far.
    pub(crate) fn bytes(&self) -> usize {
        let before = self.head.len() + self.definitions.len() + self.starts.len();
        before + self.samples.len() + self.exemplars.bytes.len()
    }

    /// The whole record.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let mut record = std::mem::take(&mut self.head);
        record.reserve_exact(self.definitions.len() + self.starts.len() + self.samples.len() + 20);
        put(&mut record, self.defined);
        record.extend_from_slice(&self.definitions);
        record.extend_from_slice(&self.starts);
        put(&mut record, self.count);
        record.extend_from_slice(&self.samples);
        if !self.starts.is_empty() {
            record[1] = WITH_STARTS;
        }
        if self.exemplars.count > 0 || !self.starts.is_empty() {
            record[1] = record[1].max(WITH_EXEMPLARS);
            put(&mut record, self.exemplars.count);
            record.extend_from_slice(&self.exemplars.bytes);
        }
        record
    }

    #[inline]
    fn place(&mut self, slot: u32, timestamp: TimestampMs, is_histogram: bool) {
        let step = i64::from(slot) - i64::from(self.slot);
        put(&mut self.samples, sonde_disk::varint::zigzag(step) << 1 | u64::from(is_histogram));
        put_signed(&mut self.samples, timestamp.wrapping_sub(self.timestamp));
        self.slot = slot;
        self.timestamp = timestamp;
        self.count += 1;
    }
}

/// The records of a checkpoint: cursors and metadata in pieces of about `piece` bytes, then the checkpoint itself.
pub(crate) fn checkpoint<'a>(
    flush: u64,
    epoch: u64,
    cursors: impl Iterator<Item = (&'a StreamId, &'a Cursor)>,
    metadata: impl Iterator<Item = (&'a str, &'a Metadata)>,
    piece: usize,
) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut body = Vec::new();
    let mut count = 0u64;
    let mut cut = |kind: u8, count: &mut u64, body: &mut Vec<u8>, at_least: usize| {
        if *count > 0 && body.len() >= at_least {
            let mut record = vec![kind, VERSION];
            put(&mut record, *count);
            record.append(body);
            *count = 0;
            records.push(record);
        }
    };
    for (stream, cursor) in cursors {
        put_cursor(&mut body, stream, cursor);
        count += 1;
        cut(CURSORS, &mut count, &mut body, piece);
    }
    cut(CURSORS, &mut count, &mut body, 0);
    for (name, metadata) in metadata {
        put_metadata_entry(&mut body, name, metadata);
        count += 1;
        cut(METADATA, &mut count, &mut body, piece);
    }
    cut(METADATA, &mut count, &mut body, 0);
    let mut record = vec![CHECKPOINT, VERSION];
    put(&mut record, flush);
    put(&mut record, epoch);
    records.push(record);
    records
}

/// Reads a record.
pub(crate) fn read(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let version = reader.u8()?;
    if version != VERSION && !(kind == BATCH && [WITH_EXEMPLARS, WITH_STARTS].contains(&version)) {
        return Err(DecodeError::Unknown { what: "record version", value: version });
    }
    match kind {
        BATCH => {
            let epoch = reader.varint()?;
            let cursor = match reader.u8()? {
                0 => None,
                HAS_CURSOR => {
                    let stream = read_stream(&mut reader)?;
                    let seq = reader.varint()?;
                    let StreamId { agent, epoch, signal } = stream;
                    Some((BatchId { agent, epoch, signal, seq }, reader.u32_le()?))
                }
                value => return Err(DecodeError::Unknown { what: "batch flags", value }),
            };
            let metadata = read_metadata(&mut reader)?;
            let (has_exemplars, has_starts) = (version >= WITH_EXEMPLARS, version >= WITH_STARTS);
            Ok(Record::Batch(BatchRecord { epoch, cursor, metadata, has_exemplars, has_starts, reader }))
        }
        CURSORS => {
            let n = reader.count(20, "cursors")?;
            Ok(Record::Cursors((0..n).map(|_| read_cursor(&mut reader)).collect::<Result<_, _>>()?))
        }
        METADATA => Ok(Record::Metadata(read_metadata(&mut reader)?)),
        CHECKPOINT => Ok(Record::Checkpoint { flush: reader.varint()?, epoch: reader.varint()? }),
        value => Err(DecodeError::Unknown { what: "record kind", value }),
    }
}

impl<'a> BatchRecord<'a> {
    /// Walks over the definitions, then the samples, then the exemplars.
    pub(crate) fn walk(mut self, visit: &mut dyn FnMut(Item<'_, 'a>)) -> Result<(), DecodeError> {
        let reader = &mut self.reader;
        let n = reader.count(2, "definitions")?;
        let mut labels: Vec<(&'a str, &'a str)> = Vec::new();
        for _ in 0..n {
            let slot = reader.u32()?;
            let len = reader.count(1, "labels")?;
            for i in 0..len {
                let nothing = DecodeError::Inconsistent { what: "a label like one that is not there" };
                let pair = match reader.u8()? {
                    SAME_PAIR => *labels.get(i).ok_or(nothing)?,
                    SAME_NAME => (labels.get(i).ok_or(nothing)?.0, reader.str()?),
                    NEW_PAIR => (reader.str()?, reader.str()?),
                    value => return Err(DecodeError::Unknown { what: "label form", value }),
                };
                match labels.get_mut(i) {
                    Some(place) => *place = pair,
                    None => labels.push(pair),
                }
            }
            labels.truncate(len);
            if !labels.windows(2).all(|w| w[0].0 < w[1].0) {
                return Err(DecodeError::Inconsistent { what: "labels that are not sorted" });
            }
            visit(Item::Definition { slot, labels: &labels });
        }
        let mut starts = if self.has_starts { starts::read(reader)? } else { Starts::default() };
        let n = reader.count(3, "samples")?;
        let (mut slot, mut timestamp) = (0i64, 0i64);
        for _ in 0..n {
            let place = reader.varint()?;
            slot = slot.wrapping_add(sonde_disk::varint::unzigzag(place >> 1));
            timestamp = timestamp.wrapping_add(reader.signed()?);
            let value = if place & 1 == 0 {
                Value::Float(number::read(reader)?.to_bits())
            } else {
                Value::Histogram(Box::new(histogram::decode(reader, None)?))
            };
            let slot = u32::try_from(slot).map_err(|_| DecodeError::OutOfRange)?;
            visit(Item::Sample { slot, timestamp, start: starts.next(), value });
        }
        if !self.has_exemplars {
            return Ok(());
        }
        let mut slot = 0i64;
        let mut previous = exemplars::Previous::default();
        for _ in 0..reader.count(11, "exemplars")? {
            slot = slot.wrapping_add(reader.signed()?);
            let exemplar = previous.read(reader)?;
            let slot = u32::try_from(slot).map_err(|_| DecodeError::OutOfRange)?;
            visit(Item::Exemplar { slot, exemplar });
        }
        Ok(())
    }
}

fn put_stream(out: &mut Vec<u8>, stream: &StreamId) {
    out.extend_from_slice(&stream.agent.0);
    put(out, stream.epoch);
    out.push(match stream.signal {
        Signal::Metrics => 0,
        Signal::Traces => 1,
    });
}

fn read_stream(reader: &mut Reader<'_>) -> Result<StreamId, DecodeError> {
    let agent = AgentId(reader.array()?);
    let epoch = reader.varint()?;
    let signal = match reader.u8()? {
        0 => Signal::Metrics,
        1 => Signal::Traces,
        value => return Err(DecodeError::Unknown { what: "signal", value }),
    };
    Ok(StreamId { agent, epoch, signal })
}

fn put_cursor(out: &mut Vec<u8>, stream: &StreamId, cursor: &Cursor) {
    put_stream(out, stream);
    put(out, cursor.mark());
    put(out, cursor.checksums().count() as u64);
    let mut before = 0;
    for (seq, checksum) in cursor.checksums() {
        put(out, seq.wrapping_sub(before));
        out.extend_from_slice(&checksum.to_le_bytes());
        before = seq;
    }
}

fn read_cursor(reader: &mut Reader<'_>) -> Result<(StreamId, Cursor), DecodeError> {
    let stream = read_stream(reader)?;
    let mark = reader.varint()?;
    let n = reader.count(5, "checksums")?;
    let mut seq = 0u64;
    let mut checksums = Vec::with_capacity(n);
    for _ in 0..n {
        seq = seq.wrapping_add(reader.varint()?);
        checksums.push((seq, reader.u32_le()?));
    }
    Ok((stream, Cursor::restore(mark, checksums)))
}

fn put_metadata<'a>(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = (&'a str, &'a Metadata)>) {
    put(out, entries.len() as u64);
    entries.for_each(|(name, metadata)| put_metadata_entry(out, name, metadata));
}

fn put_metadata_entry(out: &mut Vec<u8>, name: &str, metadata: &Metadata) {
    put_str(out, name);
    out.push(metadata.kind.code());
    put_str(out, &metadata.help);
    put_str(out, &metadata.unit);
}

fn read_metadata<'a>(reader: &mut Reader<'a>) -> Result<Vec<(&'a str, Metadata)>, DecodeError> {
    let n = reader.count(4, "metadata")?;
    (0..n)
        .map(|_| {
            let name = reader.str()?;
            let kind = MetricKind::from_code(reader.u8()?);
            Ok((name, Metadata { kind, help: reader.str()?.to_owned(), unit: reader.str()?.to_owned() }))
        })
        .collect()
}

#[cfg(test)]
mod tests;
