//! `sonde query explain`: what a query read, and where the time went, part by part of the expression.

use serde_json::Value;
use sonde_runtime::Clock;

use super::mistakes::check_expression;
use super::{client, request_of, table};
use crate::client::Client;
use crate::problem::Problem;
use crate::query::args::{ExplainArgs, ExplainOutput};
use crate::{print, warn};

/// Letters of a part of the expression that are shown.
const SHOWN: usize = 60;

pub(super) fn run(args: &ExplainArgs, clock: &Clock) -> Result<(), Problem> {
    check_expression(&args.expr)?;
    let request = request_of(&args.expr, args.range.as_deref(), args.step.as_deref(), args.time.as_deref(), clock)?;
    let reply = client::ask_with_stats(&Client::new(&args.server)?, &request)?;
    for warning in &reply.warnings {
        warn(warning);
    }
    print(&match args.output {
        ExplainOutput::Json => format!("{:#}\n", reply.data["stats"]),
        ExplainOutput::Table => draw(&reply.data)?,
    })
}

/// What was read, then a line for each part of the expression.
pub(super) fn draw(data: &Value) -> Result<String, Problem> {
    let stats = &data["stats"];
    if !stats.is_object() {
        return Err(Problem::new("the server does not say what a query took"));
    }
    let result = data["result"].as_array().map_or(1, Vec::len);
    let (timings, samples) = (&stats["timings"], &stats["samples"]);
    let seconds = |key: &str| timings[key].as_f64().unwrap_or_default();
    let mut text = format!("result: {} of {result} series\n", data["resultType"].as_str().unwrap_or("a value"));
    let read = stats["seriesRead"].as_u64().map(|series| format!("{} series, ", thousands(series))).unwrap_or_default();
    let number = |key: &str| thousands(samples[key].as_u64().unwrap_or_default());
    text.push_str(&format!(
        "read: {read}{} samples; held at once: {} samples\n",
        number("totalQueryableSamples"),
        number("peakSamples")
    ));
    text.push_str(&format!(
        "time: {} evaluated, {} waited for its turn\n",
        milliseconds(seconds("evalTotalTime")),
        milliseconds(seconds("execQueueTime"))
    ));
    let Some(nodes) = stats["nodes"].as_array() else {
        text.push_str("This server does not tell the parts of an expression apart.\n");
        return Ok(text);
    };
    let header = ["TIME", "SELF", "SERIES", "SAMPLES", "SERIES READ", "SAMPLES READ", "EXPRESSION"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    add_rows(nodes, 0, &mut rows);
    if rows.len() > 1 {
        text.push('\n');
        // The expression comes last and is aligned to the left by itself.
        let expressions: Vec<String> = rows.iter_mut().filter_map(Vec::pop).collect();
        let drawn = table::columns(&rows, 0);
        for (line, expression) in drawn.lines().zip(expressions) {
            text.push_str(&format!("{line}  {expression}\n"));
        }
    }
    Ok(text)
}

fn add_rows(nodes: &[Value], depth: usize, rows: &mut Vec<Vec<String>>) {
    for node in nodes {
        let time = |key: &str| milliseconds(node[key].as_f64().unwrap_or_default());
        let count = |key: &str| thousands(node[key].as_u64().unwrap_or_default());
        let expr = node["expr"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let expr = match expr.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}...", &expr[..at]),
            None => expr,
        };
        let times =
            node["evaluations"].as_u64().filter(|n| *n > 1).map(|n| format!(" ({n} times)")).unwrap_or_default();
        rows.push(vec![
            time("time"),
            time("selfTime"),
            count("series"),
            count("samples"),
            count("seriesRead"),
            count("samplesRead"),
            format!("{}{expr}{times}", "  ".repeat(depth)),
        ]);
        if let Some(children) = node["children"].as_array() {
            add_rows(children, depth + 1, rows);
        }
    }
}

fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1_000.0;
    if ms >= 1_000.0 {
        format!("{seconds:.2} s")
    } else if ms >= 1.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{:.0} µs", ms * 1_000.0)
    }
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_parts_of_an_expression_are_a_tree() {
        let leaf = json!({"expr": "a[5m]", "evaluations": 3, "time": 0.000_25, "selfTime": 0.000_25, "series": 1200,
            "samples": 48_000, "seriesRead": 1200, "samplesRead": 48_000, "children": []});
        let root = json!({"expr": "rate(a[5m])", "evaluations": 3, "time": 0.0125, "selfTime": 0.01225, "series": 1200,
            "samples": 1200, "seriesRead": 1200, "samplesRead": 48_000, "children": [leaf]});
        let data = json!({"resultType": "matrix", "result": [1, 2], "stats": {
            "timings": {"evalTotalTime": 1.5, "execQueueTime": 0.0},
            "samples": {"totalQueryableSamples": 48_000, "peakSamples": 50_000}, "seriesRead": 1200, "nodes": [root]}});
        let drawn = draw(&data).expect("an explanation");
        assert_eq!(drawn, include_str!("fixtures/explain.txt"), "\n{drawn}");
    }

    #[test]
    fn a_server_that_tells_less_is_understood() {
        let data = json!({"resultType": "scalar", "result": [1, "2"], "stats": {"timings": {}, "samples": {}}});
        assert!(draw(&data).expect("an explanation").contains("does not tell the parts"));
        assert!(draw(&json!({"resultType": "scalar", "result": [1, "2"]})).is_err());
    }
}
