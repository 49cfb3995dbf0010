//! Strict YAML configuration: an unknown key is an error with its line and the key that was probably meant.
//!
//! The YAML library is known to this module only. Types that are loaded carry `#[serde(deny_unknown_fields)]` on every
//! struct and `default` where a key may be left out.

mod bytes;
mod duration;
mod suggest;

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Location};
use thiserror::Error;

pub use bytes::ByteSize;
pub use duration::Duration;

/// The largest configuration file that is read: far above any that a person writes.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;
/// How deep a configuration may be nested. Ours need about six levels.
const MAX_DEPTH: usize = 32;
/// How many YAML events a configuration may hold; 1 MiB of text stays below it.
const MAX_EVENTS: usize = 200_000;
/// Aliases are allowed for repeated fragments, not for amplification.
const MAX_ALIASES: usize = 100;

/// Why a configuration is refused. Each names where it came from.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{origin}: cannot be read")]
    Unreadable {
        /// The path of the file.
        origin: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text is larger than [`MAX_CONFIG_BYTES`].
    #[error("{origin}: the configuration is larger than {MAX_CONFIG_BYTES} bytes")]
    TooLarge {
        /// Where the text came from.
        origin: String,
    },
    /// The text is no YAML, or not what the program expects.
    #[error("{origin}:{line}:{column}: {message}")]
    Invalid {
        /// Where the text came from.
        origin: String,
        /// From 1; 0 if unknown.
        line: u64,
        /// From 1; 0 if unknown.
        column: u64,
        /// What is wrong and, for a mistyped key, what was probably meant.
        message: String,
    },
}

/// Loads a configuration from `text`. An empty text, or one with comments only, gives every key its default.
pub fn load<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ConfigError> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLarge { origin: origin.to_owned() });
    }
    let text = if is_blank(text) { "{}" } else { text };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: MAX_EVENTS,
            max_aliases: MAX_ALIASES,
            max_documents: 1,
        },
        with_snippet: false,
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| invalid(&error, origin))
}

/// Loads a configuration from the file at `path`, whose path is the origin in errors.
pub fn load_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = read_file(path)?;
    load(&text, &path.display().to_string())
}

/// Reads a text file that a person wrote, at most [`MAX_CONFIG_BYTES`] long.
pub fn read_file(path: &Path) -> Result<String, ConfigError> {
    let origin = path.display().to_string();
    let unreadable = |source| ConfigError::Unreadable { origin: origin.clone(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let limit = MAX_CONFIG_BYTES as u64 + 1;
    file.take(limit).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLarge { origin });
    }
    Ok(text)
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    })
}

fn invalid(error: &YamlError, origin: &str) -> ConfigError {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((0, 0), |at: Location| (at.line(), at.column()));
    let message = match error {
        YamlError::SerdeUnknownField { field, expected, .. } => suggest::unknown("key", field, expected),
        YamlError::SerdeUnknownVariant { variant, expected, .. } => suggest::unknown("value", variant, expected),
        YamlError::SerdeMissingField { field, .. } => format!("key `{field}` is missing"),
        other => first_line(&other.render(), line, column),
    };
    ConfigError::Invalid { origin: origin.to_owned(), line, column, message }
}

/// The library's own text without the position, which the error carries in front already.
fn first_line(text: &str, line: u64, column: u64) -> String {
    let text = text.lines().next().unwrap_or_default().trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let text = text.strip_prefix(&format!("line {line} column {column}: ")).unwrap_or(text);
    text.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests;
