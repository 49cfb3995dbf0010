//! `sonde trace`: asks a collector for one trace and draws its waterfall.

mod client;
mod waterfall;

use sonde_model::span::TraceId;

use crate::args::TraceArgs;
use crate::client::Client;
use crate::print;
use crate::problem::Problem;
use crate::query::terminal_width;

pub(crate) fn run(args: &TraceArgs) -> Result<(), Problem> {
    let id: TraceId = args.id.trim().parse().map_err(|_| {
        Problem::new(format!("{:?} is no trace id", args.id))
            .hint("It is up to 32 hexadecimal digits, as 4bf92f3577b34da6a3ce929d0e0e4736.")
    })?;
    let client = Client::new(&args.server)?;
    let Some(spans) = client::ask(&client, id)? else {
        return Err(Problem::new(format!("there is no trace {id} in {}", client.base()))
            .hint("It may not have arrived yet, or be older than traces.retention."));
    };
    print(&waterfall::draw(&spans, &waterfall::Look { width: terminal_width(), attributes: args.attributes }))
}
