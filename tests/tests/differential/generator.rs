//! Generates queries that have a type and something to say about the data.

use fastrand::Rng;
use sonde_tests::encode;

use super::data::Data;

/// Draws one query after the other.
pub(super) struct Generator {
    rng: Rng,
    start: i64,
    end: i64,
    in_subquery: bool,
}

/// A query and when it is asked for.
pub(super) struct Question {
    pub(super) expr: String,
    /// Milliseconds.
    start: i64,
    /// The end and the step of a range query, in milliseconds.
    range: Option<(i64, i64)>,
}

impl Question {
    /// The path and query of the HTTP API.
    pub(super) fn path(&self) -> String {
        let (expr, seconds) = (encode(&self.expr), |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000));
        match self.range {
            None => format!("/api/v1/query?query={expr}&time={}", seconds(self.start)),
            Some((end, step)) => format!(
                "/api/v1/query_range?query={expr}&start={}&end={}&step={}",
                seconds(self.start),
                seconds(end),
                seconds(step)
            ),
        }
    }
}

/// Vectors with the labels that their series have.
const METRICS: [(&str, &[&str]); 5] = [
    ("http_requests_total", &["job", "instance", "code"]),
    ("temperature_celsius", &["job", "instance", "zone"]),
    ("memory_bytes", &["job", "instance"]),
    ("latency_seconds_bucket", &["job", "instance", "le"]),
    ("latency_seconds_count", &["job", "instance"]),
];
const RANGES: [&str; 6] = ["1m", "90s", "2m", "5m", "10m", "17m"];
const OVER_TIME: [&str; 10] = [
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "deriv",
];
/// Of selectors only: of computed values they count last bits.
const CHANGES: [&str; 2] = ["changes", "resets"];
/// Of counters only: the class "extrapolation to zero".
const RATES: [&str; 3] = ["rate", "increase", "irate"];
const COUNTERS: [usize; 3] = [0, 3, 4];
const DELTAS: [&str; 3] = ["irate", "idelta", "delta"];
const MATHS: [&str; 17] = [
    "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "atan", "sinh", "tanh", "deg", "rad", "-",
    "+", "round",
];
/// Of selectors only: of large sums they show the last bit.
const WAVES: [&str; 4] = ["sin", "cos", "tan", "2 ^ sin"];
const AGGREGATIONS: [&str; 6] = ["sum", "avg", "min", "max", "count", "group"];
/// Of selectors only: the classes "deviation of one value" and "deviation of close values".
const DEVIATIONS: [&str; 2] = ["stddev", "stdvar"];
pub(super) const EXTREMES: [&str; 2] = ["topk", "bottomk"];
/// Of what is read from selectors only: of a number with more behind it, such as its `sinh`, they show the last bit.
const DATES: [&str; 8] =
    ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];

impl Generator {
    pub(super) fn new(seed: u64, data: &Data) -> Self {
        Generator { rng: Rng::with_seed(seed ^ 0x5eed), start: data.start, end: data.end, in_subquery: false }
    }

    /// A query of up to four levels, at an instant or over a range. Times end on half a second, where no sample lies
    /// and no step of a subquery.
    pub(super) fn question(&mut self) -> Question {
        let depth = self.rng.u32(0..4);
        let expr = match self.rng.u32(..24) {
            0 | 1 => self.scalar(depth),
            2 | 3 => self.extremes(depth),
            _ => self.vector(depth),
        };
        let time = |rng: &mut Rng, from: i64, to: i64| rng.i64(from / 1000..to / 1000) * 1000 + 500;
        let start = time(&mut self.rng, self.start + 60_000, self.end);
        let range = (self.rng.u32(..3) > 0).then(|| {
            let step = [1_000, 15_000, 37_000, 60_000, 300_000][self.rng.usize(..5)];
            let end = (start + step * self.rng.i64(0..40)).min(self.end + 400_500);
            (end.max(start), step)
        });
        Question { expr, start, range }
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let depth = depth - 1;
        match self.rng.u32(..15) {
            0..=2 => self.over_time(depth),
            3 | 4 => self.aggregation(depth),
            5 => self.parametrised(depth),
            6..=8 => self.binary(depth),
            9 => self.set(depth),
            10 => self.maths(depth),
            11 => self.labels(depth),
            12 => self.quantile(),
            13 => self.matching(depth),
            _ => self.rest(depth),
        }
    }

