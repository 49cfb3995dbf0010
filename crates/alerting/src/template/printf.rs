//! Go's `fmt` for the values of templates: `printf`, and how a value is printed.
//!
//! Source: the documentation of Go's package fmt. A float without a precision gets an exponent below 1e-4 and from 1e+06 on:
//! in templates 1234567 is `1.234567e+06`.

use gotmpl::{TemplateError, Value};
use sonde_model::GoFloat;

use super::humanize::general;
use super::value::{error, text};

/// Widths and precisions beyond this are cut: the output is bounded anyway.
const MAX_WIDTH: usize = 10_000;

/// A value as an action prints it: `%v`.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::Float(v) => GoFloat(*v).to_string(),
        other => other.to_string(),
    }
}

/// `print args...`: with a space between two of which neither is a text.
pub(super) fn sprint(given: &[Value]) -> String {
    let is_text = |value: Option<&Value>| matches!(value, None | Some(Value::String(_)));
    let mut printed = String::new();
    for (i, value) in given.iter().enumerate() {
        if !is_text(i.checked_sub(1).and_then(|before| given.get(before))) && !is_text(Some(value)) {
            printed.push(' ');
        }
        printed.push_str(&display(value));
    }
    printed
}

/// `println args...`: with a space between any two.
pub(super) fn sprintln(given: &[Value]) -> String {
    given.iter().map(display).collect::<Vec<_>>().join(" ") + "\n"
}

/// `printf format args...`
pub(super) fn sprintf(given: &[Value]) -> Result<String, TemplateError> {
    let (format, args) =
        given.split_first().ok_or_else(|| error("wrong number of args for printf: want at least 1 got 0"))?;
    let mut args = args.iter();
    let mut printed = String::new();
    let mut chars = text(format)?.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            printed.push(c);
            continue;
        }
        let mut directive = Directive::default();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            directive.flag(flag);
        }
        directive.width = number(&mut chars, &mut args);
        if chars.next_if_eq(&'.').is_some() {
            directive.precision = Some(number(&mut chars, &mut args).unwrap_or(0));
        }
        match (chars.next(), args.as_slice()) {
            (None, _) => printed.push_str("%!(NOVERB)"),
            (Some('%'), _) => printed.push('%'),
            (Some(verb), []) => printed.push_str(&format!("%!{verb}(MISSING)")),
            (Some(verb), [value, ..]) => {
                printed.push_str(&directive.format(verb, value));
                args.next();
            }
        }
    }
    let extra: Vec<String> = args.map(|value| format!("{}={}", go_type(value), display(value))).collect();
    if !extra.is_empty() {
        printed.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(printed)
}

/// Digits, or `*` for the next argument.
fn number(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &mut std::slice::Iter<'_, Value>,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        return args.next().and_then(Value::as_int).and_then(|n| usize::try_from(n).ok()).map(|n| n.min(MAX_WIDTH));
    }
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        number = Some((number.unwrap_or(0) * 10 + digit as usize).min(MAX_WIDTH));
    }
    number
}

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Debug, Default)]
struct Directive {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Directive {
    fn flag(&mut self, flag: char) {
        match flag {
            '+' => self.plus = true,
            '-' => self.minus = true,
            '#' => self.sharp = true,
            ' ' => self.space = true,
            _ => self.zero = true,
        }
    }

    fn format(&self, verb: char, value: &Value) -> String {
        let formatted = match value {
            Value::Float(v) => self.float(verb, *v),
            Value::Int(v) => self.integer(verb, *v < 0, v.unsigned_abs()),
            Value::Uint(v) => self.integer(verb, false, *v),
            Value::String(v) => self.string(verb, v),
            Value::Bool(v) if matches!(verb, 't' | 'v') => Some(self.pad(v.to_string())),
            Value::Nil if verb == 'v' => Some(self.pad("<nil>".to_owned())),
            Value::Nil => return format!("%!{verb}(<nil>)"),
            other if matches!(verb, 'v' | 's') => Some(self.pad(other.to_string())),
            _ => None,
        };
        formatted.unwrap_or_else(|| format!("%!{verb}({}={})", go_type(value), display(value)))
    }

