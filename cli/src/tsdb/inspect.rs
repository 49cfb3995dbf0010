//! `sonde tsdb inspect`: what is in a store.

use serde_json::{Value, json};
use sonde_model::TimestampMs;
use sonde_tsdb::examine::{BlockUse, Inspection, SectionUse, Sections};

use super::args::{InspectArgs, Output};
use super::progress::{Progress, Unit, bytes, count};
use super::store;
use crate::print;
use crate::problem::Problem;
use crate::process::problem;
use crate::query::{columns, show_time};

pub(super) fn run(args: &InspectArgs) -> Result<(), Problem> {
    let examiner = store::examine(&args.store.dir)?;
    let mut progress = Progress::new("inspecting", Unit::Bytes);
    let found = examiner.inspect(&mut |done, total| progress.at(done, Some(total))).map_err(|e| problem(&e))?;
    drop(progress);
    print(&match args.output {
        Output::Table => format!("{}\n\n{}", examiner.dir().display(), table(&found, args.top)),
        Output::Json => format!("{:#}\n", as_json(&found, args.top)),
    })
}

fn named(sections: &Sections) -> [(&'static str, SectionUse); 7] {
    [
        ("timestamps", sections.timestamps),
        ("values", sections.values),
        ("histograms", sections.histograms),
        ("series", sections.series),
        ("postings", sections.postings),
        ("symbols", sections.symbols),
        ("frame", sections.frame),
    ]
}

fn table(found: &Inspection, top: usize) -> String {
    let mut text = String::new();
    let samples: u64 = found.blocks.iter().map(|block| block.samples).sum();
    let total: u64 = found.blocks.iter().map(|block| block.bytes).sum();
    text += &blocks(&found.blocks);
    text += &format!(
        "{} samples in {} blocks of {}{}\n",
        count(samples),
        found.blocks.len(),
        bytes(total),
        per_sample(total, samples)
    );
    for (path, reason) in &found.unreadable {
        text += &format!("{}: cannot be read: {reason}\n", path.display());
    }
    if samples > 0 {
        text += &format!("\n{}\n{}", sections(&found.blocks, total, samples), codecs(&found.blocks));
        text += &metrics(found, top);
    }
    let log = &found.log;
    text += &format!(
        "\nWAL: {} in {} segments, {} records; {} samples of {} series{} and {} exemplars that are in no block\n",
        bytes(log.bytes),
        log.report.segments,
        count(log.report.records),
        count(log.samples),
        count(log.series),
        log.min_time.zip(log.max_time).map_or(String::new(), |(min, max)| format!(" {}", range(min, max))),
        count(log.exemplars),
    );
    if !log.report.damage.is_empty() || log.unreadable + log.orphans > 0 {
        text += "The WAL is damaged: `sonde tsdb verify` says where.\n";
    }
    let files: Vec<String> = found.files.iter().map(|(name, len)| format!("{name} {}", bytes(*len))).collect();
    if !files.is_empty() {
        text += &format!("Other files: {}\n", files.join(", "));
    }
    for (name, tier) in &found.tiers {
        text += &format!("\n\nTIER {name}\n\n{}", table(tier, top));
    }
    text
}

fn blocks(all: &[BlockUse]) -> String {
    let header = ["BLOCK", "FROM", "TO", "LEVEL", "SERIES", "SAMPLES", "SIZE", "BYTES/SAMPLE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for block in all {
        rows.push(vec![
            format!("{:x}", block.seq),
            show_time(block.min_time),
            show_time(block.max_time),
            block.level.to_string(),
            count(block.series),
            count(block.samples),
            bytes(block.bytes),
            format!("{:.2}", block.bytes as f64 / block.samples.max(1) as f64),
        ]);
    }
    columns(&rows, 3)
}

fn sections(all: &[BlockUse], total: u64, samples: u64) -> String {
    let header = ["SECTION", "BYTES", "SHARE", "BYTES/SAMPLE", "UNPACKED"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (index, (name, _)) in named(&Sections::default()).into_iter().enumerate() {
        let (mut of_section, mut unpacked) = (0, 0);
        for block in all {
            let (_, used) = named(&block.sections)[index];
            of_section += used.bytes;
            unpacked += used.unpacked;
        }
        rows.push(vec![
            name.to_owned(),
            bytes(of_section),
            format!("{:.1} %", of_section as f64 * 100.0 / total.max(1) as f64),
            format!("{:.3}", of_section as f64 / samples as f64),
            bytes(unpacked),
        ]);
    }
    columns(&rows, 1)
}

fn codecs(all: &[BlockUse]) -> String {
    let header = ["CODEC", "CHUNKS", "SAMPLES", "UNPACKED", "BYTES/SAMPLE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (codec, [chunks, samples, unpacked]) in codec_sums(all) {
        rows.push(vec![
            codec.to_owned(),
            count(chunks),
            count(samples),
            bytes(unpacked),
            format!("{:.3}", unpacked as f64 / samples.max(1) as f64),
        ]);
    }
    columns(&rows, 1)
}

/// Chunks, samples and bytes by codec, the most bytes first.
fn codec_sums(all: &[BlockUse]) -> Vec<(&'static str, [u64; 3])> {
    let mut sums = std::collections::BTreeMap::<&'static str, [u64; 3]>::new();
    for used in all.iter().flat_map(|block| &block.codecs) {
        let sum = sums.entry(used.codec).or_default();
        for (sum, more) in sum.iter_mut().zip([used.chunks, used.samples, used.bytes]) {
            *sum += more;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, [_, _, bytes])| std::cmp::Reverse(*bytes));
    sums
}

fn metrics(found: &Inspection, top: usize) -> String {
    if top == 0 || found.metrics.is_empty() {
        return String::new();
    }
    let header = ["METRIC", "SERIES", "SAMPLES", "BYTES", "BYTES/SAMPLE"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for metric in found.metrics.iter().take(top) {
        let name = if metric.name.is_empty() { "(without a name)" } else { &metric.name };
        rows.push(vec![
            name.to_owned(),
            count(metric.series),
            count(metric.samples),
            bytes(metric.bytes),
            format!("{:.3}", metric.bytes as f64 / metric.samples.max(1) as f64),
        ]);
    }
    let more = found.metrics.len().saturating_sub(top);
    let more =
        if more > 0 { format!("{} more metrics; --top lists them\n", count(more as u64)) } else { String::new() };
    format!("\n{}{more}", columns(&rows, 1))
}

fn per_sample(total: u64, samples: u64) -> String {
    if samples == 0 { String::new() } else { format!(", {:.2} bytes a sample", total as f64 / samples as f64) }
}

fn range(min: TimestampMs, max: TimestampMs) -> String {
    format!("from {} to {}", show_time(min), show_time(max))
}

fn as_json(found: &Inspection, top: usize) -> Value {
    let block = |block: &BlockUse| {
        let sections: serde_json::Map<String, Value> = named(&block.sections)
            .into_iter()
            .map(|(name, used)| (name.to_owned(), json!({"bytes": used.bytes, "unpackedBytes": used.unpacked})))
            .collect();
        let codecs: Vec<Value> = block
            .codecs
            .iter()
            .map(|c| json!({"codec": c.codec, "chunks": c.chunks, "samples": c.samples, "unpackedBytes": c.bytes}))
            .collect();
        json!({
            "block": format!("{:016x}", block.seq),
            "minTime": block.min_time,
            "maxTime": block.max_time,
            "created": block.created,
            "level": block.level,
            "series": block.series,
            "samples": block.samples,
            "bytes": block.bytes,
            "sections": sections,
            "codecs": codecs,
        })
    };
    let log = &found.log;
    let metrics: Vec<Value> = found
        .metrics
        .iter()
        .take(top)
        .map(|m| json!({"metric": m.name, "series": m.series, "samples": m.samples, "bytes": m.bytes}))
        .collect();
    json!({
        "blocks": found.blocks.iter().map(block).collect::<Vec<_>>(),
        "unreadable": found.unreadable.iter()
            .map(|(path, reason)| json!({"path": path.display().to_string(), "reason": reason})).collect::<Vec<_>>(),
        "wal": {
            "bytes": log.bytes,
            "segments": log.report.segments,
            "records": log.report.records,
            "samples": log.samples,
            "series": log.series,
            "exemplars": log.exemplars,
            "minTime": log.min_time,
            "maxTime": log.max_time,
            "damagedRanges": log.report.damage.len() as u64 + log.report.unlisted_damage,
        },
        "files": found.files.iter().map(|(name, len)| (name.clone(), json!(len))).collect::<serde_json::Map<_, _>>(),
        "metrics": metrics,
        "tiers": found.tiers.iter().map(|(name, tier)| (name.clone(), as_json(tier, top))).collect::<serde_json::Map<_, _>>(),
    })
}
