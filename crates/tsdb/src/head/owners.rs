//! Which agent brought which series of the head.

use std::collections::HashMap;

use sonde_model::AgentId;

/// A series that no agent brought.
const NOBODY: u32 = u32::MAX;

/// The agents that brought series, with how many of theirs are in the head.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    agents: Vec<(AgentId, u32)>,
    numbers: HashMap<AgentId, u32, foldhash::fast::RandomState>,
    free: Vec<u32>,
    /// The number of the agent of each slot, as far as slots have one.
    by_slot: Vec<u32>,
}

impl Owners {
    /// How many series of the head an agent brought.
    pub(crate) fn count(&self, agent: AgentId) -> usize {
        self.numbers.get(&agent).map_or(0, |number| self.agents[*number as usize].1 as usize)
    }

    /// The agents with series in the head, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (AgentId, u32)> {
        self.agents.iter().copied().filter(|(_, series)| *series > 0)
    }

    /// An agent brought a series, which had no owner.
    pub(crate) fn assign(&mut self, slot: u32, agent: AgentId) {
        let number = match self.numbers.get(&agent) {
            Some(number) => *number,
            None => {
                let number = self.free.pop().unwrap_or(self.agents.len() as u32);
                match self.agents.get_mut(number as usize) {
                    Some(place) => *place = (agent, 0),
                    None => self.agents.push((agent, 0)),
                }
                self.numbers.insert(agent, number);
                number
            }
        };
        if self.by_slot.len() <= slot as usize {
            self.by_slot.resize(slot as usize + 1, NOBODY);
        }
        debug_assert!(self.by_slot[slot as usize] == NOBODY, "BUG: a series has two owners");
        self.by_slot[slot as usize] = number;
        self.agents[number as usize].1 += 1;
    }

    /// A series leaves the head. An agent without series is forgotten.
    pub(crate) fn release(&mut self, slot: u32) {
        let Some(place) = self.by_slot.get_mut(slot as usize) else { return };
        let number = std::mem::replace(place, NOBODY);
        if number == NOBODY {
            return;
        }
        let (agent, series) = &mut self.agents[number as usize];
        *series -= 1;
        if *series == 0 {
            self.numbers.remove(agent);
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_counted_as_they_come_and_go() {
        let agent = |n: u8| AgentId([n; 16]);
        let mut owners = Owners::default();
        owners.assign(5, agent(1));
        owners.assign(2, agent(1));
        owners.assign(3, agent(2));
        assert_eq!((owners.count(agent(1)), owners.count(agent(2)), owners.count(agent(3))), (2, 1, 0));
        [5, 5, 4, 9, 3].iter().for_each(|slot| owners.release(*slot));
        assert_eq!(owners.all().collect::<Vec<_>>(), [(agent(1), 1)]);
        owners.assign(3, agent(4));
        assert_eq!((owners.count(agent(2)), owners.count(agent(4)), owners.agents.len()), (0, 1, 2));
    }
}
