//! `sonde silence`: makes, shows, changes and ends silences over Alertmanager's API v2.

mod args;
mod client;
mod table;
#[cfg(test)]
mod tests;
mod times;
mod wire;

use sonde_alerting::Matchers;
use sonde_model::TimestampMs;
use sonde_runtime::Clock;

pub(crate) use args::SilenceArgs;

use crate::client::Client;
use crate::print;
use crate::problem::Problem;
use args::{AddArgs, ExpireArgs, ListArgs, Output, ShowArgs, SilenceCommand, UpdateArgs};
use wire::Silence;

/// How long a silence lasts where nobody says.
const DEFAULT_DURATION_MS: i64 = 3_600_000;

pub(crate) fn run(args: &SilenceArgs) -> Result<(), Problem> {
    let now = Clock::system().now_ms();
    match &args.command {
        SilenceCommand::Add(args) => add(args, now),
        SilenceCommand::List(args) => list(args),
        SilenceCommand::Show(args) => show(args),
        SilenceCommand::Expire(args) => expire(args),
        SilenceCommand::Update(args) => update(args, now),
    }
}

fn add(args: &AddArgs, now: TimestampMs) -> Result<(), Problem> {
    let silence = new_silence(args, now)?;
    let id = client::post(&Client::new(&args.server)?, &silence)?;
    print(&format!("{id}\n"))
}

fn new_silence(args: &AddArgs, now: TimestampMs) -> Result<Silence, Problem> {
    let times = &args.times;
    let starts_at = times.start.as_deref().map(|text| times::instant("--start", text, now)).transpose()?.unwrap_or(now);
    let ends_at = match (&times.end, &times.duration) {
        (Some(end), _) => times::instant("--end", end, now)?,
        (None, Some(duration)) => starts_at + times::duration_ms("--duration", duration)?,
        (None, None) => starts_at + DEFAULT_DURATION_MS,
    };
    let (created_by, comment) = (args.author.clone(), args.comment.clone());
    let matchers = read_matchers(&args.matchers)?;
    Ok(Silence { id: None, state: None, matchers, starts_at, ends_at, created_by, comment })
}

fn list(args: &ListArgs) -> Result<(), Problem> {
    let filter = read_matchers(&args.matchers)?;
    let found = client::list(&Client::new(&args.server)?, &filter)?;
    let wanted = |silence: &&client::Found| args.all || silence.silence.state.as_deref() != Some("expired");
    let found: Vec<_> = found.iter().filter(wanted).collect();
    if args.output == Output::Json {
        let list: Vec<_> = found.iter().map(|silence| silence.json.clone()).collect();
        return print(&format!("{:#}\n", serde_json::Value::Array(list)));
    }
    let silences: Vec<&Silence> = found.iter().map(|found| &found.silence).collect();
    print(&table::many(&silences))
}

fn show(args: &ShowArgs) -> Result<(), Problem> {
    let found = client::one(&Client::new(&args.server)?, &args.id)?;
    print(&match args.output {
        Output::Json => format!("{:#}\n", found.json),
        Output::Table => table::one(&found.silence),
    })
}

fn expire(args: &ExpireArgs) -> Result<(), Problem> {
    let client = Client::new(&args.server)?;
    args.ids.iter().try_for_each(|id| client::expire(&client, id))
}

fn update(args: &UpdateArgs, now: TimestampMs) -> Result<(), Problem> {
    let client = Client::new(&args.server)?;
    for id in &args.ids {
        let old = client::one(&client, id)?.silence;
        let new = changed(old, args, now)?;
        print(&format!("{}\n", client::post(&client, &new)?))?;
    }
    Ok(())
}

/// What becomes of a silence.
fn changed(mut silence: Silence, args: &UpdateArgs, now: TimestampMs) -> Result<Silence, Problem> {
    if args.matchers.is_empty()
        && [&args.comment, &args.author, &args.start, &args.end, &args.duration].iter().all(|a| a.is_none())
    {
        return Err(Problem::new("nothing is to be changed")
            .hint("Say what: --duration, --end, --start, --comment, --author or --matcher."));
    }
    if !args.matchers.is_empty() {
        silence.matchers = read_matchers(&args.matchers)?;
    }
    if let Some(start) = &args.start {
        silence.starts_at = times::instant("--start", start, now)?;
    }
    if let Some(end) = &args.end {
        silence.ends_at = times::instant("--end", end, now)?;
    }
    if let Some(duration) = &args.duration {
        silence.ends_at = silence.starts_at.max(now) + times::duration_ms("--duration", duration)?;
    }
    silence.comment = args.comment.clone().unwrap_or(silence.comment);
    silence.created_by = args.author.clone().unwrap_or(silence.created_by);
    Ok(silence)
}

/// Matchers as they are written on a command line: the first may be no more than the name of an alert.
fn read_matchers(texts: &[String]) -> Result<Matchers, Problem> {
    let mut matchers = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let is_name = i == 0 && !text.contains(['=', '~', '!', '{', '}', ',']);
        let named = is_name.then(|| format!("alertname={:?}", text.as_str()));
        let parsed: Matchers = named.as_deref().unwrap_or(text).parse().map_err(|e| {
            Problem::new(format!("{text:?} is no matcher: {e}"))
                .hint("Write NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX, each in quotes of the shell.")
        })?;
        matchers.extend(parsed.iter().cloned());
    }
    Matchers::new(matchers).map_err(|e| Problem::new(e.to_string()))
}
