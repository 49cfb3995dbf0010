//! What a look at a store found.

use std::ops::Range;
use std::path::PathBuf;

use sonde_model::TimestampMs;

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The blocks, oldest samples first.
    pub blocks: Vec<BlockUse>,
    /// Blocks that cannot be read, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// What the write-ahead log holds.
    pub log: LogUse,
    /// Other files and their bytes, by name.
    pub files: Vec<(String, u64)>,
    /// Metrics by the bytes of their samples in blocks, the largest first.
    pub metrics: Vec<MetricUse>,
    /// What its downsampled tiers hold, by the names of their directories.
    pub tiers: Vec<(String, Inspection)>,
}

/// What a block holds.
#[derive(Clone, Debug, Default)]
pub struct BlockUse {
    /// Its number, which names its file.
    pub seq: u64,
    /// How many merges made it.
    pub level: u32,
    /// The first sample.
    pub min_time: TimestampMs,
    /// The last sample.
    pub max_time: TimestampMs,
    /// When it was written.
    pub created: TimestampMs,
    /// Its series.
    pub series: u64,
    /// Its samples.
    pub samples: u64,
    /// The size of its file.
    pub bytes: u64,
    /// Where those bytes are.
    pub sections: Sections,
    /// How its chunks are encoded, the most bytes first.
    pub codecs: Vec<CodecUse>,
}

/// The bytes of a block by what they are for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections {
    /// The strings of labels.
    pub symbols: SectionUse,
    /// Which series has which labels, and where its chunks lie.
    pub series: SectionUse,
    /// Which label has which series.
    pub postings: SectionUse,
    /// Timestamps of samples.
    pub timestamps: SectionUse,
    /// Values of floats.
    pub values: SectionUse,
    /// Native histograms.
    pub histograms: SectionUse,
    /// Header, footer and trailer.
    pub frame: SectionUse,
}

/// The bytes of a section.
#[derive(Clone, Copy, Debug, Default)]
pub struct SectionUse {
    /// In the file. Chunks are compressed by the page: theirs are their share of it.
    pub bytes: u64,
    /// Before compression of the page.
    pub unpacked: u64,
}

/// Chunks of one encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecUse {
    /// The encoding of the values, in the words of docs/format/chunk.md.
    pub codec: &'static str,
    /// Chunks.
    pub chunks: u64,
    /// Their samples.
    pub samples: u64,
    /// Their bytes before compression of the page.
    pub bytes: u64,
}

/// What the write-ahead log holds.
#[derive(Clone, Debug, Default)]
pub struct LogUse {
    /// Bytes of its files.
    pub bytes: u64,
    /// Samples that an opening would bring into the head.
    pub samples: u64,
    /// Series of those samples.
    pub series: u64,
    /// The first of those samples.
    pub min_time: Option<TimestampMs>,
    /// The last of those samples.
    pub max_time: Option<TimestampMs>,
    /// Exemplars.
    pub exemplars: u64,
    /// Segments, records, the tail that an opening would cut, damage.
    pub report: sonde_disk::OpenReport,
    /// Samples and exemplars whose series is not defined.
    pub orphans: u64,
    /// Records that pass their checksum and cannot be read.
    pub unreadable: u64,
    /// Why the first of those cannot be read.
    pub first_unreadable: Option<String>,
}

/// What a metric takes in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricUse {
    /// Its name; empty for series without one.
    pub name: String,
    /// Its series; one that is in several blocks counts in each.
    pub series: u64,
    /// Its samples.
    pub samples: u64,
    /// The bytes of its samples in the files: their share of compressed pages.
    pub bytes: u64,
}

/// Whether a store is sound.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Bytes that were read.
    pub bytes: u64,
    /// Blocks that were read.
    pub blocks: u64,
    /// Samples in blocks that were decoded.
    pub samples: u64,
    /// Records of the log that were read.
    pub records: u64,
    /// What is wrong, at most [`Verification::MAX_LISTED`] entries.
    pub damage: Vec<Damage>,
    /// What is wrong beyond those listed.
    pub unlisted: u64,
    /// What is worth knowing and no damage: left-over files, a tail that the next start cuts.
    pub notes: Vec<String>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Which bytes of it, where that can be said.
    pub range: Option<Range<u64>>,
    /// What does not hold.
    pub reason: String,
    /// Which samples lie there, where that can be said.
    pub lost: Option<Lost>,
}

/// Samples that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of so many series.
    pub series: u64,
    /// So many.
    pub samples: u64,
    /// The first time.
    pub from: TimestampMs,
    /// The last time.
    pub to: TimestampMs,
}

impl Verification {
    /// Damage that is listed; more is counted.
    pub const MAX_LISTED: usize = 1_000;

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    pub(super) fn add(&mut self, damage: Damage) {
        if self.damage.len() < Self::MAX_LISTED {
            self.damage.push(damage);
        } else {
            self.unlisted += 1;
        }
    }
}

impl SectionUse {
    pub(crate) fn add(&mut self, bytes: u64, unpacked: u64) {
        self.bytes += bytes;
        self.unpacked += unpacked;
    }
}
