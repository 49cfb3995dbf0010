//! Translators that wait for the next request: they remember names, which come again with every request.

use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;
use sonde_translate::{Options, Promotion, Strategy, Translator};

use super::label_hash::{Domain, LabelHasher};
use crate::config::{Config, OtlpConfig, TranslationStrategy};

/// Translators that are kept. As many requests are rarely translated at one time, and each remembers up to some
/// megabytes of names.
const KEPT: usize = 4;

/// The translators that wait.
#[derive(Debug)]
pub(super) struct Translators {
    waiting: Mutex<Vec<SaltedTranslator>>,
    hasher: LabelHasher,
}

/// A translator, and a number that stands for its options.
#[derive(Debug)]
pub(super) struct SaltedTranslator {
    translator: Translator,
    salt: u128,
}

impl Translators {
    pub(super) fn new(hasher: LabelHasher) -> Self {
        Translators { waiting: Mutex::default(), hasher }
    }

    /// A translator for a request.
    pub(super) fn take(&self, config: &Config) -> SaltedTranslator {
        let options = options(&config.otlp, config.query.lookback.0.as_millis() as i64);
        let waiting = self.waiting.lock().pop();
        waiting.filter(|known| *known.options() == options).unwrap_or_else(|| {
            let salt = self.hasher.hash(Domain::OtlpOptions, format!("{options:?}").as_bytes());
            SaltedTranslator { translator: Translator::new(options), salt }
        })
    }

    /// Keeps a translator for the next request.
    pub(super) fn put_back(&self, translator: SaltedTranslator) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < KEPT {
            waiting.push(translator);
        }
    }
}

impl SaltedTranslator {
    /// Keys of series under other options have another salt: what a request that was on its way through a reload
    /// taught the memo is then not found.
    pub(super) fn salt(&self) -> u128 {
        self.salt
    }
}

impl Deref for SaltedTranslator {
    type Target = Translator;

    fn deref(&self) -> &Translator {
        &self.translator
    }
}

impl DerefMut for SaltedTranslator {
    fn deref_mut(&mut self) -> &mut Translator {
        &mut self.translator
    }
}

/// The options of the translation. `target_info` must be found by every instant query: half of the lookback apart.
fn options(config: &OtlpConfig, lookback_ms: i64) -> Options {
    let promote_resource_attributes = if config.promote_all_resource_attributes {
        Promotion::AllExcept(config.ignore_resource_attributes.clone())
    } else if config.promote_resource_attributes.is_empty() {
        Promotion::None
    } else {
        Promotion::Only(config.promote_resource_attributes.clone())
    };
    Options {
        strategy: match config.translation_strategy {
            TranslationStrategy::UnderscoreEscapingWithSuffixes => Strategy::UnderscoreEscapingWithSuffixes,
            TranslationStrategy::UnderscoreEscapingWithoutSuffixes => Strategy::UnderscoreEscapingWithoutSuffixes,
            TranslationStrategy::NoUTF8EscapingWithSuffixes => Strategy::NoUtf8EscapingWithSuffixes,
            TranslationStrategy::NoTranslation => Strategy::NoTranslation,
        },
        promote_resource_attributes,
        promote_scope: config.promote_scope_metadata,
        keep_identifying_resource_attributes: config.keep_identifying_resource_attributes,
        target_info_interval_ms: lookback_ms / 2,
        ..Options::default()
    }
}
