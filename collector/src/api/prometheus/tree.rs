//! `/parse_query`: the tree of an expression as JSON, in the shape that Prometheus's web page reads.
//!
//! Keys are sorted, as Go writes maps. Source of the shape: `web/api/v1/translate_ast.go` of Prometheus 3.14.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use sonde_promql::Expr;
use sonde_promql::ast::{
    Aggregate, At, Binary, Call, Cardinality, Duration, ExprKind, LabelMatcher, Number, RangeMode, Subquery, ValueType,
    VectorSelector,
};

use super::query::read;
use super::result::write_list;
use crate::api::answer::ApiError;
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::query::Client;
use crate::server::Server;

/// `/parse_query`
pub(super) async fn parse(State(server): State<Arc<Server>>, client: Client, form: Form) -> Result<Response, ApiError> {
    read(&server, &client, form, write).await
}

/// Writes a tree. The parser bounds its depth.
fn write(json: &mut JsonWriter, expr: &Expr) {
    json.raw("{");
    match &expr.kind {
        ExprKind::Number(number) => {
            let plain = Number { as_duration: false, ..*number };
            json.key("type").string("numberLiteral").raw(",").key("val").string(&plain.to_string());
        }
        ExprKind::String(literal) => {
            json.key("type").string("stringLiteral").raw(",").key("val").string(&literal.text);
        }
        ExprKind::Paren(inner) => {
            json.key("expr");
            write(json, inner);
            json.raw(",").key("type").string("parenExpr");
        }
        ExprKind::Unary(unary) => {
            json.key("expr");
            write(json, &unary.operand);
            json.raw(",").key("op").string(unary.op.symbol()).raw(",").key("type").string("unaryExpr");
        }
        ExprKind::Vector(selector) => write_selector(json, selector, None, "vectorSelector"),
        ExprKind::Matrix(matrix) => write_selector(json, &matrix.selector, Some(&matrix.range), "matrixSelector"),
        ExprKind::Subquery(subquery) => write_subquery(json, subquery),
        ExprKind::Binary(binary) => write_binary(json, binary),
        ExprKind::Aggregate(aggregate) => write_aggregate(json, aggregate),
        ExprKind::Call(call) => write_call(json, call),
    }
    json.raw("}");
}

fn write_selector(json: &mut JsonWriter, selector: &VectorSelector, range: Option<&Duration>, kind: &str) {
    json.key("anchored").raw(boolean(selector.mode == RangeMode::Anchored)).raw(",").key("matchers");
    // Prometheus puts the name that stands before the braces behind the matchers in them.
    let name = selector.name.as_ref().map(|name| LabelMatcher {
        name: sonde_model::METRIC_NAME.to_owned(),
        op: sonde_model::MatchOp::Equal,
        value: name.clone(),
    });
    let matchers: Vec<&LabelMatcher> = selector.matchers.iter().chain(&name).collect();
    write_list(json, &matchers, |json, matcher| {
        json.object([("name", matcher.name.as_str()), ("type", matcher.op.symbol()), ("value", &matcher.value)]);
    });
    json.raw(",").key("name").string(selector.name.as_deref().unwrap_or_default());
    json.raw(",").key("offset").integer(fixed(selector.offset.as_ref()));
    if let Some(range) = range {
        json.raw(",").key("range").integer(fixed(Some(range)));
    }
    json.raw(",").key("smoothed").raw(boolean(selector.mode == RangeMode::Smoothed)).raw(",");
    write_at(json, selector.at, |_| {});
    json.raw(",").key("type").string(kind);
}

fn write_subquery(json: &mut JsonWriter, subquery: &Subquery) {
    json.key("expr");
    write(json, &subquery.expr);
    json.raw(",").key("offset").integer(fixed(subquery.offset.as_ref()));
    json.raw(",").key("range").integer(fixed(Some(&subquery.range))).raw(",");
    write_at(json, subquery.at, |json| {
        json.key("step").integer(fixed(subquery.step.as_ref())).raw(",");
    });
    json.raw(",").key("type").string("subquery");
}

/// Writes `startOrEnd` and `timestamp`, with what lies between them in the order of the alphabet.
fn write_at(json: &mut JsonWriter, at: Option<At>, between: impl FnOnce(&mut JsonWriter)) {
    json.key("startOrEnd").raw(match at {
        Some(At::Start) => "\"start\",",
        Some(At::End) => "\"end\",",
        Some(At::Time(_)) | None => "null,",
    });
    between(json);
    match at {
        Some(At::Time(ms)) => json.key("timestamp").integer(ms),
        _ => json.key("timestamp").raw("null"),
    };
}

fn write_binary(json: &mut JsonWriter, binary: &Binary) {
    json.key("bool").raw(boolean(binary.return_bool)).raw(",").key("lhs");
    write(json, &binary.lhs);
    json.raw(",").key("matching");
    if binary.lhs.value_type() == ValueType::Vector && binary.rhs.value_type() == ValueType::Vector {
        let matching = &binary.matching;
        let card = match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        };
        json.raw("{").key("card").string(card).raw(",").key("fillValues").raw("{").key("lhs");
        write_optional(json, matching.fill.left);
        json.raw(",").key("rhs");
        write_optional(json, matching.fill.right);
        json.raw("},").key("include").strings(&matching.include);
        json.raw(",").key("labels").strings(&matching.labels);
        json.raw(",").key("on").raw(boolean(matching.on)).raw("}");
    } else {
        json.raw("null");
    }
    json.raw(",").key("op").string(binary.op.symbol()).raw(",").key("rhs");
    write(json, &binary.rhs);
    json.raw(",").key("type").string("binaryExpr");
}

fn write_aggregate(json: &mut JsonWriter, aggregate: &Aggregate) {
    json.key("expr");
    write(json, &aggregate.operand);
    json.raw(",").key("grouping").strings(&aggregate.grouping);
    json.raw(",").key("op").string(aggregate.op.name()).raw(",").key("param");
    match &aggregate.param {
        Some(param) => write(json, param),
        None => {
            json.raw("null");
        }
    }
    json.raw(",").key("type").string("aggregation").raw(",").key("without").raw(boolean(aggregate.without));
}

fn write_call(json: &mut JsonWriter, call: &Call) {
    let signature = call.function.signature();
    json.key("args");
    write_list(json, &call.args, write);
    json.raw(",").key("func").raw("{").key("argTypes").strings(signature.args.iter().map(|kind| word(*kind)));
    json.raw(",").key("name").string(signature.name).raw(",").key("returnType").string(word(signature.returns));
    // As Prometheus counts: 0 for a fixed number of arguments, -1 for any, else how many may be added or left out.
    let variadic = match signature.max_args {
        None => -1,
        Some(max) if max == signature.min_args => 0,
        Some(max) => (max + 1).saturating_sub(signature.args.len()) as i64,
    };
    json.raw(",").key("variadic").integer(variadic).raw("},").key("type").string("call");
}

fn write_optional(json: &mut JsonWriter, value: Option<f64>) {
    match value {
        Some(value) => json.number(value),
        None => json.raw("null"),
    };
}

/// A duration in milliseconds; 0 where it is an expression that only a query resolves, as in Prometheus.
fn fixed(duration: Option<&Duration>) -> i64 {
    match duration {
        Some(Duration::Fixed(ms)) => *ms,
        Some(Duration::Expr(_)) | None => 0,
    }
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn word(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}
