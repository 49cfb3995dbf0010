//! A rule of relabelling, in the words of Prometheus.

use serde::{Deserialize, Serialize};
use sonde_translate::relabel::{Action, RelabelSpec};

/// A rule. What is left out is as in Prometheus: the regular expression `(.*)`, the replacement `$1`, the separator `;`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// The labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// The label that is set.
    pub target_label: String,
    /// What the joined values, or the names of labels, are matched with, whole.
    pub regex: String,
    /// The modulus of `hashmod`.
    pub modulus: u64,
    /// What is set.
    pub replacement: String,
    /// What is done.
    pub action: Action,
}

impl Default for RelabelConfig {
    fn default() -> Self {
        let RelabelSpec { source_labels, separator, target_label, regex, modulus, replacement, action } =
            RelabelSpec::default();
        RelabelConfig { source_labels, separator, target_label, regex, modulus, replacement, action }
    }
}

impl From<&RelabelConfig> for RelabelSpec {
    fn from(config: &RelabelConfig) -> Self {
        let RelabelConfig { source_labels, separator, target_label, regex, modulus, replacement, action } =
            config.clone();
        RelabelSpec { source_labels, separator, target_label, regex, modulus, replacement, action }
    }
}
