//! Readiness: which parts of a process are not ready, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The readiness of a process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    waiting: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

/// A part that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// The part, as `store`.
    pub component: &'static str,
    /// Why, in a sentence.
    pub reason: String,
}

impl Health {
    /// A process none of whose parts has said that it is not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that `component` is not ready, and why. A later reason replaces an earlier one.
    pub fn not_ready(&self, component: &'static str, reason: impl Into<String>) {
        self.waiting.lock().insert(component, reason.into());
    }

    /// Says that `component` is ready.
    pub fn ready(&self, component: &'static str) {
        self.waiting.lock().remove(component);
    }

    /// Whether every part is ready.
    pub fn is_ready(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// The parts that are not ready, sorted by name; empty when all are.
    pub fn waiting(&self) -> Vec<NotReady> {
        let waiting = self.waiting.lock();
        waiting.iter().map(|(component, reason)| NotReady { component, reason: reason.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::new();
        assert!(health.is_ready());
        health.not_ready("store", "replaying the log");
        health.not_ready("rules", "waiting for agents");
        health.ready("store");
        assert_eq!(health.waiting(), [NotReady { component: "rules", reason: "waiting for agents".into() }]);
        health.ready("rules");
        assert!(health.is_ready());
    }
}
