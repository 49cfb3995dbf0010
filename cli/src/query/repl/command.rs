//! What a line of the prompt says.

use std::fmt;

use clap::ValueEnum;

use crate::problem::Problem;
use crate::query::args::Output;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// An expression to ask for.
    Ask(String),
    /// An expression to explain.
    Explain(String),
    /// A setting.
    Set(Change),
    Help,
    Quit,
}

/// A change of a setting; nothing stands for the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    name: &'static str,
    value: Option<String>,
}

/// How questions are asked and answers shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) range: Option<String>,
    pub(super) step: Option<String>,
    pub(super) time: Option<String>,
    pub(super) format: Option<Output>,
}

/// All commands, for completion.
pub(super) const NAMES: [&str; 7] = ["\\explain", "\\format", "\\help", "\\quit", "\\range", "\\step", "\\time"];

impl Command {
    pub(super) fn read(line: &str) -> Result<Self, Problem> {
        let Some(command) = line.strip_prefix('\\') else {
            return Ok(match line {
                "exit" | "quit" => Command::Quit,
                "help" | "?" => Command::Help,
                expr => Command::Ask(expr.to_owned()),
            });
        };
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let set = |name| {
            let value = (!matches!(rest, "" | "off")).then(|| rest.to_owned());
            Ok(Command::Set(Change { name, value }))
        };
        match name {
            "h" | "help" | "?" => Ok(Command::Help),
            "q" | "quit" => Ok(Command::Quit),
            "explain" if !rest.is_empty() => Ok(Command::Explain(rest.to_owned())),
            "explain" => Err(Problem::new("\\explain needs an expression")),
            "range" => set("range"),
            "step" => set("step"),
            "time" => set("time"),
            "format" => set("format"),
            other => {
                let known = NAMES.iter().map(|name| name.trim_start_matches('\\'));
                let meant = sonde_promql::edit::closest(other, known).map(|name| format!("; did you mean \\{name}?"));
                let meant = meant.unwrap_or_else(|| "; \\help lists them".to_owned());
                Err(Problem::new(format!("there is no command \\{other}{meant}")))
            }
        }
    }
}

impl Change {
    pub(super) fn apply(self, settings: &mut Settings) -> Result<(), Problem> {
        match self.name {
            "range" => settings.range = self.value,
            "step" => settings.step = self.value,
            "time" => settings.time = self.value,
            _ => {
                let read = |text: String| {
                    Output::from_str(&text, true).map_err(|_| {
                        Problem::new(format!("there is no format {text}")).hint("table, chart, csv or json")
                    })
                };
                settings.format = self.value.map(read).transpose()?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "off".to_owned());
        let format = self.format.and_then(|format| Some(format.to_possible_value()?.get_name().to_owned()));
        let format = format.unwrap_or_else(|| "off".to_owned());
        write!(
            f,
            "range {}  step {}  time {}  format {format}",
            shown(&self.range),
            shown(&self.step),
            shown(&self.time)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        assert_eq!(Command::read("up{a=\"b\"}").expect("valid"), Command::Ask("up{a=\"b\"}".into()));
        assert_eq!(Command::read("\\explain  sum(up)").expect("valid"), Command::Explain("sum(up)".into()));
        assert_eq!(Command::read("quit").expect("valid"), Command::Quit);
        assert!(Command::read("\\explain").is_err());
        let told = Command::read("\\rnage 1h").expect_err("unknown").to_string();
        assert_eq!(told, "error: there is no command \\rnage; did you mean \\range?\n");
    }

    #[test]
    fn settings_change_and_go() {
        let mut settings = Settings::default();
        for line in ["\\range 1h", "\\step 1m", "\\format CSV", "\\time 5m"] {
            let Command::Set(change) = Command::read(line).expect("valid") else { panic!("{line}") };
            change.apply(&mut settings).expect("valid");
        }
        assert_eq!(settings.to_string(), "range 1h  step 1m  time 5m  format csv");
        for line in ["\\range off", "\\format"] {
            let Command::Set(change) = Command::read(line).expect("valid") else { panic!("{line}") };
            change.apply(&mut settings).expect("valid");
        }
        assert_eq!(settings.to_string(), "range off  step 1m  time 5m  format off");
        let Command::Set(change) = Command::read("\\format cube").expect("valid") else { panic!() };
        assert!(change.apply(&mut settings).is_err());
    }
}
