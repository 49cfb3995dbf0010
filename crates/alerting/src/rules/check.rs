//! The rules about names in rule files.

use sonde_model::METRIC_NAME;
use sonde_model::labels::is_legacy_label_name;

/// What is wrong with the name of a label that a rule sets.
pub(super) fn label_name(name: &str) -> Option<String> {
    if name == METRIC_NAME {
        return Some("a rule cannot set the label __name__; the metric name is what `record` says".to_owned());
    }
    if is_legacy_label_name(name) {
        return None;
    }
    Some(format!("invalid label name {name:?}; use letters, digits and underscores, no digit first"))
}

/// What is wrong with the name of an annotation.
pub(super) fn annotation_name(name: &str) -> Option<String> {
    if is_legacy_label_name(name) {
        return None;
    }
    Some(format!("invalid annotation name {name:?}; use letters, digits and underscores, no digit first"))
}

/// What is wrong with the metric name of a recording rule. Names beyond ASCII are allowed, as in Prometheus 3.
pub(super) fn record_name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("'record' must not be empty".to_owned());
    }
    if name.contains(['{', '}']) {
        return Some(format!("braces in the recording rule name {name:?}: labels belong into `labels`"));
    }
    None
}
