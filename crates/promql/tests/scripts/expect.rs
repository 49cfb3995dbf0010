//! The lines `expect ...` of an evaluation.

use regex_automata::meta::Regex;

/// What is expected of the annotations, the error and the order.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    pub(crate) ordered: bool,
    pub(crate) fail: Vec<Pattern>,
    pub(crate) warn: Vec<Pattern>,
    pub(crate) info: Vec<Pattern>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
}

/// How a text has to look.
#[derive(Debug)]
pub(crate) enum Pattern {
    Any,
    Exactly(String),
    Matching(Regex),
}

impl Expectations {
    /// Takes in the rest of a line `expect ...`.
    pub(crate) fn parse_line(&mut self, rest: &str) -> Result<(), String> {
        let (word, pattern) = match rest.split_once(char::is_whitespace) {
            Some((word, pattern)) => (word, Pattern::parse(pattern.trim())?),
            None => (rest, Pattern::Any),
        };
        match word {
            "ordered" => self.ordered = true,
            "fail" if self.fail.is_empty() => self.fail.push(pattern),
            "fail" => return Err("only one `expect fail` is allowed".to_owned()),
            "warn" => self.warn.push(pattern),
            "info" => self.info.push(pattern),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            _ => return Err(format!("invalid expectation {rest:?}")),
        }
        if (self.no_warn && !self.warn.is_empty()) || (self.no_info && !self.info.is_empty()) {
            return Err("an annotation is both expected and not".to_owned());
        }
        Ok(())
    }

    /// Judges the annotations of a result.
    pub(crate) fn check_annotations(&self, warnings: &[String], infos: &[String]) -> Result<(), String> {
        for (kind, none, patterns, actual) in
            [("warning", self.no_warn, &self.warn, warnings), ("info", self.no_info, &self.info, infos)]
        {
            if none && !actual.is_empty() {
                return Err(format!("unexpected {kind}: {actual:?}"));
            }
            if patterns.is_empty() {
                continue;
            }
            if let Some(missing) = patterns.iter().find(|p| !actual.iter().any(|text| p.matches(text))) {
                return Err(format!("expected {kind} {missing:?}, got {actual:?}"));
            }
            if let Some(other) = actual.iter().find(|text| !patterns.iter().any(|p| p.matches(text))) {
                return Err(format!("{kind} that nothing expects: {other:?}"));
            }
        }
        Ok(())
    }

    /// Judges the error of a query that has to fail.
    pub(crate) fn check_failure(&self, error: &str) -> Result<(), String> {
        match self.fail.iter().find(|pattern| !pattern.matches(error)) {
            Some(pattern) => Err(format!("expected the error {pattern:?}, got {error:?}")),
            None => Ok(()),
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(exact) = text.strip_prefix("msg:") {
            return Ok(Pattern::Exactly(exact.trim().to_owned()));
        }
        let pattern = text.strip_prefix("regex:").ok_or_else(|| format!("invalid expectation {text:?}"))?.trim();
        Pattern::regex(pattern)
    }

    pub(crate) fn regex(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Pattern::Matching).map_err(|e| e.to_string())
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exactly(exact) => exact == text,
            Pattern::Matching(regex) => regex.is_match(text),
        }
    }
}
