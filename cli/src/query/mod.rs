//! `sonde query`: asks a server and shows the answer.

mod answer;
mod args;
mod chart;
mod client;
mod csv;
mod exemplars;
mod explain;
mod listing;
mod mistakes;
mod repl;
mod table;
mod time;

use sonde_runtime::Clock;

pub(crate) use args::QueryArgs;
pub(crate) use chart::terminal_width;
pub(crate) use table::columns;
pub(crate) use time::{duration, instant, show as show_time};

use crate::client::Client;
use crate::print;
use crate::problem::Problem;
use answer::Answer;
use args::{Output, QueryCommand};
use client::Request;
use mistakes::check_expression;

/// Points of a range that a chart can show.
const POINTS: i64 = 100;

pub(crate) fn run(args: &QueryArgs) -> Result<(), Problem> {
    let clock = Clock::system();
    match &args.command {
        None => {}
        Some(QueryCommand::Exemplars(args)) => return exemplars::run(args, &clock),
        Some(QueryCommand::Series(args)) => return listing::series(args, &clock),
        Some(QueryCommand::Labels(args)) => return listing::labels(args, &clock),
        Some(QueryCommand::Values(args)) => return listing::values(args, &clock),
        Some(QueryCommand::Explain(args)) => return explain::run(args, &clock),
        Some(QueryCommand::Repl(args)) => return repl::run(args, &clock),
    }
    let expr = args.expr.as_deref().unwrap_or_default();
    check_expression(expr)?;
    let request = request_of(expr, args.range.as_deref(), args.step.as_deref(), args.time.as_deref(), &clock)?;
    let output = args.output.unwrap_or(if args.range.is_some() { Output::Chart } else { Output::Table });
    if output == Output::Chart && args.range.is_none() {
        return Err(Problem::new("a chart needs a range").hint("Add one, as --range 1h, or ask for a table: -o table"));
    }
    let reply = client::ask(&Client::new(&args.server)?, &request)?;
    for warning in &reply.warnings {
        crate::warn(warning);
    }
    if output == Output::Json {
        return print(&format!("{:#}\n", reply.data));
    }
    let answer = Answer::read(&reply.data)?;
    print(&match output {
        Output::Csv => csv::draw(&answer),
        Output::Chart => chart::draw(&answer, &request, terminal_width()),
        Output::Table | Output::Json => table::draw(&answer),
    })
}

/// A question: of one instant, or of a range.
fn request_of(
    expr: &str,
    range: Option<&str>,
    step: Option<&str>,
    time: Option<&str>,
    clock: &Clock,
) -> Result<Request, Problem> {
    let now = clock.now_ms();
    let at = time.map(|text| time::instant("--time", text, now)).transpose()?;
    let expr = expr.to_owned();
    let Some(range) = range else { return Ok(Request { expr, at, range: None }) };
    let range_ms = time::duration_ms("--range", range)?;
    let step_ms = match step {
        Some(step) => time::duration_ms("--step", step)?,
        None => (range_ms / POINTS).max(1_000),
    };
    // Points at multiples of the step, so that asking again shows the same ones.
    let end = at.unwrap_or(now).div_euclid(step_ms) * step_ms;
    let start = (end - range_ms).div_euclid(step_ms) * step_ms;
    Ok(Request { expr, at: None, range: Some(client::Range { start, end, step: step_ms }) })
}

#[cfg(test)]
mod tests;
