//! New series that a limit refused, and whose they were.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;
use sonde_model::AgentId;

/// Metrics, and agents, whose refusals are told apart; those of further ones are in the counters alone.
const NAMED: usize = 1_000;

/// How many attempts to bring a new series were refused, by metric and by agent.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    metrics: Mutex<HashMap<String, u64, foldhash::fast::RandomState>>,
    agents: Mutex<HashMap<AgentId, u64, foldhash::fast::RandomState>>,
}

impl Refusals {
    /// A series of a metric was refused, because of that metric or of the whole.
    pub(crate) fn of_metric(&self, metric: &str) {
        let mut metrics = self.metrics.lock();
        if let Some(count) = metrics.get_mut(metric) {
            *count += 1;
        } else if metrics.len() < NAMED {
            metrics.insert(metric.to_owned(), 1);
        }
    }

    /// A series of an agent was refused.
    pub(crate) fn of_agent(&self, agent: AgentId) {
        let mut agents = self.agents.lock();
        if agents.len() < NAMED || agents.contains_key(&agent) {
            *agents.entry(agent).or_default() += 1;
        }
    }

    /// The metrics whose series were refused most often.
    pub(crate) fn metrics(&self, limit: usize) -> Vec<(String, u64)> {
        top(&self.metrics.lock(), limit)
    }

    /// The agents whose series were refused most often.
    pub(crate) fn agents(&self, limit: usize) -> Vec<(AgentId, u64)> {
        top(&self.agents.lock(), limit)
    }
}

fn top<K: Clone + Eq + Hash + Ord>(
    counts: &HashMap<K, u64, foldhash::fast::RandomState>,
    limit: usize,
) -> Vec<(K, u64)> {
    let mut all: Vec<(K, u64)> = counts.iter().map(|(key, count)| (key.clone(), *count)).collect();
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_names_is_bounded() {
        let refusals = Refusals::default();
        for n in 0..2 * NAMED {
            refusals.of_metric(&format!("m{n:04}"));
        }
        refusals.of_metric("m0007");
        assert_eq!(refusals.metrics(2), [("m0007".to_owned(), 2), ("m0000".to_owned(), 1)]);
        assert_eq!(refusals.metrics(usize::MAX).len(), NAMED);
    }
}
