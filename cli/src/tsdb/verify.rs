//! `sonde tsdb verify`: whether every byte of a store is as it was written.

use serde_json::{Value, json};
use sonde_tsdb::examine::{Damage, Verification};

use super::args::{Output, VerifyArgs};
use super::progress::{Progress, Unit, bytes, count};
use super::store;
use crate::print;
use crate::problem::Problem;
use crate::process::problem;
use crate::query::show_time;

/// The exit code that says that something is damaged.
const DAMAGED: u8 = 3;

pub(super) fn run(args: &VerifyArgs) -> Result<(), Problem> {
    let examiner = store::examine(&args.store.dir)?;
    let mut progress = Progress::new("verifying", Unit::Bytes);
    let found = examiner.verify(&mut |done, total| progress.at(done, Some(total))).map_err(|e| problem(&e))?;
    drop(progress);
    print(&match args.output {
        Output::Table => text(&found),
        Output::Json => format!("{:#}\n", as_json(&found)),
    })?;
    if found.is_sound() {
        return Ok(());
    }
    let n = found.damage.len() as u64 + found.unlisted;
    let what = if n == 1 { "1 thing is".to_owned() } else { format!("{} things are", count(n)) };
    Err(Problem::new(format!("{}: {what} damaged", examiner.dir().display()))
        .hint("A collector that starts sets damaged blocks aside, reports what is lost and answers from the rest.")
        .code(DAMAGED))
}

fn text(found: &Verification) -> String {
    let mut text = String::new();
    for damage in &found.damage {
        text += &format!("damaged: {}\n", in_words(damage));
    }
    if found.unlisted > 0 {
        text += &format!("{} more damaged ranges are not listed\n", count(found.unlisted));
    }
    for note in &found.notes {
        text += &format!("note: {note}\n");
    }
    text += &format!(
        "{} read: {} blocks with {} samples, {} records of the WAL; {}\n",
        bytes(found.bytes),
        found.blocks,
        count(found.samples),
        count(found.records),
        if found.is_sound() { "all sound" } else { "not all sound" }
    );
    text
}

fn in_words(damage: &Damage) -> String {
    let mut text = damage.path.display().to_string();
    if let Some(range) = &damage.range {
        text += &format!(", bytes {} to {}", range.start, range.end);
    }
    text += &format!(": {}", damage.reason);
    if let Some(lost) = &damage.lost {
        let samples = if lost.samples > 0 { format!("{} samples", count(lost.samples)) } else { "samples".to_owned() };
        let (from, to) = (show_time(lost.from), show_time(lost.to));
        text += &format!("; {samples} of {} series from {from} to {to} cannot be read", count(lost.series));
    }
    text
}

fn as_json(found: &Verification) -> Value {
    let damage = |damage: &Damage| {
        json!({
            "path": damage.path.display().to_string(),
            "range": damage.range.as_ref().map(|range| [range.start, range.end]),
            "reason": damage.reason,
            "lost": damage.lost.map(|l| json!({"series": l.series, "samples": l.samples, "from": l.from, "to": l.to})),
        })
    };
    json!({
        "sound": found.is_sound(),
        "bytes": found.bytes,
        "blocks": found.blocks,
        "samples": found.samples,
        "walRecords": found.records,
        "damage": found.damage.iter().map(damage).collect::<Vec<_>>(),
        "unlistedDamage": found.unlisted,
        "notes": found.notes,
    })
}
