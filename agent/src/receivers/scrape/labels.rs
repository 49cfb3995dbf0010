//! The labels of a sample: those of the page, and those that the target adds.
//!
//! Where both have a name, the target's stands and the page's is renamed to `exported_...`, as Prometheus does.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Labels, sorted by name.
pub(super) type Labels = Vec<(String, String)>;

/// What a target adds to every sample.
#[derive(Clone, Debug)]
pub(super) struct TargetLabels {
    added: Labels,
}

impl TargetLabels {
    pub(super) fn new(labels: &BTreeMap<String, String>) -> Self {
        let added = labels.iter().filter(|(_, value)| !value.is_empty());
        TargetLabels { added: added.map(|(name, value)| (name.clone(), value.clone())).collect() }
    }

    /// The labels of what is said about the target itself.
    pub(super) fn own(&self) -> Labels {
        self.added.clone()
    }

    /// The labels of a sample of the page without the one called `without`. A label without a value is none.
    pub(super) fn of_sample(&self, page: &[(Cow<'_, str>, Cow<'_, str>)], without: &str) -> Labels {
        let mut labels = self.added.clone();
        let kept = page.iter().filter(|(name, value)| !value.is_empty() && name != without);
        for (name, value) in kept {
            let mut name = name.to_string();
            if self.is_taken(&name) {
                // The page may have the new name too.
                while self.is_taken(&name) || page.iter().any(|(other, _)| *other == name) {
                    name.insert_str(0, "exported_");
                }
            }
            labels.push((name, value.to_string()));
        }
        labels.sort_unstable();
        labels
    }

    /// Whether a label of a page must not have this name. `job` and `instance` come from the resource.
    fn is_taken(&self, name: &str) -> bool {
        name == "job" || name == "instance" || self.added.iter().any(|(added, _)| added == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_the_target_stand() {
        let target = TargetLabels::new(&BTreeMap::from([
            ("team".to_owned(), "a".to_owned()),
            ("empty".to_owned(), String::new()),
        ]));
        for (page, expected) in [
            (&[("code", "200")][..], &[("code", "200"), ("team", "a")][..]),
            (&[("team", "b"), ("job", "x")], &[("exported_job", "x"), ("exported_team", "b"), ("team", "a")]),
            (&[("le", "1"), ("gone", ""), ("x", "y")], &[("team", "a"), ("x", "y")]),
        ] {
            let page: Vec<_> = page.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v))).collect();
            let labels = target.of_sample(&page, "le");
            let seen: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(seen, expected);
        }
    }
}
