//! `sonde alerts route`: who would be told of an alert, by the configuration alone.

use sonde_alerting::{GroupBy, Route};
use sonde_collector::notify::Setup;
use sonde_model::Labels;
use sonde_runtime::Clock;

use super::args::RouteArgs;
use crate::print;
use crate::problem::Problem;

pub(super) fn run(args: &RouteArgs) -> Result<(), Problem> {
    let config = sonde_collector::Config::load(&args.config).map_err(|e| Problem::new(e.to_string()))?;
    let setup = Setup::new(&config.notify, "").map_err(|e| Problem::new(e.to_string()))?;
    let labels = read_labels(&args.labels)?;
    let now = Clock::system().now_ms();
    let mut text = String::new();
    for route in setup.plan.routes_for(&labels) {
        text += &describe(route, &labels);
        if let Some(names) = setup.plan.muted_by(route, now) {
            text += &format!(", but nobody is told now: {}", names.join(", "));
        }
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("nobody: notify names neither a route nor a webhook\n");
    }
    print(&text)
}

fn describe(route: &Route, labels: &Labels) -> String {
    let group = match &route.group_by {
        GroupBy::All => "each alert by itself".to_owned(),
        GroupBy::Labels(names) if names.is_empty() => "all alerts together".to_owned(),
        GroupBy::Labels(_) => format!("group {}", route.group_by.group_labels(labels)),
    };
    format!("{}  by route {}, {group}", route.receiver, route.key)
}

fn read_labels(texts: &[String]) -> Result<Labels, Problem> {
    let pair = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Problem::new(format!("{text:?} is no label")).hint("Write NAME=VALUE, as severity=page."))?;
        Ok((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    Ok(Labels::from_pairs(texts.iter().map(pair).collect::<Result<Vec<_>, Problem>>()?))
}
