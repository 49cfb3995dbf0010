//! Queries whose value at a time does not depend on the range of the query: no `@ start()`, no `step()`.

use proptest::prelude::*;

const SELECTORS: &[&str] = &[
    "requests_total",
    "load",
    "{__name__=~\"load|requests_total\"}",
    "latency",
    "custom",
    "mixed",
    "{host=\"a\"}",
    "flat",
    "nothing",
    "load{zone=\"x\"}",
];

const MODIFIERS: &[&str] = &["", "", "", "", " offset 70s", " offset -40s", " @ 500", " @ 900 offset 1m", " smoothed"];

const RANGES: &[&str] = &["15s", "46s", "47s", "2m", "5m", "200s", "20m"];

const RANGE_FUNCTIONS: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "changes",
    "resets",
    "deriv",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "absent_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "quantile_over_time(0.7, ",
    "predict_linear(-60, ",
    "double_exponential_smoothing(0.3, 0.6, ",
];

const INSTANT_FUNCTIONS: &[&str] = &[
    "abs",
    "ceil",
    "ln",
    "sgn",
    "timestamp",
    "histogram_count",
    "histogram_avg",
    "histogram_stddev",
    "absent",
    "day_of_week",
    "-",
    "+",
];

const AGGREGATIONS: &[&str] = &[
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "quantile(0.4, ",
    "count_values(\"value\", ",
    "limit_ratio(0.6, ",
];

/// What these pick of equal values depends on the order of the series, which is sure only where nothing is computed.
const PICKS: &[&str] = &["topk(2, ", "bottomk(1, ", "limitk(2, ", "limit_ratio(-0.3, "];

const GROUPINGS: &[&str] = &["", "", "by (host)", "by (zone)", "without (host)", "by (__name__)", "by (host, zone)"];

const OPERATORS: &[&str] = &[
    "+",
    "-",
    "* on (host)",
    "/ on (host) group_left ()",
    "% ignoring (zone)",
    "^",
    "==",
    "> on (host, zone)",
    "< bool on (host) group_right ()",
    ">= bool",
    "and",
    "and on (host)",
    "or",
    "or on (zone)",
    "unless on (host)",
    "+ fill (1)",
    "* on (host) fill_left (2)",
    "- on (host) group_left () fill_right (0)",
];

pub(crate) fn queries() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| proptest::sample::select(words);
    let selector = (pick(SELECTORS), pick(MODIFIERS)).prop_map(|(selector, modifier)| format!("{selector}{modifier}"));
    let range = (pick(RANGE_FUNCTIONS), pick(SELECTORS), pick(RANGES), pick(MODIFIERS))
        .prop_filter("smoothed is for rates only", |(.., modifier)| *modifier != " smoothed")
        .prop_map(|(function, selector, range, modifier)| over(function, &format!("{selector}[{range}]{modifier}")));
    let extended = (
        pick(&["rate", "increase", "delta"]),
        pick(SELECTORS),
        pick(RANGES),
        pick(&[" smoothed", " anchored", " anchored offset 30s"]),
    )
        .prop_map(|(function, selector, range, mode)| format!("{function}({selector}[{range}]{mode})"));
    let scalar = pick(&["1", "2.5", "-0.5", "time()", "scalar(flat)", "Inf", "NaN"]);
    let leaf = prop_oneof![3 => selector, 4 => range, 1 => extended];
    let picked = (pick(PICKS), pick(GROUPINGS), leaf.clone())
        .prop_map(|(picks, grouping, operand)| aggregation(picks, grouping, &operand));
    let leaf = prop_oneof![8 => leaf, 1 => picked];
    leaf.prop_recursive(3, 12, 2, move |inner| {
        let pick = |words: &'static [&'static str]| proptest::sample::select(words);
        prop_oneof![
            3 => (pick(AGGREGATIONS), pick(GROUPINGS), inner.clone())
                .prop_map(|(name, grouping, operand)| aggregation(name, grouping, &operand)),
            3 => (inner.clone(), pick(OPERATORS), inner.clone()).prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            1 => (inner.clone(), pick(&["+", "*", ">", "== bool", "</"]), scalar.clone())
                .prop_map(|(a, operator, b)| format!("({a}) {operator} {b}")),
            1 => (scalar.clone(), pick(&["-", "<", "!= bool", "^"]), inner.clone())
                .prop_map(|(a, operator, b)| format!("{a} {operator} ({b})")),
            2 => (pick(INSTANT_FUNCTIONS), inner.clone()).prop_map(|(function, operand)| format!("{function}({operand})")),
            1 => inner.clone().prop_map(|operand| format!("histogram_quantile(0.9, {operand})")),
            1 => inner.clone().prop_map(|operand| format!("label_replace({operand}, \"host\", \"$1-z\", \"zone\", \"(.*)\")")),
            2 => (pick(RANGE_FUNCTIONS), inner, pick(RANGES), pick(&["20s", "1m", "90s", ""]), pick(&["", " offset 40s", " @ 700"]))
                .prop_map(|(function, operand, range, step, modifier)| over(function, &format!("({operand})[{range}:{step}]{modifier}"))),
        ]
    })
}

/// An aggregation, whose parameter stands after the name.
fn aggregation(name: &str, grouping: &str, operand: &str) -> String {
    let (name, parameter) = name.split_once('(').unwrap_or((name, ""));
    format!("{name} {grouping} ({parameter}{operand})")
}

/// The call of a range function; its other arguments stand after the name, those that follow the range are negative or
/// less than 1.
fn over(function: &str, argument: &str) -> String {
    match function.split_once('(') {
        Some(("quantile_over_time", first)) => format!("quantile_over_time({first}{argument})"),
        Some((name, rest)) => format!("{name}({argument}, {})", rest.trim_end_matches(", ")),
        None => format!("{function}({argument})"),
    }
}
