//! The command line of `sonde silence`, and the help that teaches it.

use clap::{Args, Subcommand, ValueEnum};

use crate::client::ServerArgs;

const EXAMPLES: &str = "\
Examples:
  sonde silence add HostDiskFillsUp instance=web-1 --duration 2h --comment 'disk is being replaced'
      Nobody is told of these alerts for two hours. A word without an operator is the name of the alert.
  sonde silence add 'instance=~\"web-[0-9]+\"' --start 2026-11-21T22:00:00Z --duration 4h --comment maintenance
      Later. Matchers are written as in Alertmanager: =, !=, =~, !~. Quote them: the shell knows these signs, too.
  sonde silence list
      What is silenced now or will be. --all shows what was, too.
  sonde silence update ID --duration 6h
      Until six hours from now.
  sonde silence expire ID
      Not any more.

Any server that speaks Alertmanager's API v2 can be asked: --url http://alertmanager.example.org:9093";

/// Keep alerts quiet for a time: they fire, but nobody is told.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SilenceArgs {
    #[command(subcommand)]
    pub(super) command: SilenceCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SilenceCommand {
    /// Make a silence and print its id.
    Add(AddArgs),
    /// Show silences: those that are active, then those to come.
    List(ListArgs),
    /// Show one silence with everything that it says.
    Show(ShowArgs),
    /// End silences now.
    Expire(ExpireArgs),
    /// Change silences and print their ids. Other matchers, or another start of one that is active, make a new silence.
    Update(UpdateArgs),
}

/// Make a silence and print its id.
#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// Which alerts: all matchers must hold, as alertname=High or 'host=~"web.*"'.
    #[arg(value_name = "MATCHER", required = true)]
    pub(super) matchers: Vec<String>,

    /// Why; it is kept with the silence.
    #[arg(short, long, value_name = "TEXT")]
    pub(super) comment: String,

    /// Who says so; by default the user of this shell.
    #[arg(short, long, value_name = "NAME", env = "USER", default_value = "sonde")]
    pub(super) author: String,

    #[command(flatten)]
    pub(super) times: Times,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// From when and until when.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Times {
    /// From when: RFC 3339, or how long from now. By default now.
    #[arg(long, value_name = "TIME")]
    pub(super) start: Option<String>,

    /// Until when: RFC 3339, or how long from now.
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    pub(super) end: Option<String>,

    /// For how long from its start, as 30m, 2h or 7d; 1h where nothing is said.
    #[arg(short, long, value_name = "DURATION")]
    pub(super) duration: Option<String>,
}

/// Show silences: those that are active, then those to come.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only silences that have these matchers among theirs.
    #[arg(value_name = "MATCHER")]
    pub(super) matchers: Vec<String>,

    /// Those that have expired, too.
    #[arg(long)]
    pub(super) all: bool,

    /// How they are shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Output,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Show one silence with everything that it says.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Its id.
    #[arg(value_name = "ID")]
    pub(super) id: String,

    /// How it is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Output,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// End silences now.
#[derive(Args, Debug)]
pub(super) struct ExpireArgs {
    /// Their ids.
    #[arg(value_name = "ID", required = true)]
    pub(super) ids: Vec<String>,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// Change silences and print their ids.
#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    /// Their ids.
    #[arg(value_name = "ID", required = true)]
    pub(super) ids: Vec<String>,

    /// Other matchers than before; may come several times.
    #[arg(short, long = "matcher", value_name = "MATCHER")]
    pub(super) matchers: Vec<String>,

    /// Another reason than before.
    #[arg(short, long, value_name = "TEXT")]
    pub(super) comment: Option<String>,

    /// Another author than before.
    #[arg(short, long, value_name = "NAME")]
    pub(super) author: Option<String>,

    /// From when: RFC 3339, or how long from now.
    #[arg(long, value_name = "TIME")]
    pub(super) start: Option<String>,

    /// Until when: RFC 3339, or how long from now.
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    pub(super) end: Option<String>,

    /// For how long from now, or from its start where that is yet to come.
    #[arg(short, long, value_name = "DURATION")]
    pub(super) duration: Option<String>,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// How silences are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns for people.
    Table,
    /// As Alertmanager's API has them.
    Json,
}
