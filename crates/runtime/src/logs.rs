//! Logs of the process, to stderr, for people or for machines.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// Why logging cannot be set up.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The filter is malformed.
    #[error("`{filter}` is no log filter; write a level or a list as in info,sonde_tsdb=debug ({message})")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        message: String,
    },
    /// A subscriber is installed already.
    #[error("logging is set up already: only a binary may do it, once")]
    AlreadySet,
}

/// Installs the subscriber of the process. `filter` is a level (`info`) or a list of `target=level`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    use std::io::IsTerminal;

    let filter = EnvFilter::try_new(filter)
        .map_err(|error| LogsError::Filter { filter: filter.to_owned(), message: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|_| LogsError::AlreadySet)
}

impl std::str::FromStr for LogFormat {
    type Err = InvalidLogFormat;

    fn from_str(text: &str) -> Result<Self, InvalidLogFormat> {
        match text {
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            _ => Err(InvalidLogFormat),
        }
    }
}

/// A text names no log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a log format is human or json")]
pub struct InvalidLogFormat;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named_and_a_second_subscriber_refused() {
        let error = init(LogFormat::Human, "sonde=loudest").unwrap_err().to_string();
        assert!(error.contains("sonde=loudest"), "{error}");
        init(LogFormat::Json, "off").unwrap();
        assert!(matches!(init(LogFormat::Json, "off"), Err(LogsError::AlreadySet)));
    }
}
