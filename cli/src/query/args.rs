//! The command line of `sonde query`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::client::ServerArgs;

const QUERY_EXAMPLES: &str = "\
Examples:
  sonde query 'up'
      The value of every series of `up` now, as a table.
  sonde query 'sum by (cpu_mode) (rate(system_cpu_time_seconds_total[5m]))'
      CPU time by mode. Quote the expression: parentheses and braces mean something to the shell.
  sonde query --range 1h 'system_cpu_load_average_1m'
      The last hour as a chart. --step says how far apart the points are.
  sonde query --range 1d --step 5m -o csv 'instance:system_memory_used:ratio' > memory.csv
      A day as CSV, one line a sample.
  sonde query --time 2026-11-20T09:30:00Z 'up == 0'
      What was down at a time. A duration looks back: --time 15m is a quarter of an hour ago.
  sonde query -o json 'up' | jq '.result[].metric.instance'
      JSON, the `data` of Prometheus's HTTP API.
  sonde query repl
      A prompt with completion and history.

Any server that speaks Prometheus's HTTP API can be asked: --url http://prometheus.example.org:9090
Over TLS: --url https://collector.example.org:9090 --ca-file ca.pem, with --client-cert and --client-key where it asks for them.";

/// Ask a collector a PromQL question and show the answer.
#[derive(Args, Debug)]
#[command(after_help = QUERY_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct QueryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<QueryCommand>,

    /// The PromQL expression.
    #[arg(value_name = "EXPR", required = true)]
    pub(crate) expr: Option<String>,

    /// Ask for all values in this much time up to now (or up to --time), as 30m, 6h or 7d.
    #[arg(long, value_name = "DURATION")]
    pub(crate) range: Option<String>,

    /// Time between two values of a range; by default as much as gives about 100 of them.
    #[arg(long, value_name = "DURATION", requires = "range")]
    pub(crate) step: Option<String>,

    /// Ask for a time other than now: RFC 3339, seconds since 1970, or a duration that looks back.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,

    /// How the answer is shown; a chart for ranges and a table else.
    #[arg(short, long, visible_alias = "format", value_name = "FORMAT")]
    pub(crate) output: Option<Output>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// What else than values can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum QueryCommand {
    /// Ask for exemplars: single observations, with what leads to their traces.
    Exemplars(ExemplarArgs),
    /// List series: their labels, not their values.
    Series(SeriesArgs),
    /// List the names of labels.
    Labels(SeriesArgs),
    /// List the values of a label.
    Values(ValuesArgs),
    /// Say what a query reads, and where its time goes.
    Explain(ExplainArgs),
    /// Ask one question after the other, with completion and history.
    Repl(ReplArgs),
}

const LISTING_EXAMPLES: &str = "\
Examples:
  sonde query series up                        The series of a metric in the last hour.
  sonde query labels '{job=\"node\"}'           The labels of everything that a job has.
  sonde query values __name__                  The names of all metrics.
  sonde query values --range 7d job up         The jobs of a week.";

/// Which series are looked at.
#[derive(Args, Debug)]
#[command(after_help = LISTING_EXAMPLES)]
pub(crate) struct SeriesArgs {
    /// Selectors, as up or '{job=\"node\"}'; what one of them matches counts. Without one everything does, but `series` needs one.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}

/// Which label's values, and of which series.
#[derive(Args, Debug)]
#[command(after_help = LISTING_EXAMPLES)]
pub(crate) struct ValuesArgs {
    /// The label; __name__ has the names of metrics.
    #[arg(value_name = "LABEL")]
    pub(crate) label: String,

    /// Selectors, as up or '{job=\"node\"}'; what one of them matches counts.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}

/// What all lists take.
#[derive(Args, Debug)]
pub(crate) struct ListingArgs {
    /// How far back from now to look.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) range: String,

    /// How many are shown at most.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: usize,

    /// How the list is shown.
    #[arg(short, long, alias = "format", value_name = "FORMAT", default_value = "table")]
    pub(crate) output: ListingOutput,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListingOutput {
    /// One a line.
    Table,
    /// The `data` of Prometheus's HTTP API.
    Json,
    /// With a header; labels in columns.
    Csv,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  sonde query explain 'sum by (job) (rate(http_requests_total[5m]))'
      How many series and samples each part gave and read, and how long it took.
  sonde query explain --range 1d 'topk(5, rate(http_requests_total[5m]))'
      The same of a range. TIME is with all that lies below, SELF without.";

/// Say what a query reads, and where its time goes.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The PromQL expression.
    #[arg(value_name = "EXPR")]
    pub(crate) expr: String,

    /// Ask for all values in this much time up to now (or up to --time), as 30m, 6h or 7d.
    #[arg(long, value_name = "DURATION")]
    pub(crate) range: Option<String>,

    /// Time between two values of a range; by default as much as gives about 100 of them.
    #[arg(long, value_name = "DURATION", requires = "range")]
    pub(crate) step: Option<String>,

    /// Ask for a time other than now: RFC 3339, seconds since 1970, or a duration that looks back.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,

    /// How the answer is shown.
    #[arg(short, long, alias = "format", value_name = "FORMAT", default_value = "table")]
    pub(crate) output: ExplainOutput,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How an explanation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainOutput {
    /// A tree for people.
    Table,
    /// The `stats` of the HTTP API.
    Json,
}

/// Ask one question after the other, with completion and history.
#[derive(Args, Debug)]
pub(crate) struct ReplArgs {
    /// Where what was asked is remembered; by default sonde/query_history in XDG_STATE_HOME, or in ~/.local/state.
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

const EXEMPLAR_EXAMPLES: &str = "\
Examples:
  sonde query exemplars traces_spanmetrics_latency_bucket
      Requests of the last hour, one for each bucket they fell into, with the ids of their traces.
  sonde query exemplars --range 1d 'histogram_quantile(0.99, rate(http_request_duration_seconds_bucket[5m]))'
      Every selector in the expression counts; what is computed of it does not.
  sonde query exemplars -o json up | jq -r '.[].exemplars[].labels.trace_id'
      Trace ids, for `sonde trace`.";

/// Ask for exemplars: single observations, with what leads to their traces.
#[derive(Args, Debug)]
#[command(after_help = EXEMPLAR_EXAMPLES)]
pub(crate) struct ExemplarArgs {
    /// A PromQL expression; exemplars of every series that it selects are shown.
    #[arg(value_name = "EXPR")]
    pub(crate) expr: String,

    /// How far back from now (or from --time) to look.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) range: String,

    /// Ask for the time before a time other than now: RFC 3339, seconds since 1970, or a duration that looks back.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,

    /// How the answer is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: ExemplarOutput,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How exemplars are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExemplarOutput {
    /// Columns for people, a line an exemplar.
    Table,
    /// The `data` of Prometheus's HTTP API.
    Json,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// Lines drawn in the terminal; for ranges.
    Chart,
    /// The `data` of Prometheus's HTTP API.
    Json,
    /// One line a sample, labels in columns.
    Csv,
}
