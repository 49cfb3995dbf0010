//! Relabelling: the rules by which Prometheus changes, keeps and drops series by their labels.
//!
//! Source: the `relabel_config` part of Prometheus's documentation of its configuration. A rule is compiled once and applied
//! to each series.

mod md5;

use regex_automata::meta::Regex;
use serde::{Deserialize, Serialize};
use sonde_model::matcher::{InvalidRegex, compile_anchored};
use sonde_model::{Labels, LabelsBuilder};
use thiserror::Error;

use md5::md5;

/// A rule as it is written down. [`RelabelSpec::default`] has the defaults of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelabelSpec {
    /// The labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// The label that is set.
    pub target_label: String,
    /// What the joined values, or the names of labels, are matched with, whole.
    pub regex: String,
    /// The modulus of [`Action::HashMod`].
    pub modulus: u64,
    /// What is set, with the groups of the regular expression.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

/// What a rule does. Its words are Prometheus's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sets the target where the sources match.
    #[default]
    Replace,
    /// Keeps series whose sources match.
    Keep,
    /// Drops series whose sources match.
    Drop,
    /// Keeps series whose sources are the value of the target.
    KeepEqual,
    /// Drops series whose sources are the value of the target.
    DropEqual,
    /// Sets the target to a hash of the sources.
    HashMod,
    /// Copies labels whose names match.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets the target to the sources in lower case.
    Lowercase,
    /// Sets the target to the sources in upper case.
    Uppercase,
}

/// Why a rule is no good.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RelabelError {
    /// The regular expression cannot be read.
    #[error(transparent)]
    Regex(#[from] InvalidRegex),
    /// The action sets a label and none is named.
    #[error("the action needs a target_label")]
    NoTarget,
    /// The action needs a modulus.
    #[error("hashmod needs a modulus greater than 0")]
    NoModulus,
}

/// Compiled rules, applied in order.
#[derive(Clone, Debug, Default)]
pub struct Relabel(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    spec: RelabelSpec,
    regex: Regex,
}

