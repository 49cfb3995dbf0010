//! The command line of `sonde certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  sonde certs init tls
      An authority of your own, in the folder tls.
  sonde certs create --ca tls --host collector.example.org --host 10.0.0.5
      The certificate of a collector, under all names by which it is called.
  sonde certs create --ca tls --client web-1
      The certificate of the agent on web-1, or of a person or program.

docs/deploy.md leads through it, and says how to replace certificates and the authority while everything runs.";

/// Make certificates of your own authority, for TLS between agents and collector.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertsArgs {
    #[command(subcommand)]
    pub(super) command: CertsCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertsCommand {
    /// Make a private authority.
    Init(InitArgs),
    /// Make a certificate of the authority, and its private key.
    Create(CreateArgs),
}

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// The folder for ca.pem and ca.key. Nothing in it is written over.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,

    /// The name of the authority.
    #[arg(long, default_value = "Sonde private authority")]
    pub(super) name: String,

    /// How many days it holds.
    #[arg(long, default_value_t = 3_650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(super) days: u32,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// The folder of the authority.
    #[arg(long, value_name = "DIR")]
    pub(super) ca: PathBuf,

    /// A DNS name or an address by which clients call the server; may be given several times.
    #[arg(long, value_name = "HOST", required_unless_present = "client", conflicts_with = "client")]
    pub(super) host: Vec<String>,

    /// The name of a client.
    #[arg(long, value_name = "NAME")]
    pub(super) client: Option<String>,

    /// How many days it holds.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(super) days: u32,

    /// The folder for the files; by default that of the authority. Nothing in it is written over.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}
