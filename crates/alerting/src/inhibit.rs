//! Inhibition: an alert that fires keeps others quiet, as a host that is down keeps its services quiet. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sonde_model::Labels;

use crate::fingerprint::fingerprint;
use crate::matcher::Matchers;

/// Rules at most.
pub const MAX_RULES: usize = 1_000;

/// Who keeps whom quiet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InhibitRule {
    /// For people; may be empty.
    pub name: String,
    /// The alerts that keep others quiet while they fire.
    pub source: Matchers,
    /// The alerts that are kept quiet.
    pub target: Matchers,
    /// The labels in which both must agree; one that is missing is empty.
    pub equal: Vec<String>,
}

/// The rules, and the alerts that fire.
#[derive(Debug, Default)]
pub struct Inhibitor {
    rules: Vec<RuleSources>,
    /// All that fire, so that other rules can be applied to them.
    firing: BTreeSet<Labels>,
}

#[derive(Debug)]
struct RuleSources {
    rule: InhibitRule,
    /// The sources that fire, by their values of the labels in `equal`; with each whether it is a target, too.
    sources: HashMap<Vec<String>, BTreeMap<Labels, bool>, foldhash::fast::RandomState>,
}

impl Inhibitor {
    /// Rules, and no alert that fires.
    pub fn new(rules: Vec<InhibitRule>) -> Self {
        Inhibitor { rules: rules.into_iter().map(RuleSources::new).collect(), firing: BTreeSet::new() }
    }

    /// Other rules for the same alerts.
    pub fn replace_rules(&mut self, rules: Vec<InhibitRule>) {
        self.rules = rules.into_iter().map(RuleSources::new).collect();
        for rule in &mut self.rules {
            self.firing.iter().for_each(|labels| rule.add(labels));
        }
    }

    /// An alert fires.
    pub fn fires(&mut self, labels: &Labels) {
        if self.firing.insert(labels.clone()) {
            self.rules.iter_mut().for_each(|rule| rule.add(labels));
        }
    }

    /// An alert does not fire any more.
    pub fn ends(&mut self, labels: &Labels) {
        if self.firing.remove(labels) {
            self.rules.iter_mut().for_each(|rule| rule.remove(labels));
        }
    }

    /// How many alerts fire.
    pub fn firing(&self) -> usize {
        self.firing.len()
    }

    /// The fingerprint of an alert that keeps this one quiet. Nothing inhibits itself: of an alert that is on both sides of a
    /// rule, only those that are sources alone keep it quiet.
    pub fn inhibited_by(&self, labels: &Labels) -> Option<u64> {
        self.rules.iter().find_map(|rule| rule.source_for(labels)).map(fingerprint)
    }
}

impl RuleSources {
    fn new(rule: InhibitRule) -> Self {
        RuleSources { rule, sources: HashMap::default() }
    }

    fn add(&mut self, labels: &Labels) {
        if self.rule.source.matches(labels) {
            let two_sided = self.rule.target.matches(labels);
            self.sources.entry(self.equal_values(labels)).or_default().insert(labels.clone(), two_sided);
        }
    }

    fn remove(&mut self, labels: &Labels) {
        let values = self.equal_values(labels);
        if let Some(sources) = self.sources.get_mut(&values) {
            sources.remove(labels);
            if sources.is_empty() {
                self.sources.remove(&values);
            }
        }
    }

    fn source_for(&self, labels: &Labels) -> Option<&Labels> {
        if !self.rule.target.matches(labels) {
            return None;
        }
        let two_sided = self.rule.source.matches(labels);
        let sources = self.sources.get(&self.equal_values(labels))?;
        sources.iter().find(|(_, also_target)| !(two_sided && **also_target)).map(|(source, _)| source)
    }

    fn equal_values(&self, labels: &Labels) -> Vec<String> {
        self.rule.equal.iter().map(|name| labels.get(name).unwrap_or_default().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split_whitespace().map(|pair| pair.split_once('=').expect("a=b")))
    }

    fn rule(source: &str, target: &str, equal: &[&str]) -> InhibitRule {
        let matchers = |text: &str| text.parse().expect("matchers");
        let equal = equal.iter().map(|name| (*name).to_owned()).collect();
        InhibitRule { name: String::new(), source: matchers(source), target: matchers(target), equal }
    }

    /// With these alerts firing, which of the others are kept quiet?
    #[track_caller]
    fn check(rule: InhibitRule, firing: &[&str], quiet: &[&str], loud: &[&str]) {
        let mut early = Inhibitor::new(vec![rule.clone()]);
        firing.iter().for_each(|text| early.fires(&labels(text)));
        let mut late = Inhibitor::default();
        firing.iter().for_each(|text| late.fires(&labels(text)));
        late.replace_rules(vec![rule]);
        for inhibitor in [&mut early, &mut late] {
            quiet.iter().for_each(|text| assert!(inhibitor.inhibited_by(&labels(text)).is_some(), "{text}"));
            loud.iter().for_each(|text| assert_eq!(inhibitor.inhibited_by(&labels(text)), None, "{text}"));
            firing.iter().for_each(|text| inhibitor.ends(&labels(text)));
            quiet.iter().for_each(|text| assert_eq!(inhibitor.inhibited_by(&labels(text)), None, "{text}: all ended"));
            assert_eq!(inhibitor.firing(), 0);
        }
    }

    #[test]
    fn sources_keep_targets_quiet_where_labels_agree() {
        let down = || rule("alertname=HostDown", "severity=~warning|info", &["host"]);
        check(
            down(),
            &["alertname=HostDown host=a"],
            &["alertname=Slow severity=warning host=a", "severity=info host=a"],
            &["alertname=Slow severity=warning host=b", "alertname=Slow severity=page host=a", "severity=info"],
        );
        check(down(), &["alertname=HostDown"], &["severity=info", "severity=info host="], &["severity=info host=a"]);
        check(rule("a=1", "b=1", &[]), &["a=1 x=y"], &["b=1"], &["b=2"]);
        check(rule("a=1", "b=1", &["x", "y"]), &["a=1 x=1 y=2"], &["b=1 x=1 y=2"], &["b=1 x=1", "b=1 x=2 y=1"]);
    }

    /// The cases of Alertmanager's `TestInhibitRuleMatches`.
    #[test]
    fn nothing_inhibits_itself_nor_its_like() {
        let two_sided = || rule("s=1", "t=1", &["e"]);
        check(two_sided(), &["s=1 e=1"], &["t=1 e=1", "s=1 t=1 e=1"], &["s=1 e=1", "t=0 e=1", "t=1 e=0"]);
        check(two_sided(), &["s=1 t=1 e=1"], &["t=1 e=1"], &["s=1 t=1 e=1", "s=1 t=1 e=1 other=1"]);
        check(two_sided(), &["s=1 t=1 e=1", "s=1 e=1"], &["s=1 t=1 e=1", "t=1 e=1"], &["s=1 e=1"]);
    }

    #[test]
    fn it_says_who_keeps_it_quiet() {
        let mut inhibitor = Inhibitor::new(vec![rule("s=1", "t=1", &[])]);
        inhibitor.fires(&labels("s=1"));
        assert_eq!(inhibitor.inhibited_by(&labels("t=1")), Some(fingerprint(&labels("s=1"))));
    }
}
