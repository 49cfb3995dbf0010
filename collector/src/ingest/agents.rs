//! Which agents sent batches over the agent link, and when the last one came.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sonde_model::{AgentId, BatchId, TimestampMs};

/// How many agents are remembered; beyond it the one that was silent longest is forgotten.
const MAX_AGENTS: usize = 10_000;

/// The agents since the start of this process.
#[derive(Debug, Default)]
pub(crate) struct Agents(Mutex<BTreeMap<AgentId, AgentSeen>>);

/// What was seen of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgentSeen {
    /// The newest batch.
    pub(crate) last_batch: BatchId,
    /// When it came.
    pub(crate) last_time: TimestampMs,
    /// How many batches came, duplicates included.
    pub(crate) batches: u64,
}

impl Agents {
    /// Notes that a batch came.
    pub(crate) fn saw(&self, batch: BatchId, now: TimestampMs) {
        let mut agents = self.0.lock();
        if agents.len() >= MAX_AGENTS && !agents.contains_key(&batch.agent) {
            let silent = agents.iter().min_by_key(|(_, seen)| seen.last_time).map(|(agent, _)| *agent);
            silent.map(|agent| agents.remove(&agent));
        }
        let seen = agents.entry(batch.agent).or_insert(AgentSeen { last_batch: batch, last_time: now, batches: 0 });
        *seen = AgentSeen { last_batch: batch, last_time: now, batches: seen.batches + 1 };
    }

    /// All of them, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<AgentSeen> {
        self.0.lock().values().copied().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use sonde_model::Signal;

    use super::*;

    fn batch(agent: u32, seq: u64) -> BatchId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&agent.to_be_bytes());
        BatchId { agent: AgentId(id), epoch: 1, signal: Signal::Metrics, seq }
    }

    #[test]
    fn the_silent_ones_are_forgotten() {
        let agents = Agents::default();
        for n in 0..=MAX_AGENTS as u32 {
            agents.saw(batch(n, 1), i64::from(n));
        }
        assert_eq!((agents.len(), agents.all()[0].last_batch), (MAX_AGENTS, batch(1, 1)));
        agents.saw(batch(1, 2), 99);
        assert_eq!(agents.all()[0], AgentSeen { last_batch: batch(1, 2), last_time: 99, batches: 2 });
    }
}
