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
    pub action: RelabelAction,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
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

impl Default for RelabelConfig {
    fn default() -> Self {
        let RelabelSpec { source_labels, separator, target_label, regex, modulus, replacement, .. } =
            RelabelSpec::default();
        let action = RelabelAction::Replace;
        RelabelConfig { source_labels, separator, target_label, regex, modulus, replacement, action }
    }
}

impl From<&RelabelConfig> for RelabelSpec {
    fn from(config: &RelabelConfig) -> Self {
        let RelabelConfig { source_labels, separator, target_label, regex, modulus, replacement, action } =
            config.clone();
        let action = match action {
            RelabelAction::Replace => Action::Replace,
            RelabelAction::Keep => Action::Keep,
            RelabelAction::Drop => Action::Drop,
            RelabelAction::KeepEqual => Action::KeepEqual,
            RelabelAction::DropEqual => Action::DropEqual,
            RelabelAction::HashMod => Action::HashMod,
            RelabelAction::LabelMap => Action::LabelMap,
            RelabelAction::LabelDrop => Action::LabelDrop,
            RelabelAction::LabelKeep => Action::LabelKeep,
            RelabelAction::Lowercase => Action::Lowercase,
            RelabelAction::Uppercase => Action::Uppercase,
        };
        RelabelSpec { source_labels, separator, target_label, regex, modulus, replacement, action }
    }
}
