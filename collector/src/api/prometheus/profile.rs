//! Where the time of a query goes, node by node: what `stats=all` adds.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sonde_promql::ast::Span;
use sonde_promql::{Expr, NodeWork, Observer};
use sonde_runtime::Clock;

use super::result::write_list;
use crate::api::json::JsonWriter;

/// Watches an evaluation with a clock.
#[derive(Debug)]
pub(super) struct Profile {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    /// The nodes by parent and place in the text.
    known: HashMap<(Option<usize>, Span), usize>,
    /// The nodes in evaluation, the innermost last, each with the time when it began.
    open: Vec<(usize, Duration)>,
}

/// A node of the expression, with all its evaluations together.
#[derive(Debug)]
struct Node {
    span: Span,
    children: Vec<usize>,
    evaluations: u64,
    took: Duration,
    work: NodeWork,
}

impl Profile {
    pub(super) fn new(clock: Clock) -> Self {
        Profile { clock, state: Mutex::default() }
    }

    /// Writes the nodes as an array of trees; `text` is that of the query.
    pub(super) fn write(&self, json: &mut JsonWriter, text: &str) {
        let state = self.state.lock();
        // The first node is the whole expression.
        let roots: Vec<usize> = (0..state.nodes.len().min(1)).collect();
        write_nodes(json, &state.nodes, &roots, text);
    }
}

impl Observer for Profile {
    fn enter(&self, expr: &Expr) {
        let state = &mut *self.state.lock();
        // What held too many samples begins anew, in parts. Nodes that an error has ended are not told of.
        if state.nodes.first().is_some_and(|root| root.span == expr.span) {
            state.open.clear();
        }
        let parent = state.open.last().map(|(node, _)| *node);
        // Where a query is evaluated in parts a node comes again.
        let nodes = &mut state.nodes;
        let node = *state.known.entry((parent, expr.span)).or_insert_with(|| {
            let (children, work) = (Vec::new(), NodeWork::default());
            nodes.push(Node { span: expr.span, children, evaluations: 0, took: Duration::ZERO, work });
            let new = nodes.len() - 1;
            if let Some(parent) = parent {
                nodes[parent].children.push(new);
            }
            new
        });
        state.open.push((node, self.clock.monotonic()));
    }

    fn leave(&self, _: &Expr, work: NodeWork) {
        let state = &mut *self.state.lock();
        let Some((node, began)) = state.open.pop() else { return };
        let Some(node) = state.nodes.get_mut(node) else { return };
        node.evaluations += 1;
        node.took += self.clock.monotonic().saturating_sub(began);
        node.work.series = node.work.series.max(work.series);
        node.work.samples += work.samples;
        node.work.series_read = node.work.series_read.max(work.series_read);
        node.work.samples_read += work.samples_read;
    }
}

fn write_nodes(json: &mut JsonWriter, nodes: &[Node], these: &[usize], text: &str) {
    write_list(json, these, |json, index| {
        let node = &nodes[*index];
        let below: Duration = node.children.iter().map(|child| nodes[*child].took).sum();
        let (start, end) = (node.span.start, node.span.end);
        json.raw("{").key("expr").string(text.get(start as usize..end as usize).unwrap_or_default());
        json.raw(",").key("start").integer(start.into()).raw(",").key("end").integer(end.into());
        json.raw(",").key("evaluations").integer(node.evaluations as i64);
        json.raw(",").key("time").number(node.took.as_secs_f64());
        json.raw(",").key("selfTime").number(node.took.saturating_sub(below).as_secs_f64());
        json.raw(",").key("series").integer(node.work.series as i64);
        json.raw(",").key("samples").integer(node.work.samples as i64);
        json.raw(",").key("seriesRead").integer(node.work.series_read as i64);
        json.raw(",").key("samplesRead").integer(node.work.samples_read as i64);
        json.raw(",").key("children");
        write_nodes(json, nodes, &node.children, text);
        json.raw("}");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_ended_is_not_a_part_of_what_follows() {
        let expr = sonde_promql::parse("sum(rate(a[5m]))").expect("valid");
        let children = expr.children();
        let profile = Profile::new(Clock::system());
        profile.enter(&expr);
        profile.enter(children[0]);
        // Too many samples: the query goes on with half of its steps.
        for _ in 0..2 {
            profile.enter(&expr);
            profile.enter(children[0]);
            profile.leave(children[0], NodeWork::default());
            profile.leave(&expr, NodeWork::default());
        }
        let mut json = JsonWriter::new();
        profile.write(&mut json, "sum(rate(a[5m]))");
        let tree: serde_json::Value = serde_json::from_str(&json.into_string()).expect("JSON");
        let shape = |node: &serde_json::Value| (node["expr"].clone(), node["evaluations"].clone());
        assert_eq!(tree.as_array().map(Vec::len), Some(1));
        assert_eq!(shape(&tree[0]), ("sum(rate(a[5m]))".into(), 2.into()));
        assert_eq!(shape(&tree[0]["children"][0]), ("rate(a[5m])".into(), 2.into()));
        assert_eq!(tree[0]["children"][0]["children"], serde_json::json!([]));
    }
}
