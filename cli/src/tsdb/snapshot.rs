//! `sonde tsdb snapshot`: asks a collector for a copy of its metrics store.

use serde::Deserialize;

use super::args::SnapshotArgs;
use crate::client::Ask;
use crate::print;
use crate::problem::Problem;
use crate::token;

const PATH: &str = "/api/v1/admin/tsdb/snapshot";

#[derive(Debug, Deserialize)]
struct Body {
    data: Made,
}

#[derive(Debug, Deserialize)]
struct Made {
    name: String,
    /// The directory of the copy, on the machine of the collector.
    #[serde(default)]
    directory: String,
}

pub(super) fn run(args: &SnapshotArgs) -> Result<(), Problem> {
    let client = token::connect(&args.server)?;
    let answer = client.ask(PATH, Ask::Form(""))?;
    let told = || Problem::new(format!("{} answered {}: {}", client.base(), answer.status, answer.words()));
    if answer.status != 200 {
        return Err(told());
    }
    let Body { data } = serde_json::from_slice(&answer.body).map_err(|_| told())?;
    print(&format!("{}\n", if data.directory.is_empty() { data.name } else { data.directory }))
}
