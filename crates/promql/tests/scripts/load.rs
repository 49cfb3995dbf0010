//! `load`: series and their samples.

use sonde_model::{Labels, TimestampMs};

use crate::script::{Block, parse_time};
use crate::sequence::{self, SequenceValue};

/// What is loaded.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<LoadedSeries>,
}

/// A series with its samples in order of time.
#[derive(Clone, Debug)]
pub(crate) struct LoadedSeries {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<LoadedSample>,
}

/// A sample and where its start timestamp lies, if it has one.
#[derive(Clone, Debug)]
pub(crate) struct LoadedSample {
    pub(crate) timestamp: TimestampMs,
    pub(crate) start: Option<TimestampMs>,
    pub(crate) value: SequenceValue,
}

pub(crate) fn parse(block: Block<'_>) -> Result<Load, String> {
    let ((_, first), lines) = block.split_first().ok_or("empty block")?;
    let (word, step) = first.split_once(char::is_whitespace).ok_or("load needs a step")?;
    let with_nhcb = match word {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(format!("unknown command {word:?}")),
    };
    let step = parse_time(step.trim())?;
    let mut load = Load { with_nhcb, series: Vec::new() };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for (number, line) in lines {
        let fail = |e: String| format!("line {number}: {e}");
        let (metric, items) = sequence::split_metric(line).map_err(fail)?;
        let labels = sequence::parse_metric(metric).map_err(fail)?;
        if let Some(items) = items.strip_prefix("@st") {
            starts = Some((labels, sequence::parse_offsets(items).map_err(fail)?));
            continue;
        }
        let values = sequence::parse_values(items).map_err(fail)?;
        let offsets = match starts.take() {
            None => vec![None; values.len()],
            Some((of, offsets)) if of == labels && offsets.len() == values.len() => offsets,
            Some((of, offsets)) => {
                let (starts, values) = (offsets.len(), values.len());
                return Err(fail(format!("{starts} start timestamps of {of} before {values} samples of {labels}")));
            }
        };
        let samples = values
            .into_iter()
            .zip(offsets)
            .enumerate()
            .filter(|(_, (value, _))| *value != SequenceValue::Omitted)
            .map(|(i, (value, offset))| {
                let timestamp = step * i as i64;
                LoadedSample { timestamp, start: offset.map(|offset| timestamp + offset), value }
            })
            .collect();
        // Of a series that is given twice the last one counts.
        load.series.retain(|known| known.labels != labels);
        load.series.push(LoadedSeries { labels, samples });
    }
    Ok(load)
}
