//! From YAML nodes to rules, collecting every mistake on the way.

use std::collections::HashMap;
use std::sync::Arc;

use super::check;
use super::keys::{self, Mistakes};
use super::{AlertingRule, Group, RecordingRule, Rule, RuleError, RuleExpr, RuleFile};
use crate::template::Template;
use crate::yaml::{self, Content, Node};

/// Mistakes beyond this are not listed: nobody reads them.
const MAX_MISTAKES: usize = 200;

pub(super) fn parse(text: &str, origin: &str) -> Result<RuleFile, Vec<RuleError>> {
    let error = |(line, message)| RuleError { origin: origin.to_owned(), line, message };
    let documents = yaml::parse(text).map_err(|e| vec![error((e.line, e.message))])?;
    let mut mistakes = Mistakes::default();
    let mut groups = Vec::new();
    if let Some(extra) = documents.get(1) {
        mistakes.add(extra.line, "a second YAML document; a rule file holds one");
    }
    if let Some(root) = documents.first() {
        groups = read_groups(root, origin, &mut mistakes);
    }
    if mistakes.0.is_empty() {
        return Ok(RuleFile { origin: origin.to_owned(), groups });
    }
    let mut errors: Vec<RuleError> = mistakes.0.into_iter().map(error).collect();
    errors.sort();
    errors.dedup();
    errors.truncate(MAX_MISTAKES);
    Err(errors)
}

fn read_groups(root: &Node, origin: &str, mistakes: &mut Mistakes) -> Vec<Arc<Group>> {
    let [groups] = keys::known(root, "a rule file", ["groups"], mistakes);
    let mut read: Vec<Arc<Group>> = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    for node in keys::items(groups, "groups", mistakes) {
        let group = read_group(node, origin, mistakes);
        if group.name.is_empty() {
            mistakes.add(node.line, "a group needs a name");
        } else if let Some(first) = lines.insert(group.name.clone(), node.line) {
            mistakes.add(node.line, format!("group name {:?} is repeated; the first is on line {first}", group.name));
        }
        read.push(Arc::new(group));
    }
    read
}

fn read_group(node: &Node, origin: &str, mistakes: &mut Mistakes) -> Group {
    let names = ["name", "interval", "query_offset", "limit", "labels", "rules"];
    let [name, interval, query_offset, limit, labels, rules] = keys::known(node, "a group", names, mistakes);
    let interval_ms = keys::duration(interval, "interval", mistakes).filter(|ms| *ms > 0);
    let mut group_labels = Vec::new();
    for (name, value, text) in keys::texts(labels, "label", mistakes) {
        match check::label_name(name) {
            Some(message) => mistakes.add(value.line, message),
            None => group_labels.push((name, value, text)),
        }
    }
    Group {
        origin: origin.to_owned(),
        name: keys::text(name, "name", mistakes).unwrap_or_default(),
        interval_ms,
        query_offset_ms: keys::duration(query_offset, "query_offset", mistakes),
        limit: keys::count(limit, "limit", mistakes).unwrap_or(0),
        rules: keys::items(rules, "rules", mistakes)
            .iter()
            .filter_map(|rule| read_rule(rule, &group_labels, mistakes))
            .collect(),
    }
}

type LabelText<'a> = (&'a str, &'a Node, String);

fn read_rule(node: &Node, group_labels: &[LabelText<'_>], mistakes: &mut Mistakes) -> Option<Rule> {
    let names = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
    let [record, alert, expr, for_, keep, labels, annotations] = keys::known(node, "a rule", names, mistakes);
    let name = match (record, alert) {
        (Some(_), Some(_)) => {
            mistakes.add(node.line, "only one of 'record' and 'alert' must be set");
            None
        }
        (None, None) => {
            mistakes.add(node.line, "one of 'record' or 'alert' must be set");
            None
        }
        (record, alert) => keys::text(record.or(alert), "the name of a rule", mistakes).filter(|n| !n.is_empty()),
    };
    if name.is_none() && record.is_some() != alert.is_some() {
        mistakes.add(node.line, "the name of a rule must not be empty");
    }
    let for_ms = keys::duration(for_, "for", mistakes);
    let keep_firing_for_ms = keys::duration(keep, "keep_firing_for", mistakes);
    let own = keys::texts(labels, "label", mistakes);
    for (name, value, _) in &own {
        if let Some(message) = check::label_name(name) {
            mistakes.add(value.line, message);
        }
    }
    // A label of the rule wins over one of the group.
    let inherited = group_labels.iter().filter(|(name, ..)| !own.iter().any(|(n, ..)| n == name));
    let labels: Vec<_> = inherited.chain(&own).collect();
    let expr = read_expr(node, expr, mistakes);
    if record.is_some() {
        for (key, given) in [("for", for_), ("keep_firing_for", keep), ("annotations", annotations)] {
            if let Some(value) = given {
                mistakes.add(value.line, format!("invalid field '{key}' in recording rule"));
            }
        }
        if let (Some(name), Some(node)) = (&name, record)
            && let Some(message) = check::record_name(name)
        {
            mistakes.add(node.line, message);
        }
        let labels = labels.into_iter().map(|(name, _, text)| ((*name).to_owned(), text.clone())).collect();
        return Some(Rule::Recording(RecordingRule { record: name?, expr: expr?, labels }));
    }
    let labels = labels.into_iter().filter_map(|(n, node, t)| read_template(n, node, t, "label", mistakes)).collect();
    let mut read = Vec::new();
    for (name, value, text) in keys::texts(annotations, "annotation", mistakes) {
        if let Some(message) = check::annotation_name(name) {
            mistakes.add(value.line, message);
        }
        read.extend(read_template(name, value, &text, "annotation", mistakes));
    }
    Some(Rule::Alerting(AlertingRule {
        alert: name?,
        expr: expr?,
        for_ms: for_ms.unwrap_or(0),
        keep_firing_for_ms: keep_firing_for_ms.unwrap_or(0),
        labels,
        annotations: read,
    }))
}

fn read_template(
    name: &str,
    node: &Node,
    text: &str,
    what: &str,
    mistakes: &mut Mistakes,
) -> Option<(String, Template)> {
    match Template::parse(text) {
        Ok(template) => Some((name.to_owned(), template)),
        Err(e) => {
            mistakes.add(node.line, format!("{what} {name:?}: {e}"));
            None
        }
    }
}

fn read_expr(rule: &Node, expr: Option<&Node>, mistakes: &mut Mistakes) -> Option<RuleExpr> {
    let text = keys::text(expr, "expr", mistakes).unwrap_or_default();
    let (Some(node), false) = (expr, text.trim().is_empty()) else {
        mistakes.add(rule.line, "field 'expr' must be set in rule");
        return None;
    };
    // Without the white space at its end, so that what is missing there is reported on the last line that was written.
    match sonde_promql::parse(text.trim_end()) {
        Ok(expr) => Some(RuleExpr { text: text.trim().to_owned(), expr }),
        Err(e) => {
            let message = format!("could not parse expression: {}:{}: {}", e.line, e.column, e.message);
            mistakes.add(node.line + line_inside(node, &text, e.line), message);
            None
        }
    }
}

/// How far below its node a line of a text lies. Of a folded or quoted text the lines are not known any more.
fn line_inside(node: &Node, text: &str, line: u32) -> usize {
    match &node.content {
        Content::Scalar { quoted: true, .. } if text.ends_with('\n') => line.saturating_sub(1) as usize,
        _ => 0,
    }
}
