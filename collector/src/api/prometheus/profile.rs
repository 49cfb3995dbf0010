//! Where the time of a query goes, node by node: what `stats=all` adds.

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
    /// The nodes in evaluation, the innermost last, each with the time when it began.
    open: Vec<(usize, Duration)>,
}

/// A node of the expression, with all its evaluations together.
#[derive(Debug)]
struct Node {
    span: Span,
    parent: Option<usize>,
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
        write_children(json, &self.state.lock().nodes, None, text);
    }
}

impl Observer for Profile {
    fn enter(&self, expr: &Expr) {
        let state = &mut *self.state.lock();
        let parent = state.open.last().map(|(node, _)| *node);
        // Where a query is evaluated in parts a node comes again.
        let known = state.nodes.iter().position(|node| node.parent == parent && node.span == expr.span);
        let node = known.unwrap_or_else(|| {
            let work = NodeWork::default();
            state.nodes.push(Node { span: expr.span, parent, evaluations: 0, took: Duration::ZERO, work });
            state.nodes.len() - 1
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

fn write_children(json: &mut JsonWriter, nodes: &[Node], parent: Option<usize>, text: &str) {
    let children: Vec<usize> = (0..nodes.len()).filter(|i| nodes[*i].parent == parent).collect();
    write_list(json, &children, |json, index| {
        let node = &nodes[*index];
        let below: Duration = nodes.iter().filter(|other| other.parent == Some(*index)).map(|other| other.took).sum();
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
        write_children(json, nodes, Some(*index), text);
        json.raw("}");
    });
}
