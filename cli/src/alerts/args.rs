//! The command line of `sonde alerts`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::client::ServerArgs;

const EXAMPLES: &str = "\
Examples:
  sonde alerts
      What is pending or fires now, and what is kept quiet.
  sonde alerts history --range 1d
      What happened to alerts in the last day, newest first.
  sonde alerts history 'severity=\"page\"' -o json
      As JSON, of alerts with these labels.
  sonde alerts route --config sonde.yml severity=page team=db
      Which receiver a configuration would tell of an alert with these labels. Nothing is asked and nothing is sent.";

/// Show alerts, what happened to them, and who would be told.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,

    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// What happened to alerts, newest first.
    History(HistoryArgs),
    /// Which receiver a configuration would tell of an alert with these labels.
    Route(RouteArgs),
}

/// What is pending or fires.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// How the answer is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What happened to alerts.
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// Only alerts with these labels, as `alertname="HighLoad",severity="page"`; a bare word is the name of an alert.
    #[arg(value_name = "MATCHERS")]
    pub(crate) matchers: Option<String>,

    /// Look back so far, as 30m, 6h or 7d; by default as far as there is history.
    #[arg(long, value_name = "DURATION")]
    pub(crate) range: Option<String>,

    /// How many lines at most.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) limit: u32,

    /// How the answer is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Who would be told.
#[derive(Args, Debug)]
pub(crate) struct RouteArgs {
    /// The configuration of a collector.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// The labels of the alert, each as NAME=VALUE.
    #[arg(value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// The `data` of the HTTP API.
    Json,
}
