//! `sonde query repl`: a prompt for PromQL with completion and history.

mod command;
mod complete;

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use sonde_runtime::Clock;

use self::command::{Command, Settings};
use self::complete::Prompt;
use super::answer::Answer;
use super::mistakes::check_expression;
use super::{chart, client, csv, explain, request_of, table, terminal_width};
use crate::client::Client;
use crate::print;
use crate::problem::Problem;
use crate::query::args::{Output, ReplArgs};

/// Lines that are remembered.
const HISTORY_LINES: usize = 1_000;

const HELP: &str = "\
Write a PromQL expression; Tab completes it, the arrows up and down bring back what was asked before. Lines go on while brackets are open.
  \\range 1h      ask for the last hour, as a chart; \\range off asks for one instant
  \\step 1m       from one point to the next; \\step off is about 100 points
  \\time 15m      as of a time (how long ago, RFC 3339, seconds); \\time off is now
  \\format table  table, chart, csv or json; \\format off is a chart for ranges and a table else
  \\explain EXPR  what a query reads, and where its time goes
  \\help, \\quit   also Ctrl-D
";

pub(super) fn run(args: &ReplArgs, clock: &Clock) -> Result<(), Problem> {
    let client = Client::new(&args.server)?;
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false);
    let broken = |e: &dyn std::fmt::Display| Problem::new(format!("the prompt does not work: {e}"));
    let config = config.max_history_size(HISTORY_LINES).map_err(|e| broken(&e))?.build();
    let mut editor: Editor<Prompt<'_>, FileHistory> = Editor::with_config(config).map_err(|e| broken(&e))?;
    editor.set_helper(Some(Prompt::new(&client, clock)));
    let history = history_file(args);
    if let Some(path) = &history {
        // There is none at the first time.
        drop(editor.load_history(path));
    }
    let mut settings = Settings::default();
    loop {
        let line = match editor.readline("promql> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(broken(&e)),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        editor.add_history_entry(line).map_err(|e| broken(&e))?;
        match Command::read(line) {
            Ok(Command::Quit) => break,
            Ok(command) => {
                if let Err(problem) = obey(&client, command, &mut settings, clock) {
                    crate::client::tell(problem.to_string().trim_end());
                }
            }
            Err(problem) => crate::client::tell(problem.to_string().trim_end()),
        }
    }
    match history {
        Some(path) => editor.save_history(&path).map_err(|e| {
            Problem::new(format!("{}: the history cannot be kept: {e}", path.display()))
                .hint("--history FILE names another place.")
        }),
        None => Ok(()),
    }
}

fn obey(client: &Client, command: Command, settings: &mut Settings, clock: &Clock) -> Result<(), Problem> {
    let request = |settings: &Settings, expr: &str| {
        check_expression(expr)?;
        request_of(expr, settings.range.as_deref(), settings.step.as_deref(), settings.time.as_deref(), clock)
    };
    match command {
        Command::Help => print(HELP),
        Command::Quit => Ok(()),
        Command::Set(change) => {
            let mut changed = settings.clone();
            change.apply(&mut changed)?;
            // What makes no sense is said now, not at the next question.
            request(&changed, "1")?;
            *settings = changed;
            print(&format!("{settings}\n"))
        }
        Command::Explain(expr) => {
            let reply = client::ask_with_stats(client, &request(settings, &expr)?)?;
            print(&explain::draw(&reply.data)?)
        }
        Command::Ask(expr) => {
            let request = request(settings, &expr)?;
            let reply = client::ask(client, &request)?;
            for warning in &reply.warnings {
                crate::warn(warning);
            }
            let default = if request.range.is_some() { Output::Chart } else { Output::Table };
            let output = settings.format.unwrap_or(default);
            if output == Output::Json {
                return print(&format!("{:#}\n", reply.data));
            }
            let answer = Answer::read(&reply.data)?;
            print(&match output {
                Output::Csv => csv::draw(&answer),
                Output::Chart if request.range.is_some() => chart::draw(&answer, &request, terminal_width()),
                _ => table::draw(&answer),
            })
        }
    }
}

/// Where the history is kept: where the flag says, else where programs keep their state; none where neither is known.
fn history_file(args: &ReplArgs) -> Option<PathBuf> {
    if let Some(path) = &args.history {
        return Some(path.clone());
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home)?;
    let folder = state.join("sonde");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("query_history"))
}
