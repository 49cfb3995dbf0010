//! YAML as a tree whose nodes know their lines, so that every error in a rule file can be reported where it is.
//!
//! Bounded in bytes, depth and nodes: an alias counts as often as it is used. It must not know what a rule is.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Tag};

/// A rule file over this is refused; the largest public collections have about 1 MB.
const MAX_BYTES: usize = 16 << 20;
/// Rule files need seven levels.
const MAX_DEPTH: usize = 32;
/// Nodes of one file with its aliases expanded.
const MAX_NODES: usize = 1_000_000;

/// A complaint about one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// A node and the line on which it starts, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Scalar { text: String, quoted: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// What the node is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar { .. } => "a scalar",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::Null | Content::Scalar { .. } => 0,
            Content::Sequence(items) => items.iter().map(Node::count).sum(),
            Content::Mapping(pairs) => pairs.iter().map(|(k, v)| k.count() + v.count()).sum(),
        }
    }
}

/// Parses the documents of a text; an empty text has none.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, the limit is {MAX_BYTES}; split it", text.len());
        return Err(YamlError { line: 1, message });
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span.start.line())?,
            Err(e) => return Err(YamlError { line: e.marker().line(), message: e.info() }),
        }
    }
    Ok(builder.documents)
}

/// A collection that is not closed yet.
struct Open {
    line: usize,
    anchor: usize,
    mapping: bool,
    children: Vec<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: Vec<(usize, Node)>,
    documents: Vec<Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = scalar(&text, style, tag.as_deref());
                self.finish(Node { line, content }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, false),
            Event::MappingStart(_, anchor, _) => self.begin(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(line),
            Event::Alias(id) => {
                let target = self.anchors.iter().rev().find(|(anchor, _)| *anchor == id).map(|(_, node)| node.clone());
                let message = "an alias must follow the whole of its anchor".to_owned();
                let node = target.ok_or(YamlError { line, message })?;
                self.nodes = self.nodes.saturating_add(node.count());
                self.finish(Node { line, content: node.content }, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, anchor: usize, mapping: bool) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlError { line, message: format!("nested deeper than {MAX_DEPTH} levels") });
        }
        self.open.push(Open { line, anchor, mapping, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self, line: usize) -> Result<(), YamlError> {
        let message = "a collection ends that never began".to_owned();
        let open = self.open.pop().ok_or(YamlError { line, message })?;
        let content = if open.mapping { mapping(open.children)? } else { Content::Sequence(open.children) };
        self.finish(Node { line: open.line, content }, open.anchor)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(YamlError { line: node.line, message: format!("more than {MAX_NODES} values in one file") });
        }
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

/// Pairs keys with values, expands merge keys (`<<`) and refuses a key that comes twice.
fn mapping(children: Vec<Node>) -> Result<Content, YamlError> {
    let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(children.len() / 2);
    let mut merged: Vec<(Node, Node)> = Vec::new();
    let mut children = children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        let Some(name) = key_text(&key) else {
            return Err(YamlError { line: key.line, message: format!("a key must be a scalar, not {}", key.kind()) });
        };
        if name == "<<" {
            merge(&mut merged, key.line, value)?;
            continue;
        }
        if let Some((first, _)) = pairs.iter().find(|(k, _)| key_text(k) == Some(name)) {
            let message = format!("key {name:?} is already on line {}", first.line);
            return Err(YamlError { line: key.line, message });
        }
        pairs.push((key, value));
    }
    for (key, value) in merged {
        if !pairs.iter().any(|(k, _)| key_text(k) == key_text(&key)) {
            pairs.push((key, value));
        }
    }
    Ok(Content::Mapping(pairs))
}

fn merge(merged: &mut Vec<(Node, Node)>, line: usize, value: Node) -> Result<(), YamlError> {
    match value.content {
        Content::Mapping(more) => merged.extend(more),
        Content::Sequence(items) => {
            for item in items {
                merge(merged, line, item)?;
            }
        }
        _ => return Err(YamlError { line, message: "a merge key needs a mapping".to_owned() }),
    }
    Ok(())
}

fn key_text(key: &Node) -> Option<&str> {
    match &key.content {
        Content::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    let quoted = style != ScalarStyle::Plain || tag.is_some_and(|t| t.is_yaml_core_schema_tag("str"));
    if !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Content::Null;
    }
    Content::Scalar { text: text.to_owned(), quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.content {
            Content::Null => "null".to_owned(),
            Content::Scalar { text, quoted } => {
                let mark = if *quoted { "'" } else { "" };
                format!("{}:{mark}{text}{mark}", node.line)
            }
            Content::Sequence(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Content::Mapping(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{}={}", show(k), show(v))).collect();
                format!("{{{}}}", pairs.join(" "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match parse(text) {
            Ok(documents) => documents.iter().map(show).collect::<Vec<_>>().join(" --- "),
            Err(e) => format!("line {}: {}", e.line, e.message),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn nodes_know_their_lines() {
        check("", "");
        check("a: 1\nb:\n- x\n- 'y'\nc: |\n  z\nd:\n", "{1:a=1:1 2:b=[3:x 4:'y'] 5:c=6:'z\n' 7:d=null}");
        check("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", "{1:a={1:b=1:1} 2:c={1:b=1:1} 3:d={3:e=3:2 1:b=1:1}}");
        check("a: 1\nb: 2\na: 3\n", "line 3: key \"a\" is already on line 1");
        check("? [a]\n: b\n", "line 1: a key must be a scalar, not a list");
    }

    #[test]
    fn size_depth_and_aliases_are_bounded() {
        let deep = "[".repeat(40);
        assert!(parse(&deep).is_err_and(|e| e.message.contains("levels") || !e.message.is_empty()));
        assert!(parse(&" ".repeat(MAX_BYTES + 1)).is_err_and(|e| e.message.contains("limit")));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..8 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(parse(&bomb).is_err_and(|e| e.message.contains("more than")));
    }
}
