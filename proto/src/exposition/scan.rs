//! The pieces of a line: names, quoted strings, label sets, numbers. Knows nothing of entries.

use std::borrow::Cow;

/// A label set whose text is borrowed where it has no escapes.
pub(super) type Labels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads one line from left to right.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Scanner { rest: line }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Takes `token` if it is next.
    pub(super) fn take(&mut self, token: char) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `expected` if it is the next word.
    pub(super) fn take_word(&mut self, expected: &str) -> bool {
        let is_next =
            self.rest.strip_prefix(expected).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        is_next && self.word() == expected
    }

    /// Everything up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A metric name, bare or in quotes.
    pub(super) fn metric_name(&mut self) -> Result<Cow<'a, str>, String> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let end = self.rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b':'));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            return Err(format!("expected a metric name, found {}", shown(self.rest)));
        }
        self.rest = rest;
        Ok(Cow::Borrowed(name))
    }

    fn label_name(&mut self) -> Result<Cow<'a, str>, String> {
        let end = self.rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_'));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            return Err(format!("expected a label name, found {}", shown(self.rest)));
        }
        self.rest = rest;
        Ok(Cow::Borrowed(name))
    }

    /// A string in double quotes with the escapes `\\`, `\"` and `\n`.
    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let Some(text) = self.rest.strip_prefix('"') else {
            return Err(format!("expected a string in double quotes, found {}", shown(self.rest)));
        };
        let mut escaped = false;
        let mut any_escape = false;
        for (i, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => {
                    escaped = true;
                    any_escape = true;
                }
                b'"' => {
                    self.rest = &text[i + 1..];
                    let text = &text[..i];
                    return Ok(if any_escape { Cow::Owned(unescape(text, true)) } else { Cow::Borrowed(text) });
                }
                _ => {}
            }
        }
        Err("a string is not closed by a double quote".to_owned())
    }

    /// The labels between braces, the opening one taken already. A quoted string without `=` is the metric name.
    pub(super) fn labels(
        &mut self,
        labels: &mut Labels<'a>,
        name: &mut Option<Cow<'a, str>>,
        max_labels: usize,
    ) -> Result<(), String> {
        loop {
            self.skip_blanks();
            if self.take('}') {
                return Ok(());
            }
            let quoted = self.rest.starts_with('"');
            let label = if quoted { self.quoted()? } else { self.label_name()? };
            self.skip_blanks();
            if self.take('=') {
                self.skip_blanks();
                let value = self.quoted()?;
                if labels.len() == max_labels {
                    return Err(format!("more than {max_labels} labels"));
                }
                if label.is_empty() {
                    return Err("a label has an empty name".to_owned());
                }
                if labels.iter().any(|(n, _)| *n == label) {
                    return Err(format!("label {label} comes twice"));
                }
                labels.push((label, value));
            } else if quoted && name.is_none() {
                *name = Some(label);
            } else {
                return Err(format!("expected = after label {label}"));
            }
            self.skip_blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err(format!("expected a comma or a closing brace, found {}", shown(self.rest)));
            }
        }
    }

    /// A float as both formats write it.
    pub(super) fn float(&mut self) -> Result<f64, String> {
        let word = self.word();
        float(word).ok_or_else(|| format!("{} is not a number", shown(word)))
    }
}

/// Undoes the escapes of a help text (`\\` and `\n`) or of a quoted string (those and `\"`).
pub(super) fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('\\') => out.push('\\'),
            Some('"') if quotes => out.push('"'),
            // An escape that does not exist is kept as it is written, as Prometheus does.
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// A float: Rust's grammar, the infinities and NaN in any case, and nothing else that Rust would take.
pub(super) fn float(word: &str) -> Option<f64> {
    word.parse::<f64>().ok().map(|value| {
        // All ordinary NaNs are one, so that equal pages give equal bits.
        if value.is_nan() { f64::from_bits(sonde_model::NORMAL_NAN_BITS) } else { value }
    })
}

/// The start of what was found, for an error message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(20) {
        _ if text.is_empty() => "the end of the line".to_owned(),
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
