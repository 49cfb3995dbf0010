//! Which metadata of metrics the store knows, so that only news are handed to it: senders repeat theirs all the time.

use sonde_tsdb::{Metadata, MetricKind};

use super::label_hash::{Domain, LabelHasher};
use super::memo::{Found, Memo};

/// Metrics whose metadata is remembered; above it some are handed over again, which does no harm.
const CAPACITY: usize = 200_000;

/// The metadata that the store was last given, by metric.
#[derive(Debug)]
pub(super) struct KnownMetadata(Memo<u64>);

/// Metadata that the store may not know yet.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What is new, by metric.
    pub(super) entries: Vec<(String, Metadata)>,
    /// To be remembered once it is durable: metric and content, hashed.
    hashes: Vec<(u128, u64)>,
}

impl KnownMetadata {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        KnownMetadata(Memo::new(CAPACITY))
    }

    /// Adds the metadata of a metric to `news` if it is not what the store was last given.
    pub(super) fn judge(
        &self,
        hasher: &LabelHasher,
        family: &str,
        kind: MetricKind,
        help: &str,
        unit: &str,
        news: &mut News,
    ) {
        if family.is_empty() {
            return;
        }
        let metric = hasher.hash(Domain::MetricName, family.as_bytes());
        let mut content = Vec::with_capacity(help.len() + unit.len() + 40);
        for part in [help, unit, kind.as_str()] {
            content.extend_from_slice(&(part.len() as u64).to_le_bytes());
            content.extend_from_slice(part.as_bytes());
        }
        let content = hasher.hash(Domain::Metadata, &content) as u64;
        if let Found::Young(known) | Found::Old(known) = self.0.lookup().get(metric)
            && known == content
        {
            return;
        }
        news.hashes.push((metric, content));
        let metadata = Metadata { kind, help: help.to_owned(), unit: unit.to_owned() };
        news.entries.push((family.to_owned(), metadata));
    }

    /// Remembers what is durable.
    pub(super) fn learn(&self, news: News) {
        if !news.hashes.is_empty() {
            self.0.insert(news.hashes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_are_handed_over() {
        let (known, hasher) = (KnownMetadata::new(), LabelHasher::new());
        let judge = |help: &str| {
            let mut news = News::default();
            known.judge(&hasher, "up", MetricKind::Gauge, help, "", &mut news);
            news
        };
        assert_eq!(judge("a").entries.len(), 1);
        assert_eq!(judge("a").entries.len(), 1, "it was not durable yet");
        known.learn(judge("a"));
        assert_eq!(judge("a").entries.len(), 0);
        known.learn(judge("b"));
        assert_eq!((judge("b").entries.len(), judge("a").entries.len()), (0, 1), "the last one counts");
    }
}
