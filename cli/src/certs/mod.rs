//! `sonde certs`: a private authority and the certificates of it, so that a team is safe in an afternoon.

mod args;
mod files;

use std::path::Path;

use sonde_runtime::Clock;
use sonde_tls::{Authority, IssueError, PemPair, Purpose};

pub(crate) use args::CertsArgs;
use args::{CertsCommand, CreateArgs, InitArgs};

use crate::print;
use crate::problem::Problem;
use crate::process::problem;

/// The authority in its folder: `ca.pem` and `ca.key`.
const AUTHORITY: &str = "ca";

pub(crate) fn run(args: &CertsArgs) -> Result<(), Problem> {
    let now_s = Clock::system().now_ms().div_euclid(1_000);
    match &args.command {
        CertsCommand::Init(args) => init(args, now_s),
        CertsCommand::Create(args) => create(args, now_s),
    }
}

fn init(args: &InitArgs, now_s: i64) -> Result<(), Problem> {
    let authority = Authority::create(&args.name, args.days, now_s).map_err(|e| problem(&e))?;
    files::create_folder(&args.folder)?;
    files::write_pair(&args.folder, AUTHORITY, authority.pair())?;
    let folder = args.folder.display();
    print(&format!(
        "{folder}/ca.pem  the authority, for everyone: `ca_file` and `client_ca_file`\n\
         {folder}/ca.key  its private key: whoever has it makes certificates; keep it off the machines that serve\n\n\
         Next:  sonde certs create --ca {folder} --host NAME-OF-THE-COLLECTOR\n"
    ))
}

fn create(args: &CreateArgs, now_s: i64) -> Result<(), Problem> {
    let authority = read_authority(&args.ca)?;
    let (name, purpose) = match &args.client {
        Some(name) => (name.as_str(), Purpose::Client { name: name.clone() }),
        None => (args.host.first().map_or("", String::as_str), Purpose::Server { hosts: args.host.clone() }),
    };
    let pair = authority.issue(&purpose, args.days, now_s).map_err(|e| problem(&e))?;
    let folder = args.out.as_deref().unwrap_or(&args.ca);
    files::create_folder(folder)?;
    let file = name.replace("*.", "wildcard.");
    files::write_pair(folder, &file, &pair)?;
    // Configurations take paths relative to themselves: whole ones can be copied anywhere.
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let (folder, ca) = (whole(folder), whole(&args.ca));
    print(&match purpose {
        Purpose::Server { .. } => format!(
            "For the configuration of the collector:\n\n\
             tls:\n  cert_file: {folder}/{file}.pem\n  key_file: {folder}/{file}.key\n  \
             client_ca_file: {ca}/ca.pem\n  client_auth: optional\n"
        ),
        Purpose::Client { .. } => format!(
            "For the configuration of the agent:\n\n\
             collector:\n  endpoint: https://NAME-OF-THE-COLLECTOR:4317\n  tls:\n    ca_file: {ca}/ca.pem\n    \
             cert_file: {folder}/{file}.pem\n    key_file: {folder}/{file}.key\n"
        ),
    })
}

fn read_authority(folder: &Path) -> Result<Authority, Problem> {
    let pair =
        PemPair { key: files::read(folder, AUTHORITY, "key")?, certificate: files::read(folder, AUTHORITY, "pem")? };
    Authority::read(pair).map_err(|error: IssueError| Problem::new(format!("{}: {error}", folder.display())))
}
