//! The flags of the agent, shared by `sonde-agent` and `sonde agent`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, LoadError};

/// Measures this host, takes OTLP from local applications, scrapes /metrics pages, and ships all of it to a collector.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file. Every key has a default; without a file all of them hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The folder of the data; overrules `data_dir` of the file.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where to send, as http://HOST:4317; overrules `collector.endpoint` of the file.
    #[arg(long, value_name = "URL")]
    pub collector: Option<String>,

    /// The file with the token to show to the collector; overrules `collector.token_file` of the file.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// The file with a token for enrolment, by which the agent gets a token of its own; overrules `collector.enrol_token_file`.
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub enrol_token_file: Option<PathBuf>,
}

impl Flags {
    /// The configuration: the file, overruled by the flags.
    pub fn load(&self) -> Result<Config, LoadError> {
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(endpoint) = &self.collector {
            config.collector.endpoint.clone_from(endpoint);
        }
        if self.token_file.is_some() || self.enrol_token_file.is_some() {
            config.collector.token_file = self.token_file.clone().unwrap_or_default();
            config.collector.enrol_token_file = self.enrol_token_file.clone().unwrap_or_default();
        }
        config.check().map_err(|error| LoadError::Value { origin: "the flags".to_owned(), error })?;
        Ok(config)
    }
}
