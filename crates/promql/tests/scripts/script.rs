//! A script as commands: the lines of a file, split and parsed.

use sonde_model::duration::parse_duration_ms;

use crate::eval::{self, Eval};
use crate::load::{self, Load};

/// What a script does, one after the other.
#[derive(Debug)]
pub(crate) enum Command {
    Load(Load),
    Clear,
    Eval(Box<Eval>),
}

/// The lines of a command: its first line and those of its block, with their numbers from 1.
pub(crate) type Block<'a> = &'a [(usize, &'a str)];

/// Parses a script. The error says which line is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<(usize, Command)>, String> {
    // A comment ends a block, as an empty line does.
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim()))
        .map(|(n, line)| (n, if line.starts_with('#') { "" } else { line }))
        .collect();
    let mut commands = Vec::new();
    let mut next = 0;
    while next < lines.len() {
        let (number, line) = lines[next];
        if line.is_empty() {
            next += 1;
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        let fail = |e: String| format!("line {number}: {e}");
        let block_end = lines[next..].iter().position(|(_, line)| line.is_empty()).map_or(lines.len(), |n| next + n);
        let block = &lines[next..block_end];
        let (command, taken) = if word == "clear" {
            (Command::Clear, 1)
        } else if word.starts_with("load") {
            (Command::Load(load::parse(block).map_err(fail)?), block.len())
        } else if word.starts_with("eval") {
            let (eval, taken) = eval::parse(block).map_err(fail)?;
            (Command::Eval(Box::new(eval)), taken)
        } else {
            return Err(fail(format!("unknown command {word:?}")));
        };
        commands.push((number, command));
        next += taken;
    }
    Ok(commands)
}

/// A time or a duration of the language, perhaps with a sign, in milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ms = parse_duration_ms(digits).map_err(|e| e.to_string())?;
    Ok(if negative { -ms } else { ms })
}
