//! The command line of `sonde tsdb`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::TokenServer;

const EXAMPLES: &str = "\
Examples:
  sonde tsdb inspect /var/lib/sonde
      What is in the store and what its bytes are for.
  sonde tsdb verify /var/lib/sonde
      Reads every byte; says which ranges are damaged and what is lost with them.
  sonde tsdb export /var/lib/sonde --match '{job=\"api\"}' --from 2026-11-01T00:00:00Z > api.om
      As OpenMetrics text.
  sonde tsdb import --data-dir /var/lib/sonde old.om.zst
      Samples of any age within the retention.
  sonde tsdb snapshot
      A copy of the store of a collector that runs, to be looked at, exported or kept.

All but snapshot work on the data directory of a collector that does not run, or on a snapshot. docs/tsdb-tool.md says more.";

/// Look into the metrics store, take data out of it and put data into it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TsdbArgs {
    #[command(subcommand)]
    pub(crate) command: TsdbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TsdbCommand {
    /// Show what is in a store and what its bytes are for. Nothing is changed.
    Inspect(InspectArgs),
    /// Read every byte of a store and say what is damaged. Nothing is changed.
    Verify(VerifyArgs),
    /// Write samples as OpenMetrics text, as JSON lines or as Parquet.
    Export(ExportArgs),
    /// Put samples of OpenMetrics text, Prometheus text or JSON lines into a store.
    Import(ImportArgs),
    /// Make a copy of the store of a collector that runs.
    Snapshot(SnapshotArgs),
}

/// Which store.
#[derive(Args, Debug)]
pub(crate) struct StoreDir {
    /// Data directory of a collector that does not run, or a snapshot.
    #[arg(value_name = "DIR", env = "SONDE_DATA_DIR", default_value = sonde_collector::flags::DEFAULT_DATA_DIR)]
    pub(crate) dir: PathBuf,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  sonde tsdb inspect
      The store in ./sonde-data.
  sonde tsdb inspect /var/lib/sonde --top 50
      With the 50 metrics that take most.
  sonde tsdb inspect sonde-data/snapshots/20261120T093000.000Z-0123456789abcdef -o json | jq '.blocks[].sections'
      A snapshot, as JSON.";

/// Show what is in a store and what its bytes are for. Nothing is changed.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) store: StoreDir,

    /// How many metrics to list, the largest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,

    /// How the answer is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  sonde tsdb verify /var/lib/sonde
      Every damaged range with what is lost, and what is worth knowing.
  sonde tsdb verify /backup/sonde && echo good
      In a script.

Exit codes: 0 every byte is as it was written, 3 something is damaged, 1 the store could not be read, 2 the command line was not
understood.";

/// Read every byte of a store and say what is damaged. Nothing is changed.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreDir,

    /// How the answer is shown.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  sonde tsdb export /var/lib/sonde > all.om
      Everything, as OpenMetrics text; `promtool tsdb create-blocks-from openmetrics` reads it, too.
  sonde tsdb export /var/lib/sonde --match 'up' --match '{job=~\"node.*\"}' --from 7d -o week.om.zst
      Two selections of the last week, compressed by the ending of the name.
  sonde tsdb export /var/lib/sonde --format jsonl -o all.jsonl.gz
      The lines that VictoriaMetrics exports and imports.
  sonde tsdb export /var/lib/sonde --format parquet -o all.parquet
      For DuckDB and pandas; only in a sonde that was built with `--features parquet`.

The store is opened as a collector would open it; take a snapshot first where one runs.";

/// Write samples as OpenMetrics text, as JSON lines or as Parquet.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) store: StoreDir,

    /// What to write.
    #[arg(long, value_name = "FORMAT", default_value = "openmetrics")]
    pub(crate) format: ExportFormat,

    /// Only series of this selector; may be given several times. Without it, all.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,

    /// Only samples from this time on: RFC 3339, seconds since 1970, or a duration that looks back.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,

    /// Only samples up to this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,

    /// Where to; `-` is standard output. The file must not be there.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,

    /// How it is compressed; by default as the name of the file ends: .gz, .zst, or not at all. Parquet is compressed
    /// inside: with zstd by default.
    #[arg(long, value_name = "KIND")]
    pub(crate) compression: Option<Compression>,

    /// Write stale markers, too, as `StaleNaN`: sonde reads it, others do not.
    #[arg(long)]
    pub(crate) stale_markers: bool,

    /// Write start timestamps into OpenMetrics, too, as `st@SECONDS`: sonde reads it, others do not yet. The other formats
    /// have them always.
    #[arg(long)]
    pub(crate) start_timestamps: bool,
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// OpenMetrics 1.0 text, series by series; native histograms as composite values.
    Openmetrics,
    /// A JSON object a line, as VictoriaMetrics exports: metric, values, timestamps.
    Jsonl,
    /// Apache Parquet, a row a sample; this sonde has to be built with `--features parquet`.
    Parquet,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  sonde tsdb import --data-dir /var/lib/sonde old.om
      OpenMetrics text with a timestamp at every sample, as `sonde tsdb export` or `promtool tsdb dump-openmetrics` write it.
  sonde tsdb import --data-dir /var/lib/sonde --config /etc/sonde/collector.yml year.jsonl.gz
      JSON lines, with the retention and the limits of a configuration.
  sonde tsdb import --data-dir /var/lib/sonde --label site=lab --format prometheus page.txt
      With a label added to every series; Prometheus text has timestamps in milliseconds.
  zcat *.om.gz | sonde tsdb import --data-dir /var/lib/sonde -
      From a pipe.

Samples may be of any age within the retention. What the store has for the same series and time is replaced. To import into a
collector that runs, send to its /api/v1/backfill/prometheus: docs/tsdb-tool.md.";

/// Put samples of OpenMetrics text, Prometheus text or JSON lines into a store.
#[derive(Args, Debug)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// The files, in their order; `-` is standard input. Compression with gzip or zstd is noticed.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Data directory of a collector that does not run; made if it is not there.
    #[arg(long, value_name = "DIR", env = "SONDE_DATA_DIR", default_value = sonde_collector::flags::DEFAULT_DATA_DIR)]
    pub(crate) data_dir: PathBuf,

    /// Configuration of the collector (YAML), for its retention and limits. Without it every key has its default.
    #[arg(long, value_name = "FILE", env = "SONDE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// What the files hold; by default JSON lines if they begin as such, otherwise OpenMetrics.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ImportFormat>,

    /// A label that every series gets; one of the file with this name is replaced.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
}

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// OpenMetrics text: timestamps in seconds.
    Openmetrics,
    /// Prometheus text: timestamps in milliseconds.
    Prometheus,
    /// A JSON object a line.
    Jsonl,
}

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  sonde tsdb snapshot
      Asks the collector on this machine and prints the directory of the copy.
  sonde tsdb verify \"$(sonde tsdb snapshot)\"
      Looks at the copy.
  sonde tsdb snapshot --url https://collector.example.org:9090 --token-file ~/.sonde-token
      Asks another one; the directory is there.

The collector has to run with --enable-admin-api. A copy is made of links and takes no space until the store goes on without it.";

/// Make a copy of the store of a collector that runs.
#[derive(Args, Debug)]
#[command(after_help = SNAPSHOT_EXAMPLES)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    pub(crate) server: TokenServer,
}
