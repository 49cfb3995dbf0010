//! The series that are kept for a time of their own, as the file says it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sonde_model::Matcher;
use sonde_runtime::config::Duration;

/// Series that are kept for a time of their own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClassConfig {
    /// Which ones.
    #[serde(rename = "match")]
    pub selector: Selector,
    /// How long their samples are kept.
    pub keep: Duration,
}

/// A selector as queries write it, of which one matcher at least does not match the empty string.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Reads a selector, as `{job="web"}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let selector = sonde_promql::parse_selector(text).map_err(|e| e.to_string())?;
        let matchers = selector.compile().map_err(|e| e.to_string())?;
        if matchers.iter().all(Matcher::matches_absent) {
            return Err(format!("{text} selects everything: one matcher must not match the empty string"));
        }
        Ok(Selector { text: text.to_owned(), matchers })
    }

    /// All of them hold for a series that it selects.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Selector::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
