//! Which alerts are silenced, asked ahead of a decision.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_alerting::silence::SilenceSet;
use sonde_model::{Labels, TimestampMs};

/// The answers of silences for some alerts.
#[derive(Debug)]
pub(super) struct Asked {
    silences: Arc<SilenceSet>,
    answers: HashMap<Labels, bool>,
}

impl Asked {
    /// Asks `silences` about alerts.
    pub(super) fn new(silences: Arc<SilenceSet>, alerts: Vec<Labels>, now: TimestampMs) -> Self {
        let ask = |labels: Labels| {
            let answer = silences.is_silenced(&labels, now);
            (labels, answer)
        };
        Asked { answers: alerts.into_iter().map(ask).collect(), silences }
    }

    /// Whether `silences` mute an alert. Where they have changed meanwhile, or the alert is new, it is asked now.
    pub(super) fn is_silenced(&self, labels: &Labels, silences: &Arc<SilenceSet>, now: TimestampMs) -> bool {
        let known = self.answers.get(labels).filter(|_| Arc::ptr_eq(silences, &self.silences));
        known.copied().unwrap_or_else(|| silences.is_silenced(labels, now))
    }
}

#[cfg(test)]
mod tests {
    use sonde_alerting::silence::{Draft, SilenceId};

    use super::*;

    #[test]
    fn a_silence_that_came_meanwhile_counts() {
        let labels = |host: &str| Labels::from_pairs([("host", host)]);
        let none = Arc::new(SilenceSet::default());
        let asked = Asked::new(Arc::clone(&none), vec![labels("a")], 0);
        assert!(!asked.is_silenced(&labels("a"), &none, 0));
        let mut set = SilenceSet::default();
        let draft = Draft {
            matchers: r#"{host=~"a|b"}"#.parse().expect("matchers"),
            starts_at: 0,
            ends_at: 100,
            created_by: String::new(),
            comment: String::new(),
        };
        set.set(None, draft, SilenceId::from_random(1), 0).expect("a silence");
        let set = Arc::new(set);
        assert!(asked.is_silenced(&labels("a"), &set, 0), "asked again");
        let asked = Asked::new(Arc::clone(&set), vec![labels("a"), labels("c")], 0);
        assert!(asked.is_silenced(&labels("a"), &set, 0) && !asked.is_silenced(&labels("c"), &set, 0));
        assert!(asked.is_silenced(&labels("b"), &set, 0), "not asked before");
        assert!(!asked.is_silenced(&labels("a"), &none, 0), "it has ended meanwhile");
    }
}
