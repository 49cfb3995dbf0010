//! `sonde trace`: asks a collector for one trace and draws its waterfall.

mod client;
mod waterfall;

use sonde_model::span::TraceId;

use crate::args::TraceArgs;
use crate::print;
use crate::problem::Problem;
use crate::query::{duration, terminal_width};

pub(crate) fn run(args: &TraceArgs) -> Result<(), Problem> {
    let id: TraceId = args.id.trim().parse().map_err(|_| {
        Problem::new(format!("{:?} is no trace id", args.id))
            .hint("It is up to 32 hexadecimal digits, as 4bf92f3577b34da6a3ce929d0e0e4736.")
    })?;
    let Some(spans) = client::ask(&args.url, id, duration("--timeout", &args.timeout)?)? else {
        return Err(Problem::new(format!("there is no trace {id} in {}", args.url))
            .hint("It may not have arrived yet, or be older than traces.retention."));
    };
    print(&waterfall::draw(&spans, &waterfall::Look { width: terminal_width(), attributes: args.attributes }))
}