    fn leaf(&mut self) -> String {
        match self.rng.u32(..6) {
            5 => format!("{}({}[{}])", self.pick(&CHANGES), self.selector(), self.pick(&RANGES)),
            0 => {
                let counter = COUNTERS[self.rng.usize(..COUNTERS.len())];
                format!("{}({}[{}])", self.pick(&RATES), self.selector_of(counter), self.pick(&RANGES))
            }
            1 => format!("{}({}[{}])", self.pick(&OVER_TIME), self.selector(), self.pick(&RANGES)),
            _ => {
                let modifier = self.modifier();
                format!("{}{modifier}", self.selector())
            }
        }
    }

    fn selector(&mut self) -> String {
        let metric = self.rng.usize(..METRICS.len());
        self.selector_of(metric)
    }

    fn selector_of(&mut self, metric: usize) -> String {
        let (name, labels) = METRICS[metric];
        let mut matchers = Vec::new();
        for label in labels {
            let matcher = match (self.rng.u32(..9), *label) {
                (0, "job") => "job=\"api\"",
                (1, "job") => "job!=\"web\"",
                (2, "job") => "job=~\"api|db\"",
                (3, "job") => "job!~\"a.*\"",
                (0, "instance") => "instance=\"host-1:9100\"",
                (1, "instance") => "instance=~\"host-[01].*\"",
                (2, "instance") => "instance!~\".*2:9100\"",
                (0, "code") => "code=~\"4..|5..\"",
                (1, "code") => "code!=\"200\"",
                (0, "zone") => "zone=\"z1\"",
                (0, "le") => "le!=\"+Inf\"",
                (8, _) if self.rng.u32(..6) == 0 => "absent=\"\"",
                _ => continue,
            };
            matchers.push(matcher);
        }
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(", ")) }
    }

    fn modifier(&mut self) -> String {
        match self.rng.u32(..12) {
            0 => " offset 3m".to_owned(),
            1 => " offset -2m".to_owned(),
            2 => format!(" @ {}.5", self.rng.i64(self.start..self.end) / 1000),
            3 => " @ start()".to_owned(),
            4 => " @ end() offset 1m".to_owned(),
            _ => String::new(),
        }
    }

    fn over_time(&mut self, depth: u32) -> String {
        let range = if self.in_subquery || self.rng.bool() {
            let modifier = self.modifier();
            format!("{}[{}]{modifier}", self.selector(), self.pick(&RANGES))
        } else {
            let step = ["", "7s", "30s", "1m"][self.rng.usize(..4)];
            // No subquery within a subquery: its ends would fall on its steps, which is the class "left-open ranges".
            let nested = std::mem::replace(&mut self.in_subquery, true);
            let inner = self.vector(depth.min(1));
            self.in_subquery = nested;
            let modifier = self.modifier();
            format!("({inner})[{}:{step}]{modifier}", self.pick(&RANGES))
        };
        match self.rng.u32(..8) {
            0 => format!("quantile_over_time(0.{}, {range})", self.rng.u32(1..10)),
            // The class "`@` of range vectors".
            1 if !range.contains('@') => format!("predict_linear({range}, {})", self.rng.u32(..600)),
            2 => format!("absent_over_time({range})"),
            3 | 4 => format!("{}({range})", self.pick(&DELTAS)),
            _ => format!("{}({range})", self.pick(&OVER_TIME)),
        }
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let (op, inner) = match self.rng.u32(..5) {
            0 => (self.pick(&DEVIATIONS), self.selector()),
            _ => (self.pick(&AGGREGATIONS), self.vector(depth)),
        };
        match self.grouping() {
            grouping if self.rng.bool() => format!("{op}{grouping}({inner})"),
            grouping => format!("{op}({inner}){grouping}"),
        }
    }

    fn grouping(&mut self) -> String {
        let clause = ["by", "without"][self.rng.usize(..2)];
        match self.rng.u32(..5) {
            0 => String::new(),
            1 => format!(" {clause} ()"),
            2 => format!(" {clause} (job, instance)"),
            _ => format!(" {clause} ({})", self.pick(&["job", "instance", "code", "zone", "le"])),
        }
    }

    fn parametrised(&mut self, depth: u32) -> String {
        let grouping = self.grouping();
        match self.rng.u32(..2) {
            0 => format!("quantile{grouping}(0.{}, {})", self.rng.u32(..10), self.vector(depth)),
            // Of selectors only: halves of computed values are rounded by their last bit.
            _ => format!("count_values{grouping}(\"value\", round({}))", self.selector()),
        }
    }

    /// The outermost only: labels are not compared, because of the class "ties of `topk` and `bottomk`".
    fn extremes(&mut self, depth: u32) -> String {
        let (op, inner, grouping) = (self.pick(&EXTREMES), self.vector(depth), self.grouping());
        format!("{op}{grouping}({}, {inner})", self.rng.u32(..6))
    }

    fn binary(&mut self, depth: u32) -> String {
        let op = self.pick(&["+", "-", "*", "/", "%", "atan2", "==", "!=", ">", "<", ">=", "<="]);
        let compares = op.starts_with(['=', '!', '>', '<']);
        let bool = if compares && self.rng.bool() { " bool" } else { "" };
        match self.rng.u32(..3) {
            0 if !["atan2", "%"].contains(&op) => {
                format!("({}) {op}{bool} {}", self.vector(depth), self.scalar(0))
            }
            1 if !["atan2", "%"].contains(&op) => {
                format!("{} {op}{bool} ({})", self.scalar(0), self.vector(depth))
            }
            _ => {
                // The same series on both sides: they always find each other.
                let side = self.leaf();
                // The classes "name after `atan2`" and "names that come back".
                let wrap = if op == "atan2" || (compares && bool.is_empty()) { "abs" } else { "" };
                format!("{wrap}({side} {op}{bool} {side})")
            }
        }
    }

    fn matching(&mut self, depth: u32) -> String {
        let op = self.pick(&["+", "-", "*", "/", ">", "<="]);
        match self.rng.u32(..5) {
            // Refused, because several series of one side match.
            4 => format!("http_requests_total {op} on (job) memory_bytes"),
            0 => format!("sum by (job) ({}) {op} on (job) sum by (job) ({})", self.vector(depth), self.leaf()),
            1 => format!("http_requests_total {op} on (job, instance) group_left memory_bytes"),
            2 => format!("temperature_celsius {op} ignoring (zone) memory_bytes"),
            _ => format!("memory_bytes {op} on (job, instance) group_right (zone) temperature_celsius"),
        }
    }

    fn set(&mut self, depth: u32) -> String {
        let op = self.pick(&["and", "or", "unless"]);
        let (left, right) = if self.in_subquery && op == "or" {
            // Of one metric: the class "series that take turns".
            let metric = self.rng.usize(..METRICS.len());
            let mut side = || format!("{}{}", self.selector_of(metric), self.modifier());
            (side(), side())
        } else {
            (self.vector(depth), self.leaf())
        };
        let on = ["", " on (job)", " on (instance)", " ignoring (code, zone, le)"][self.rng.usize(..4)];
        format!("({left}) {op}{on} ({right})")
    }

    fn maths(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        match self.rng.u32(..7) {
            6 => format!("{}({})", self.pick(&WAVES), self.selector()),
            0 => format!("clamp({inner}, -5, 1000)"),
            1 => format!("clamp_min({inner}, 3)"),
            2 => format!("clamp_max({inner}, 300)"),
            3 => format!("round({inner}, 0.25)"),
            _ => format!("{}({inner})", self.pick(&MATHS)),
        }
    }

    fn labels(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        if self.rng.bool() {
            format!("label_replace({inner}, \"host\", \"$1\", \"instance\", \"(.*):.*\")")
        } else {
            format!("label_join({inner}, \"both\", \"-\", \"job\", \"instance\")")
        }
    }

    fn quantile(&mut self) -> String {
        let quantile = self.pick(&["0", "0.1", "0.5", "0.9", "0.99", "1", "-1", "2"]);
        let range = self.pick(&RANGES);
        match self.rng.u32(..3) {
            0 => format!("histogram_quantile({quantile}, latency_seconds_bucket)"),
            1 => format!("histogram_quantile({quantile}, rate(latency_seconds_bucket[{range}]))"),
            _ => format!("histogram_quantile({quantile}, sum by (job, le) (rate(latency_seconds_bucket[{range}])))"),
        }
    }

    fn rest(&mut self, depth: u32) -> String {
        match self.rng.u32(..6) {
            0 => format!("absent({})", self.selector()),
            1 => format!("sort({})", self.vector(depth)),
            2 => format!("(timestamp({}) % 1000)", self.selector()),
            3 => format!("vector({})", self.scalar(depth)),
            4 => format!("{}({})", self.pick(&DATES), self.leaf()),
            _ => format!("{}()", self.pick(&DATES)),
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.rng.u32(..8) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", self.vector(depth.min(1))),
            3 => format!("({} + {})", self.rng.u32(1..50), self.rng.u32(1..50)),
            4 => format!("-{}", self.rng.u32(1..5)),
            5 => format!("0.{}", self.rng.u32(1..99)),
            _ => self.rng.u32(1..100).to_string(),
        }
    }

    fn pick<'p>(&mut self, from: &[&'p str]) -> &'p str {
        from[self.rng.usize(..from.len())]
    }
}
