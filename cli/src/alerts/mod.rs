//! `sonde alerts`: what fires, what happened, and who would be told.

mod args;
mod route;
mod table;

use serde_json::Value;
use sonde_runtime::Clock;

pub(crate) use args::AlertsArgs;

use crate::client::{Ask, Client, ServerArgs, encode};
use crate::print;
use crate::problem::Problem;
use crate::query::duration;
use args::{AlertsCommand, HistoryArgs, ListArgs, Output};

pub(crate) fn run(args: &AlertsArgs) -> Result<(), Problem> {
    match &args.command {
        None => list(&args.list),
        Some(AlertsCommand::History(args)) => history(args),
        Some(AlertsCommand::Route(args)) => route::run(args),
    }
}

fn list(args: &ListArgs) -> Result<(), Problem> {
    let data = ask(&args.server, "/api/v1/alerts")?;
    print(&match args.output {
        Output::Json => format!("{data:#}\n"),
        Output::Table => table::alerts(&data),
    })
}

fn history(args: &HistoryArgs) -> Result<(), Problem> {
    let mut path = format!("/api/v1/alerts/history?limit={}", args.limit);
    if let Some(range) = &args.range {
        let range = i64::try_from(duration("--range", range)?.as_millis()).unwrap_or(i64::MAX / 4);
        path += &format!("&start={:.3}", (Clock::system().now_ms() - range) as f64 / 1e3);
    }
    if let Some(matchers) = &args.matchers {
        let is_name = matchers.chars().all(|c| c.is_alphanumeric() || "_-. ".contains(c));
        let selector = match (is_name, matchers.starts_with('{')) {
            (true, _) => format!("{{alertname={matchers:?}}}"),
            (_, true) => matchers.clone(),
            _ => format!("{{{matchers}}}"),
        };
        path += &format!("&match[]={}", encode(&selector));
    }
    let data = ask(&args.server, &path)?;
    print(&match args.output {
        Output::Json => format!("{data:#}\n"),
        Output::Table => table::history(&data),
    })
}

/// The `data` of an answer.
fn ask(server: &ServerArgs, path: &str) -> Result<Value, Problem> {
    let client = Client::new(server)?;
    let answer = client.ask(path, Ask::Get { accept: "application/json" })?;
    let mut json: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| Problem::new(format!("{} answered {}: {}", client.base(), answer.status, answer.words())))?;
    if json["status"] != "success" {
        return Err(Problem::new(format!("{} answered: {}", client.base(), json["error"].as_str().unwrap_or("?"))));
    }
    Ok(json["data"].take())
}