impl Default for RelabelSpec {
    fn default() -> Self {
        RelabelSpec {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            target_label: String::new(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            replacement: "$1".to_owned(),
            action: Action::Replace,
        }
    }
}

impl Relabel {
    /// Compiles rules; an error comes with the index of its rule.
    pub fn new(specs: impl IntoIterator<Item = RelabelSpec>) -> Result<Self, (usize, RelabelError)> {
        let rules = specs.into_iter().enumerate().map(|(i, spec)| Rule::new(spec).map_err(|e| (i, e)));
        Ok(Relabel(rules.collect::<Result<_, _>>()?))
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What becomes of a series; `None` where it is dropped, or has no label left.
    pub fn apply(&self, labels: &Labels) -> Option<Labels> {
        if self.0.is_empty() {
            return Some(labels.clone());
        }
        let mut labels = labels.clone();
        for rule in &self.0 {
            labels = rule.apply(labels)?;
        }
        (!labels.is_empty()).then_some(labels)
    }
}

impl Rule {
    fn new(spec: RelabelSpec) -> Result<Self, RelabelError> {
        let sets = matches!(
            spec.action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if sets && spec.target_label.is_empty() {
            return Err(RelabelError::NoTarget);
        }
        if spec.action == Action::HashMod && spec.modulus == 0 {
            return Err(RelabelError::NoModulus);
        }
        Ok(Rule { regex: compile_anchored(&spec.regex)?, spec })
    }

    fn apply(&self, labels: Labels) -> Option<Labels> {
        let RelabelSpec { target_label, action, modulus, .. } = &self.spec;
        let target = || labels.get(target_label).unwrap_or_default();
        let keep = match action {
            Action::Keep => self.regex.is_match(&self.sources(&labels)),
            Action::Drop => !self.regex.is_match(&self.sources(&labels)),
            Action::KeepEqual => self.sources(&labels) == target(),
            Action::DropEqual => self.sources(&labels) != target(),
            Action::Replace => return Some(self.replace(labels)),
            Action::HashMod => {
                let hash = md5(self.sources(&labels).as_bytes());
                let low = hash.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                return Some(labels.with(target_label, &(low % modulus).to_string()));
            }
            Action::Lowercase => return Some(labels.with(target_label, &self.sources(&labels).to_lowercase())),
            Action::Uppercase => return Some(labels.with(target_label, &self.sources(&labels).to_uppercase())),
            Action::LabelMap => return Some(self.map(labels)),
            Action::LabelDrop => return Some(labels.without(|name| self.regex.is_match(name))),
            Action::LabelKeep => return Some(labels.without(|name| !self.regex.is_match(name))),
        };
        keep.then_some(labels)
    }

    fn sources(&self, labels: &Labels) -> String {
        let values: Vec<&str> =
            self.spec.source_labels.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
        values.join(&self.spec.separator)
    }

    fn replace(&self, labels: Labels) -> Labels {
        let sources = self.sources(&labels);
        let mut groups = self.regex.create_captures();
        self.regex.captures(&sources, &mut groups);
        if !groups.is_match() {
            return labels;
        }
        let target = groups.interpolate_string(&sources, &self.spec.target_label);
        if target.is_empty() {
            return labels;
        }
        labels.with(&target, &groups.interpolate_string(&sources, &self.spec.replacement))
    }

    fn map(&self, labels: Labels) -> Labels {
        let mut mapped = LabelsBuilder::from(&labels);
        let mut groups = self.regex.create_captures();
        for (name, value) in labels.iter() {
            self.regex.captures(name, &mut groups);
            if groups.is_match() {
                let new = groups.interpolate_string(name, &self.spec.replacement);
                if !new.is_empty() {
                    mapped.set(&new, value);
                }
            }
        }
        mapped.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(spec: RelabelSpec) -> Option<String> {
        let labels = [("__name__", "up"), ("a", "foo"), ("b", "Bar"), ("c", "baz"), ("meta_x", "1")];
        let relabel = Relabel::new([spec]).expect("a rule");
        relabel.apply(&Labels::from_pairs(labels)).map(|labels| labels.to_string())
    }

    fn rule(action: Action, sources: &[&str], regex: &str, target: &str, replacement: &str) -> RelabelSpec {
        RelabelSpec {
            action,
            source_labels: sources.iter().map(|s| (*s).to_owned()).collect(),
            regex: regex.to_owned(),
            target_label: target.to_owned(),
            replacement: replacement.to_owned(),
            modulus: 1_000,
            ..RelabelSpec::default()
        }
    }

    #[test]
    fn rules_do_what_prometheus_does() {
        use Action::*;
        let same = r#"up{a="foo", b="Bar", c="baz", meta_x="1"}"#;
        for (spec, expected) in [
            (
                rule(Replace, &["a"], "f(.*)", "d", "ch${1}-ch${1}"),
                r#"up{a="foo", b="Bar", c="baz", d="choo-choo", meta_x="1"}"#,
            ),
            (
                rule(Replace, &["a", "b"], "(.*);(.*)", "$1", "$2"),
                r#"up{a="foo", b="Bar", c="baz", foo="Bar", meta_x="1"}"#,
            ),
            (rule(Replace, &["a"], "foo", "b", ""), r#"up{a="foo", c="baz", meta_x="1"}"#),
            (rule(Replace, &["a"], "oo", "b", "x"), same),
            (rule(Replace, &["none"], "(.*)", "d", "x$1"), r#"up{a="foo", b="Bar", c="baz", d="x", meta_x="1"}"#),
            (rule(Keep, &["a"], "fo+", "", ""), same),
            (rule(Drop, &["a"], "f", "", ""), same),
            (rule(KeepEqual, &["a"], "", "a", ""), same),
            (rule(DropEqual, &["a"], "", "b", ""), same),
            (rule(LabelMap, &[], "meta_(.+)", "", "got_$1"), r#"up{a="foo", b="Bar", c="baz", got_x="1", meta_x="1"}"#),
            (rule(LabelDrop, &[], "[ab]|meta_.*", "", ""), r#"up{c="baz"}"#),
            (rule(LabelKeep, &[], "__name__|a", "", ""), r#"up{a="foo"}"#),
            (rule(Lowercase, &["b"], "", "b", ""), r#"up{a="foo", b="bar", c="baz", meta_x="1"}"#),
            (rule(Uppercase, &["a", "c"], "", "c", ""), r#"up{a="foo", b="Bar", c="FOO;BAZ", meta_x="1"}"#),
            // Prometheus's own test has this value.
            (rule(HashMod, &["c"], "", "d", ""), r#"up{a="foo", b="Bar", c="baz", d="976", meta_x="1"}"#),
        ] {
            assert_eq!(apply(spec.clone()).as_deref(), Some(expected), "{spec:?}");
        }
        for spec in [
            rule(Keep, &["a"], "f", "", ""),
            rule(Drop, &["a"], "f.*", "", ""),
            rule(KeepEqual, &["a"], "", "b", ""),
            rule(DropEqual, &["a"], "", "a", ""),
            rule(LabelKeep, &[], "nothing", "", ""),
        ] {
            assert_eq!(apply(spec.clone()), None, "{spec:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told() {
        let new = |spec| Relabel::new([RelabelSpec { target_label: "t".into(), ..RelabelSpec::default() }, spec]);
        assert_eq!(new(RelabelSpec::default()).expect_err("no target"), (1, RelabelError::NoTarget));
        let spec = RelabelSpec { modulus: 0, ..rule(Action::HashMod, &[], "", "t", "") };
        assert_eq!(new(spec).expect_err("no modulus"), (1, RelabelError::NoModulus));
        assert!(matches!(new(rule(Action::Drop, &[], "(", "", "")), Err((1, RelabelError::Regex(_)))));
    }
}
