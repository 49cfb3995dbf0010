//! `sonde agent`: the daemon of a host alone.

use crate::args::AgentArgs;
use crate::problem::Problem;

pub(crate) fn run(args: &AgentArgs) -> Result<(), Problem> {
    // The causes of the error, outermost first.
    sonde_agent::command::run(&args.flags).map_err(|error| Problem::new(format!("{error:#}")))
}
