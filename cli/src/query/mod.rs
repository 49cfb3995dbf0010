//! `sonde query`: asks a server and shows the answer.

mod answer;
mod chart;
mod client;
mod csv;
mod exemplars;
mod table;
mod time;

use sonde_runtime::Clock;

pub(crate) use chart::terminal_width;
pub(crate) use table::columns;
pub(crate) use time::duration;

use crate::args::{Output, QueryArgs, QueryCommand};
use crate::client::Client;
use crate::print;
use crate::problem::Problem;
use answer::Answer;
use client::Request;

/// Points of a range that a chart can show.
const POINTS: i64 = 100;

pub(crate) fn run(args: &QueryArgs) -> Result<(), Problem> {
    if let Some(QueryCommand::Exemplars(args)) = &args.command {
        return exemplars::run(args, &Clock::system());
    }
    let expr = args.expr.as_deref().unwrap_or_default();
    check_expression(expr)?;
    let request = request(args, expr, &Clock::system())?;
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

/// Finds mistakes before anybody is asked, and points at them.
fn check_expression(expr: &str) -> Result<(), Problem> {
    let Err(error) = sonde_promql::parse(expr) else { return Ok(()) };
    let problem = Problem::new(format!("the expression is not PromQL: {}", error.message));
    let Some(line) = expr.lines().nth(error.line.saturating_sub(1) as usize).filter(|_| error.line > 0) else {
        return Err(problem.hint("Write one, as `sonde query up`; `sonde query --help` has examples."));
    };
    // Columns count bytes; people count characters.
    let before = line.get(..error.column.saturating_sub(1) as usize).unwrap_or(line).chars().count();
    Err(problem.hint(format!("  {line}\n  {}^", " ".repeat(before))))
}

fn request(args: &QueryArgs, expr: &str, clock: &Clock) -> Result<Request, Problem> {
    let now = clock.now_ms();
    let at = args.time.as_deref().map(|text| time::instant(text, now)).transpose()?;
    let expr = expr.to_owned();
    let Some(range) = &args.range else { return Ok(Request { expr, at, range: None }) };
    let range_ms = time::duration_ms("--range", range)?;
    let step_ms = match &args.step {
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
