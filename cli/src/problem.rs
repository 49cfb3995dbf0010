//! Problems as people read them: a plain sentence, then what to do about it.

use std::fmt;

use crate::plain::on_lines;

/// Something that keeps a command from doing what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    lines: Vec<String>,
    hint: Option<String>,
    code: u8,
}

impl Problem {
    /// A problem in one sentence, without a full stop.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Problem { lines: vec![sentence.into()], hint: None, code: 1 }
    }

    /// Several problems of one kind, each with its place: `file:line: message`.
    pub(crate) fn list(lines: Vec<String>) -> Self {
        Problem { lines, hint: None, code: 1 }
    }

    /// The same problem with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// 1 as a rule; 2 is for command lines that cannot be understood, and comes from the parser.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "error: {}", on_lines(line))?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "{}", on_lines(hint)),
            None => Ok(()),
        }
    }
}
