//! The command line, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sonde_runtime::LogFormat;

use crate::alerts::AlertsArgs;
use crate::certs::CertsArgs;
use crate::client::ServerArgs;
use crate::query::QueryArgs;
use crate::silence::SilenceArgs;
use crate::tsdb::TsdbArgs;

const EXAMPLES: &str = "\
Examples:
  sonde up                                   measure this host, store it, answer
  sonde query 'system_cpu_load_average_1m'   ask
  sonde query --range 1h 'rate(system_network_io_bytes_total[5m])'
                                             ask for the last hour, drawn in the terminal
  sonde trace 4bf92f3577b34da6a3ce929d0e0e4736
                                             one trace as a waterfall
  sonde silence add HighLoad host=web-1 --duration 2h --comment 'load test'
                                             keep an alert quiet for a time
  sonde check rules alert-rules/*.yml        look for mistakes in rule files

Exit codes: 0 it worked, 1 it did not and stderr says why, 2 the command line was not understood.";

/// Metrics, traces and alerts of hosts and services in one program.
#[derive(Debug, Parser)]
#[command(name = "sonde", version, after_help = EXAMPLES, max_term_width = 110, disable_help_subcommand = true)]
pub(crate) struct Sonde {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything for this host: collector and agent in one process.
    Up(UpArgs),
    /// Run the server: takes metrics and spans, stores them, answers queries, evaluates rules, notifies.
    Collector(CollectorArgs),
    /// Run the daemon of a host: measures it, takes OTLP, scrapes, ships to a collector.
    Agent(AgentArgs),
    /// Ask a collector a PromQL question and show the answer.
    Query(QueryArgs),
    /// Show one trace: who called whom, when, and how long it took.
    Trace(TraceArgs),
    /// Show alerts, what happened to them, and who would be told.
    Alerts(AlertsArgs),
    /// Keep alerts quiet for a time: they fire, but nobody is told.
    Silence(SilenceArgs),
    /// Make, list and revoke the tokens of a collector.
    Token(TokenArgs),
    /// Look into the metrics store, take data out of it and put data into it.
    Tsdb(TsdbArgs),
    /// Look for mistakes in configuration and rule files, without starting anything.
    Check(CheckArgs),
    /// Make certificates of your own authority, for TLS between agents and collector.
    Certs(CertsArgs),
}

const UP_EXAMPLES: &str = "\
Examples:
  sonde up
      Data in ./sonde-data, page and API on http://127.0.0.1:9090, OTLP on ports 4317 and 4318.
  sonde up --data-dir /var/lib/sonde --listen 127.0.0.1:9091
      Another place and another port, as where a Prometheus runs already.
  sonde up --config sonde.yml
      With rules and webhooks; docs/config-collector.md has all keys. Reload with SIGHUP or POST /-/reload.

Then, in another terminal:
  sonde query 'system_cpu_load_average_1m'

Ctrl-C stops in order and loses nothing.";

/// Start everything for this host: collector and agent in one process.
///
/// The agent measures this host and sends to the collector beside it. Alerting rules for hosts are loaded from the start;
/// a configuration says where alerts go.
#[derive(Args, Debug)]
#[command(after_help = UP_EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) collector: sonde_collector::Flags,

    /// Configuration of the agent (YAML): which host metrics, what to scrape. Without it every key has its default.
    #[arg(long, value_name = "FILE", env = "SONDE_AGENT_CONFIG")]
    pub(crate) agent_config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

const COLLECTOR_EXAMPLES: &str = "\
Examples:
  sonde collector --data-dir /var/lib/sonde --config /etc/sonde/collector.yml
      A server for many hosts; docs/config-collector.md has all keys.
  sonde collector --config /etc/sonde/collector.yml --listen 0.0.0.0:9090 --otlp-grpc-listen 0.0.0.0:4317
      Reachable by other machines: everybody is asked for a token (`sonde token`) or a certificate. Without `tls` in the
      configuration tokens can be read on their way; `sonde certs` makes the certificates.
  sonde collector --otlp-http-listen off
      OTLP over HTTP on the main port only.

SIGHUP or POST /-/reload reads the configuration and the rule files again. SIGTERM and Ctrl-C stop in order.";

/// Run the server: takes metrics and spans, stores them, answers queries, evaluates rules, notifies.
#[derive(Args, Debug)]
#[command(after_help = COLLECTOR_EXAMPLES)]
pub(crate) struct CollectorArgs {
    #[command(flatten)]
    pub(crate) collector: sonde_collector::Flags,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

const AGENT_EXAMPLES: &str = "\
Examples:
  sonde agent --collector https://collector.example.org:4317
      Ships this host's metrics there. What cannot be sent waits on disk.
  sonde agent --config /etc/sonde/agent.yml
      With what to scrape, which host metrics, how much may wait; docs/config-agent.md has all keys.

SIGHUP reads the configuration again. SIGTERM and Ctrl-C send what they can in time and leave the rest on disk.";

/// Run the daemon of a host: measures it, takes OTLP, scrapes, ships to a collector.
#[derive(Args, Debug)]
#[command(after_help = AGENT_EXAMPLES)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) flags: sonde_agent::flags::Flags,
}

/// What the process says about itself, on stderr.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// How log lines look: human or json.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level, or a list as in info,sonde_collector=debug.
    #[arg(long, value_name = "FILTER", env = "SONDE_LOG", default_value = "info")]
    pub(crate) log: String,
}

const TRACE_EXAMPLES: &str = "\
Examples:
  sonde trace 4bf92f3577b34da6a3ce929d0e0e4736
      A line a span: service, name, when it ran, how long; ! marks errors.
  sonde trace --attributes 4bf92f3577b34da6a3ce929d0e0e4736
      With the attributes and the events of each span.
  sonde trace --url http://tempo.example.org:3200 4bf92f3577b34da6a3ce929d0e0e4736
      Any server that speaks Tempo's HTTP API can be asked.";

/// Show one trace: who called whom, when, and how long it took.
#[derive(Args, Debug)]
#[command(after_help = TRACE_EXAMPLES)]
pub(crate) struct TraceArgs {
    /// The trace id, in hexadecimal digits.
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// List the attributes and the events of each span.
    #[arg(short, long)]
    pub(crate) attributes: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

const TOKEN_EXAMPLES: &str = "\
Examples:
  sonde token create --role admin --name anna > ~/.sonde-token
      The first one, on the machine of the collector and in the folder where it was started. From then on everybody is asked
      for a token: SONDE_TOKEN_FILE=~/.sonde-token sonde query up
  sonde token create --data-dir /var/lib/sonde-collector --role read --name grafana
      With the right of whoever can read the data directory of a collector that runs.
  sonde token create --role enrol --name rack-7 --uses 20 --expires 1d
      For 20 agents: each exchanges it for a token of its own.
  sonde token revoke grafana
      At once; an id will do, too.

ingest may send, read may ask, admin may do everything. The collector keeps only a hash: a lost token is made anew.";

/// Make, list and revoke the tokens of a collector.
///
/// It asks as an admin: with --token-file or SONDE_TOKEN, or else with the file admin.token that every collector that runs keeps
/// in its data directory.
#[derive(Args, Debug)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token and print it, this once.
    Create {
        /// What it allows: ingest, read, admin or enrol.
        #[arg(long, value_name = "ROLE")]
        role: sonde_collector::auth::Role,
        /// What people call it.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// How long it lives, as 1h or 30d. Without it a token has no end, but for one for enrolment, which has an hour.
        #[arg(long, value_name = "DURATION", alias = "ttl")]
        expires: Option<String>,
        /// How many agents it enrols, for the role enrol; 1 without it.
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        #[command(flatten)]
        server: TokenServer,
    },
    /// List all tokens, those of enrolled agents too.
    List {
        #[command(flatten)]
        server: TokenServer,
    },
    /// Make a token void, at once.
    Revoke {
        /// Its id, or its name where no other has the same.
        #[arg(value_name = "ID|NAME")]
        token: String,
        #[command(flatten)]
        server: TokenServer,
    },
}

/// Which collector is asked, and with what right.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenServer {
    /// Data directory of a collector that runs: its admin.token is used, and the address in it, unless --url names another.
    #[arg(long, value_name = "DIR", env = "SONDE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  sonde check rules alert-rules/*.yml
      Rule files in Prometheus format: keys, names, expressions and templates.
  sonde check config sonde.yml
      The configuration of a collector, with the rule files that it names, or of an agent.
  cat rules.yml | sonde check rules -
      From a pipe.

Every mistake is printed with its file and line. Nothing is started and nothing is changed.";

/// Look for mistakes in configuration and rule files, without starting anything.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    #[command(subcommand)]
    pub(crate) what: CheckWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckWhat {
    /// Rule files in Prometheus format.
    Rules {
        /// The files; `-` is standard input.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Configuration files of a collector or of an agent.
    Config {
        /// Which program the files are for; by default their keys tell.
        #[arg(long = "for", value_name = "PROGRAM")]
        program: Option<Program>,
        /// The files; `-` is standard input.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// The programs that have a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// `sonde collector` and `sonde up --config`.
    Collector,
    /// `sonde agent` and `sonde up --agent-config`.
    Agent,
}
