//! What people write.

use std::path::Path;

use crate::{Corpus, files};

/// Queries, rules, pages.
pub(crate) fn write(corpus: &Corpus, root: &Path) {
    for file in files(&root.join("crates/promql/tests")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for line in text.lines() {
            let rest = line.strip_prefix("eval ").map(|rest| rest.trim_start_matches("instant at ").trim());
            if let Some((_, query)) = rest.and_then(|rest| rest.split_once(' ')) {
                corpus.text("promql", b"", query);
                corpus.text("promql_eval", b"", query);
            }
        }
    }
    const QUERIES: [&str; 22] = [
        "sum by (j) (rate(c[1m]))",
        "histogram_quantile(0.9, rate(b[2m]))",
        "histogram_quantile(0.5, h) + on (j) group_left () c",
        "max_over_time(c[1m:15s] @ start() offset 1m)",
        "topk(2, c) unless b{le=~\"0.*|1\"}",
        "quantile_over_time(scalar(c), c[5m])",
        "label_replace(c, \"k\", \"$1\", \"j\", \"(.*)\")",
        "absent_over_time(nope[5m]) or vector(1) > bool 2",
        "predict_linear(c[5m], 60) ^ 2 % 3 atan2 c",
        "count_values(\"v\", c)",
        "histogram_fraction(0, 1, h) * histogram_count(h)",
        "sum(h) - sum(h offset 30s)",
        "delta(h[2m]) / 2",
        "limitk(1, c) and limit_ratio(0.5, c)",
        "sort_by_label(c, \"j\")",
        "double_exponential_smoothing(c[5m], 0.5, 0.5)",
        "stddev_over_time(c[5m]) + stdvar(c)",
        "rate(c[1m] anchored) + rate(c[1m] smoothed)",
        "avg(h) + avg_over_time(h[3m])",
        "{\"c\", j!=\"x\"}[5m]",
        "c + fill(0) b",
        "info(c)",
    ];
    for query in QUERIES {
        corpus.text("promql", b"", query);
        corpus.text("promql_eval", b"", query);
    }
    for file in files(&root.join("crates/traceql")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let quoted = text.split('"').filter(|part| part.trim_start().starts_with('{'));
        quoted.for_each(|query| corpus.text("traceql", b"", query));
    }
    for file in files(&root.join("alert-rules")) {
        if let Ok(text) = std::fs::read_to_string(&file) {
            corpus.text("alerting", &[0], &text);
        }
    }
    corpus.text("alerting", &[1], "{a=\"b\", c!~\"d.*\", \"e f\"=g}");
    corpus.text("alerting", &[2], "{{ range $i, $a := .Labels }}{{ $value | humanize }}{{ end }}");
    let page = "# HELP a_total text\n# TYPE a_total counter\na_total{b=\"c\\n\",d=\"\"} 1 1700000000000\n\
        {\"x y\",q=\"1\"} NaN\nh_bucket{le=\"+Inf\"} 2\n";
    corpus.text("exposition", b"", page);
    let page =
        "# TYPE a counter\n# UNIT a_seconds seconds\na_total{b=\"c\"} 1 1.5 # {trace_id=\"x\"} 0.5 1.25\n# EOF\n";
    corpus.text("exposition", b"", page);
    let page = "h{a=\"b\"} {count:3,sum:NaN,schema:-53,positive_spans:[0:1,1:1],positive_buckets:[1,2],custom_values:[1,2,3],reset:no} 1\n\
        h {count:1,sum:StaleNaN,schema:3,zero_threshold:1e-3,zero_count:1,negative_spans:[-3:1],negative_buckets:[1]}\n";
    corpus.text("exposition", b"", page);
}
