//! How long samples are kept: those of selected series, and all others.
//!
//! A block goes as a whole when all that it holds is too old. Where only some of its series are, they are hidden as a
//! delete hides them, and cleaning writes the rest again.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_model::{Matcher, TimestampMs};

use crate::Error;
use crate::block::{Block, BlockIndex};
use crate::db::{Db, Maintenance};
use crate::index::resolve::resolve;

/// Series whose samples are kept for another time than those of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionClass {
    /// All of them have to hold for a series.
    pub matchers: Vec<Matcher>,
    /// How long its samples are kept, in milliseconds.
    pub keep_ms: i64,
}

/// How long samples are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those of series that no class selects, in milliseconds.
    pub keep_ms: i64,
    /// The first class that selects a series counts for it.
    pub classes: Vec<RetentionClass>,
}

impl Retention {
    /// The longest time that anything is kept, in milliseconds.
    pub fn longest(&self) -> i64 {
        self.classes.iter().map(|class| class.keep_ms).fold(self.keep_ms, i64::max)
    }

    /// The shortest time that anything is kept.
    pub(crate) fn shortest(&self) -> i64 {
        self.classes.iter().map(|class| class.keep_ms).fold(self.keep_ms, i64::min)
    }
}

/// What retention has done to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    /// Under which setting.
    version: u64,
    /// All series that are kept for this long or shorter are hidden, in ms.
    keep_ms: i64,
}

impl Db {
    /// How long samples are kept.
    pub fn retention(&self) -> Arc<Retention> {
        Arc::clone(&self.shared.retention.read().1)
    }

    /// Changes how long samples are kept, from the next maintenance on. Samples that are gone do not come back when it is
    /// made longer, apart from those that are hidden and not cleaned yet: the next start hides by what it is told. The
    /// width of the partitions of time stays what it was when the store was opened.
    pub fn set_retention(&self, retention: Retention) {
        let mut current = self.shared.retention.write();
        if *current.1 != retention {
            self.retain_tiers(&retention);
            *current = (current.0 + 1, Arc::new(retention));
        }
    }

    /// Hides the series of blocks that are too old for their class although the block holds others that are not. A block
    /// whose index cannot be read does not keep the others from it; the first error is given back. A block that tiers lack
    /// waits for them, with `feeding` until they are fed.
    pub(crate) fn expire_classes(
        &self,
        maintenance: &mut Maintenance,
        now: TimestampMs,
        feeding: bool,
    ) -> Result<(), Error> {
        let (version, retention) = self.shared.retention.read().clone();
        let blocks = Arc::clone(&self.shared.data.read().blocks);
        maintenance.expired.retain(|seq, _| blocks.iter().any(|b| b.meta().seq == *seq));
        if retention.classes.is_empty() {
            return Ok(());
        }
        let mut done = Ok(());
        for block in blocks.iter().filter(|b| b.meta().max_time < now.saturating_sub(retention.shortest())) {
            let age = now.saturating_sub(block.meta().max_time);
            let keeps = retention.classes.iter().map(|class| class.keep_ms).chain([retention.keep_ms]);
            let Some(keep_ms) = keeps.filter(|keep| *keep < age).max() else { continue };
            let handled = Handled { version, keep_ms };
            if maintenance.expired.get(&block.meta().seq) == Some(&handled) {
                continue;
            }
            let is_fed = if feeding { self.may_lose(block, now, age - keep_ms) } else { self.is_in_tiers(block, None) };
            if !is_fed {
                continue;
            }
            let series = match self.noting_damage(block, expired_series(block, &retention, keep_ms)) {
                Ok(series) => series,
                Err(error) => {
                    done = done.and(Err(error));
                    continue;
                }
            };
            if !series.is_empty() {
                block.hidden().add(&series, (TimestampMs::MIN, TimestampMs::MAX));
                let mut data = self.shared.data.write();
                data.changes.note(block.meta().min_time);
                data.note_unsure(block.meta().max_time);
            }
            maintenance.expired.insert(block.meta().seq, handled);
        }
        done
    }
}

/// The numbers of the series of a block that are kept for `keep_ms` at most.
fn expired_series(block: &Block, retention: &Retention, keep_ms: i64) -> Result<Vec<u32>, Error> {
    let index = BlockIndex::new(block);
    let mut keep_of: HashMap<u32, i64, foldhash::fast::RandomState> = HashMap::default();
    for class in &retention.classes {
        for number in resolve(&index, &class.matchers)? {
            keep_of.entry(number).or_insert(class.keep_ms);
        }
    }
    let keep = |number: &u32| keep_of.get(number).copied().unwrap_or(retention.keep_ms);
    Ok((0..block.meta().series).filter(|number| keep(number) <= keep_ms).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_may_keep_longer_and_shorter() {
        let class = |job: &str, keep_ms| RetentionClass { matchers: vec![Matcher::equal("job", job)], keep_ms };
        let retention = Retention { keep_ms: 15, classes: vec![class("a", 30), class("b", 7)] };
        assert_eq!((retention.longest(), retention.shortest()), (30, 7));
        let alone = Retention { keep_ms: 15, classes: Vec::new() };
        assert_eq!((alone.longest(), alone.shortest()), (15, 15));
    }
}
