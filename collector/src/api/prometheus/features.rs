//! `/features`: what of Prometheus's API and language is there, in the words of Prometheus 3.14. What is not listed is not
//! there.

use std::sync::Arc;

use axum::extract::State;
use sonde_promql::ast::{AggregateOp, BinaryOp};
use sonde_promql::functions::TABLE;

use crate::api::answer::Answer;
use crate::api::json::JsonWriter;
use crate::server::Server;

const PROMQL: [(&str, bool); 21] = [
    ("anchored", true),
    ("at_modifier", true),
    ("bool", true),
    ("by", true),
    ("delayed_name_removal", true),
    ("duration_expr", true),
    ("fill", true),
    ("fill_left", true),
    ("fill_right", true),
    ("group_left", true),
    ("group_right", true),
    ("ignoring", true),
    ("negative_offset", true),
    ("offset", true),
    ("on", true),
    ("per_query_lookback_delta", true),
    ("per_step_stats", false),
    ("smoothed", true),
    ("subqueries", true),
    ("type_and_unit_labels", false),
    ("without", true),
];

/// `/features`
pub(super) async fn features(State(server): State<Arc<Server>>) -> Answer {
    let api = [
        ("admin", server.flags.enable_admin_api),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", true),
        ("openapi_3.1", true),
        ("otlp_write_receiver", true),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", true),
        ("time_range_labels", true),
        ("time_range_series", true),
    ];
    let otlp = [("delta_conversion", true), ("native_delta_ingestion", false)];
    let rules = [("concurrent_rule_eval", false), ("keep_firing_for", true), ("query_offset", true)];
    let store = [("exemplar_storage", true), ("isolation", true), ("native_histograms", true)];
    let mut operators: Vec<(&str, bool)> = BinaryOp::ALL.iter().map(|op| (op.symbol(), true)).collect();
    operators.extend(AggregateOp::ALL.iter().map(|op| (op.name(), true)));
    operators.extend([("!~", true), ("=~", true), ("@", true)]);
    operators.sort_unstable();
    operators.dedup();
    let functions: Vec<(&str, bool)> = TABLE.iter().map(|function| (function.name, true)).collect();
    Answer::new(|json| {
        json.raw("{");
        let categories: [(&str, &[(&str, bool)]); 8] = [
            ("api", &api),
            ("otlp_receiver", &otlp),
            ("prometheus", &[("agent_mode", false), ("server_mode", true)]),
            ("promql", &PROMQL),
            ("promql_functions", &functions),
            ("promql_operators", &operators),
            ("rules", &rules),
            ("tsdb", &store),
        ];
        for (i, (category, flags)) in categories.into_iter().enumerate() {
            json.raw(if i > 0 { "," } else { "" }).key(category);
            write_flags(json, flags);
        }
        json.raw("}");
    })
}

fn write_flags(json: &mut JsonWriter, flags: &[(&str, bool)]) {
    json.raw("{");
    for (i, (name, value)) in flags.iter().enumerate() {
        json.raw(if i > 0 { "," } else { "" }).string(name).raw(if *value { ":true" } else { ":false" });
    }
    json.raw("}");
}
