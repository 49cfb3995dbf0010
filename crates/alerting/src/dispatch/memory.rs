//! What a dispatcher remembers over a restart and over a change of its settings: the alerts that a receiver is to be told,
//! and what it has been told.

use std::collections::{BTreeMap, BTreeSet};

use sonde_model::{Labels, TimestampMs};

use super::{AlertGroup, DispatchOptions, Dispatcher, Sent, group_labels};
use crate::webhook::{GroupKey, PayloadAlert};

/// One group of alerts of one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMemory {
    /// Which group.
    pub key: GroupKey,
    /// When it is looked at next.
    pub next: TimestampMs,
    /// Alerts that fire, and alerts whose end has not been told.
    pub alerts: Vec<PayloadAlert>,
    /// What the receiver has taken last; `None` before the first time.
    pub sent: Option<SentMemory>,
}

/// A notification that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMemory {
    /// When.
    pub at: TimestampMs,
    /// The alerts that fired in it.
    pub firing: BTreeSet<Labels>,
    /// The alerts that were resolved in it.
    pub resolved: BTreeSet<Labels>,
}

impl Dispatcher {
    /// What has changed since the last call and has to survive a restart; `None` where a group has gone.
    ///
    /// That a look was taken or an attempt failed is not part of it: whoever restores an older memory looks again.
    pub fn changes(&mut self) -> Vec<(GroupKey, Option<GroupMemory>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.clone(), self.groups.get(&key).map(|group| memory(&key, group)))).collect()
    }

    /// All groups. Nothing counts as changed after it.
    pub fn memory(&mut self) -> Vec<GroupMemory> {
        self.changed.clear();
        self.groups.iter().map(|(key, group)| memory(key, group)).collect()
    }

    /// Takes up what was remembered before a restart. Groups that are known already stay as they are.
    ///
    /// Alerts are grouped as the settings are now; of groups that would not be made like that any more it counts as unsent
    /// what was sent.
    pub fn restore(&mut self, groups: Vec<GroupMemory>) {
        for group in groups {
            let sent = group.sent.map(|s| Sent { at: s.at, firing: s.firing, resolved: s.resolved });
            self.adopt(&group.key, group.alerts, group.next, sent, false);
        }
    }

    /// Goes on with other settings. All groups count as changed.
    pub fn reconfigure(&mut self, options: DispatchOptions) {
        self.options = options;
        self.alerts = 0;
        for (key, group) in std::mem::take(&mut self.groups) {
            self.changed.insert(key.clone());
            self.adopt(&key, group.alerts.into_values(), group.next, group.sent, group.in_flight);
        }
        self.changed.extend(self.groups.keys().cloned());
    }

    fn adopt(
        &mut self,
        key: &GroupKey,
        alerts: impl IntoIterator<Item = PayloadAlert>,
        next: TimestampMs,
        mut sent: Option<Sent>,
        in_flight: bool,
    ) {
        for alert in alerts {
            let own = GroupKey(group_labels(&self.options.group_by, &alert.labels));
            let same = own == *key;
            let group = self.groups.entry(own).or_insert_with(|| AlertGroup {
                alerts: BTreeMap::new(),
                next,
                sent: None,
                in_flight: same && in_flight,
            });
            if same && group.sent.is_none() {
                group.sent = sent.take();
            }
            group.next = group.next.min(next);
            if group.alerts.insert(alert.labels.clone(), alert).is_none() {
                self.alerts += 1;
            }
        }
    }
}

fn memory(key: &GroupKey, group: &AlertGroup) -> GroupMemory {
    let sent = group.sent.as_ref().map(|sent| SentMemory {
        at: sent.at,
        firing: sent.firing.clone(),
        resolved: sent.resolved.clone(),
    });
    GroupMemory { key: key.clone(), next: group.next, alerts: group.alerts.values().cloned().collect(), sent }
}
