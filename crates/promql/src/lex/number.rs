//! Numbers and durations.

use super::{Lexer, TokenKind, is_word_part};

const DIGITS: &str = "0123456789";

impl Lexer<'_> {
    pub(super) fn scan_number_or_duration(&mut self) -> Result<TokenKind, String> {
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        if self.scan_duration_units() {
            return Ok(TokenKind::Duration);
        }
        Err(format!("bad number or duration syntax: {:?}", &self.text[self.start..self.pos]))
    }

    /// Takes a number; says whether it was one. What was taken may still be no valid number: the parser sees to that.
    fn scan_number(&mut self) -> bool {
        let mut digits = DIGITS;
        if self.accept("0") && self.accept("xX") {
            self.accept("_");
            digits = "0123456789abcdefABCDEF";
        }
        let is_hex = digits.len() > DIGITS.len();
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        loop {
            match self.peek() {
                Some('.') => {
                    self.next();
                    if dot || is_hex || self.accept("_.") {
                        return false;
                    }
                    dot = true;
                }
                // In a hexadecimal number `e` is a digit.
                Some('e' | 'E') if !is_hex => {
                    self.next();
                    if exponent {
                        return false;
                    }
                    exponent = true;
                    self.accept("+-");
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                Some('_') => {
                    self.next();
                    if self.accept("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                Some(c) if digits.contains(c) => self.skip_while(|c| digits.contains(c)),
                next => return !next.is_some_and(is_word_part),
            }
        }
    }

    /// Takes the units after the first number of a duration; says whether it was a duration.
    fn scan_duration_units(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        // `ms`; units that do not exist, such as `hs`, are refused where the duration is parsed.
        self.accept("s");
        while self.accept(DIGITS) {
            self.skip_while(|c| c.is_ascii_digit());
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        if self.peek().is_some_and(is_word_part) {
            self.next();
            return false;
        }
        true
    }
}

/// The value of a number as it is written: decimal, hexadecimal, octal with a leading 0, `Inf`, `NaN`.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    let syntax = || format!("strconv.ParseFloat: parsing {text:?}: invalid syntax");
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_ascii_lowercase();
    match lower.as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::from_bits(sonde_model::NORMAL_NAN_BITS)),
        _ => {}
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).map(|n| n as f64).map_err(|_| syntax());
    }
    if lower.len() > 1
        && lower.starts_with('0')
        && let Ok(octal) = i64::from_str_radix(&lower, 8)
    {
        return Ok(octal as f64);
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_infinite() => Err(format!("strconv.ParseFloat: parsing {text:?}: value out of range")),
        Ok(value) => Ok(value),
        Err(_) => Err(syntax()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in
            [("0x8f", 143.0), ("010", 8.0), ("089", 89.0), ("1_000", 1000.0), (".5", 0.5), ("1e3", 1000.0), ("5.", 5.0)]
        {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("1e1000").is_err() && parse_number("0x").is_err() && parse_number("NaN").is_ok());
    }
}