    fn float(&self, verb: char, v: f64) -> Option<String> {
        let magnitude = v.abs();
        let digits = match (verb, self.precision) {
            _ if !v.is_finite() => general(magnitude, 1).trim_start_matches('+').to_owned(),
            ('v' | 'g' | 'G', None) => GoFloat(magnitude).to_string(),
            ('v' | 'g' | 'G', Some(precision)) => general(magnitude, precision.max(1)),
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => exponential(&format!("{magnitude:.*e}", precision.unwrap_or(6))),
            _ => return None,
        };
        if !"vgGfFeE".contains(verb) {
            return None;
        }
        let digits = if verb.is_ascii_uppercase() && v.is_finite() { digits.to_uppercase() } else { digits };
        let negative = v.is_sign_negative() && !v.is_nan();
        // An infinity always has its sign; what is no number is not filled with zeros.
        let directive = Directive { plus: self.plus || v.is_infinite(), zero: self.zero && v.is_finite(), ..*self };
        Some(directive.signed(negative, &digits))
    }

    fn integer(&self, verb: char, negative: bool, magnitude: u64) -> Option<String> {
        let character = || u32::try_from(magnitude).ok().filter(|_| !negative).and_then(char::from_u32);
        let prefix = |prefix: &'static str| if self.sharp { prefix } else { "" };
        let digits = match verb {
            'v' | 'd' => magnitude.to_string(),
            'b' => format!("{}{magnitude:b}", prefix("0b")),
            'o' => format!("{}{magnitude:o}", prefix("0")),
            'O' => format!("0o{magnitude:o}"),
            'x' => format!("{}{magnitude:x}", prefix("0x")),
            'X' => format!("{}{magnitude:X}", prefix("0X")),
            'c' => return Some(self.pad(character().unwrap_or(char::REPLACEMENT_CHARACTER).to_string())),
            'q' => return Some(self.pad(format!("'{}'", character().unwrap_or(char::REPLACEMENT_CHARACTER)))),
            'U' => return Some(self.pad(format!("U+{magnitude:04X}"))),
            _ => return None,
        };
        let zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        Some(self.signed(negative, &("0".repeat(zeros) + &digits)))
    }

    fn string(&self, verb: char, v: &str) -> Option<String> {
        let cut: String = v.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        match verb {
            'v' | 's' => Some(self.pad(cut)),
            'q' => Some(self.pad(format!("{:?}", cut).replace("\\'", "'"))),
            'x' => Some(self.pad(v.bytes().map(|b| format!("{b:02x}")).collect())),
            'X' => Some(self.pad(v.bytes().map(|b| format!("{b:02X}")).collect())),
            _ => None,
        }
    }

    /// Digits with their sign, filled with zeros between the two where that was asked for.
    fn signed(&self, negative: bool, digits: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let zeros = if self.zero && !self.minus {
            self.width.unwrap_or(0).saturating_sub(sign.len() + digits.len())
        } else {
            0
        };
        Directive { zero: false, ..*self }.pad(format!("{sign}{}{digits}", "0".repeat(zeros)))
    }

    fn pad(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        match (missing, self.minus) {
            (0, _) => text,
            (n, true) => text + &" ".repeat(n),
            (n, false) if self.zero => "0".repeat(n) + &text,
            (n, false) => " ".repeat(n) + &text,
        }
    }
}

/// Rust's `1e7` as Go's `1e+07`.
fn exponential(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The name of Go's type, for what `fmt` says about a verb that does not fit.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "template.queryResult",
        Value::Map(_) => "map[string]string",
        Value::Function(_) => "func",
    }
}
