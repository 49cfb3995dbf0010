//! The score on the Numenta Anomaly Benchmark, by its published rules, on the files that are there.
//!
//! Source of the rules: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms" (2015), and the scoring
//! code's documented constants: the first 15 % of a file (at most 750 rows) are not judged; within a window the
//! earliest detection counts, weighted by a sigmoid of its place; every detection outside costs by its distance to the
//! window before; the threshold is the best one over all files, for each profile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use sonde_detect::Novelty;

/// A row that is judged: its raw score, and the window it lies in or what a detection there costs.
struct Row {
    score: f64,
    window: Option<usize>,
    weight: f64,
}

/// Costs of a profile: name, false positive, false negative. A true positive counts 1.
const PROFILES: [(&str, f64, f64); 3] =
    [("standard", 0.11, 1.0), ("reward_low_FP", 0.22, 1.0), ("reward_low_FN", 0.11, 2.0)];
/// The least that may be reached on the 29 files: what was measured, less half a point.
const FLOOR: [f64; 3] = [76.1, 70.9, 80.1];

#[test]
fn the_score_does_not_fall() {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from)
        .join("nab");
    let Ok(windows) = std::fs::read_to_string(folder.join("windows.json")) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", folder.display());
        record("SONDE_NOT_RUN", "the Numenta Anomaly Benchmark: the conformance data is not there");
        return;
    };
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&windows).expect("the windows");
    let mut rows = Vec::new();
    let mut total = 0;
    for (file, bounds) in &windows {
        judge(&folder.join("data").join(file), bounds, &mut total, &mut rows);
    }
    let scores = PROFILES.map(|(_, fp, fn_)| best(&rows, total, fp, fn_));
    let text: Vec<String> =
        PROFILES.iter().zip(scores).map(|((name, ..), score)| format!("{name} {score:.1}")).collect();
    record("SONDE_PASSED", &format!("nab ({} files, {total} windows): {}", windows.len(), text.join(", ")));
    for (score, floor) in scores.iter().zip(FLOOR) {
        assert!(*score >= floor, "{scores:?} fell below {FLOOR:?}");
    }
}

/// Runs the detector over a file and adds its judged rows.
fn judge(path: &Path, bounds: &[(String, String)], total: &mut usize, rows: &mut Vec<Row>) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let samples: Vec<(i64, f64)> = text.lines().skip(1).map(sample).collect();
    let row_of = |time: &str| {
        let time = seconds(time.split('.').next().unwrap_or(time));
        samples.iter().position(|(t, _)| *t == time).expect("the bound is a row")
    };
    let spans: Vec<(usize, usize)> = bounds.iter().map(|(from, to)| (row_of(from), row_of(to))).collect();
    let probation = (samples.len() as f64 * 0.15).floor().min(750.0) as usize;
    let mut novelty = Novelty::default();
    for (i, (time, value)) in samples.iter().enumerate() {
        let score = novelty.push(time * 1000, *value).value;
        if i < probation {
            continue;
        }
        let inside = spans.iter().position(|(from, to)| (*from..=*to).contains(&i));
        let weight = match inside {
            Some(w) => {
                let (from, to) = spans[w];
                sigmoid(-((to - i + 1) as f64) / (to - from + 1) as f64) / sigmoid(-1.0)
            }
            None => match spans.iter().rev().find(|(_, to)| *to < i) {
                Some((from, to)) => sigmoid((i - to) as f64 / (to - from) as f64),
                None => -1.0,
            },
        };
        rows.push(Row { score, window: inside.map(|w| *total + w), weight });
    }
    *total += spans.len();
}

/// The best score over all thresholds, from 0 (no detector) to 100 (a perfect one).
fn best(rows: &[Row], windows: usize, fp: f64, fn_: f64) -> f64 {
    let mut order: Vec<&Row> = rows.iter().filter(|r| r.score > 0.0).collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let visible: std::collections::BTreeSet<usize> = rows.iter().filter_map(|r| r.window).collect();
    let mut parts: BTreeMap<usize, f64> = visible.iter().map(|w| (*w, -fn_)).collect();
    let null = -fn_ * visible.len() as f64;
    let (mut raw, mut best) = (null, null);
    let mut i = 0;
    while i < order.len() {
        let threshold = order[i].score;
        while i < order.len() && order[i].score == threshold {
            match order[i].window {
                Some(window) => {
                    let part = parts.get_mut(&window).expect("the window is visible");
                    raw += (order[i].weight - *part).max(0.0);
                    *part = part.max(order[i].weight);
                }
                None => raw += order[i].weight * fp,
            }
            i += 1;
        }
        best = best.max(raw);
    }
    100.0 * (best - null) / (windows as f64 - null)
}

fn sigmoid(x: f64) -> f64 {
    if x > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * x).exp()) - 1.0 }
}

fn sample(line: &str) -> (i64, f64) {
    let (time, value) = line.split_once(',').expect("two columns");
    (seconds(time), value.trim().parse().expect("a number"))
}

fn seconds(time: &str) -> i64 {
    let time: DateTime = time.replace(' ', "T").parse().expect("a time");
    time.to_zoned(jiff::tz::TimeZone::UTC).expect("within range").timestamp().as_second()
}

/// Appends a line to the file that an environment variable names, for the summary of the whole run.
#[expect(clippy::print_stdout, reason = "the score belongs in the output of the test")]
fn record(variable: &str, line: &str) {
    use std::io::Write;
    println!("{line}");
    if let Some(path) = std::env::var_os(variable) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the summary");
        writeln!(file, "{line}").expect("a line");
    }
}
