//! Writes JSON in pieces, so that a large answer needs neither a tree of values nor one huge buffer.
//!
//! Numbers look exactly as Prometheus writes them: source `util/jsonutil/marshal.go` of Prometheus.

use std::collections::VecDeque;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use sonde_model::TimestampMs;

/// How large a piece of an answer grows: large enough that a piece costs nothing, small enough to be sent at once.
const PIECE_BYTES: usize = 128 << 10;

/// A JSON text that is being written.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    done: VecDeque<Bytes>,
    current: Vec<u8>,
}

impl JsonWriter {
    /// An empty text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds text that is JSON already.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.current.extend_from_slice(text.as_bytes());
        if self.current.len() >= PIECE_BYTES {
            let next = Vec::with_capacity(PIECE_BYTES + 1024);
            self.done.push_back(std::mem::replace(&mut self.current, next).into());
        }
        self
    }

    /// Adds a string in quotes, escaped.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.current.push(b'"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
            self.current.extend_from_slice(&rest.as_bytes()[..at]);
            match rest.as_bytes()[at] {
                b'"' => self.current.extend_from_slice(b"\\\""),
                b'\\' => self.current.extend_from_slice(b"\\\\"),
                b'\n' => self.current.extend_from_slice(b"\\n"),
                b'\r' => self.current.extend_from_slice(b"\\r"),
                b'\t' => self.current.extend_from_slice(b"\\t"),
                other => self.format(format_args!("\\u{other:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.current.extend_from_slice(rest.as_bytes());
        self.raw("\"")
    }

    /// Adds `"key":` for a key that needs no escapes.
    pub(crate) fn key(&mut self, key: &str) -> &mut Self {
        self.raw("\"").raw(key).raw("\":")
    }

    /// Adds a whole number.
    pub(crate) fn integer(&mut self, n: i64) -> &mut Self {
        write_integer(&mut self.current, n);
        self
    }

    /// Adds a finite number; one that JSON cannot hold becomes 0.
    pub(crate) fn number(&mut self, v: f64) -> &mut Self {
        write_float(&mut self.current, if v.is_finite() { v } else { 0.0 });
        self
    }

    /// Adds a value of a sample: a number in quotes, because JSON has neither NaN nor infinities.
    pub(crate) fn value(&mut self, v: f64) -> &mut Self {
        self.current.push(b'"');
        write_float(&mut self.current, v);
        self.raw("\"")
    }

    /// Adds a time: seconds with up to three decimals.
    pub(crate) fn timestamp(&mut self, ms: TimestampMs) -> &mut Self {
        if ms < 0 {
            self.current.push(b'-');
        }
        let ms = ms.unsigned_abs();
        write_unsigned(&mut self.current, ms / 1_000);
        if !ms.is_multiple_of(1_000) {
            self.format(format_args!(".{:03}", ms % 1_000));
        }
        self
    }

    /// Adds an array of strings.
    pub(crate) fn strings<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) -> &mut Self {
        self.raw("[");
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            self.string(item.as_ref());
        }
        self.raw("]")
    }

    /// Adds an object whose values are strings.
    pub(crate) fn object<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.raw("{");
        for (i, (name, value)) in pairs.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            self.string(name.as_ref()).raw(":").string(value.as_ref());
        }
        self.raw("}")
    }

    /// The text as the body of an answer.
    pub(crate) fn into_body(mut self) -> Pieces {
        if !self.current.is_empty() {
            self.done.push_back(self.current.into());
        }
        Pieces(self.done)
    }

    /// The text in one piece.
    #[cfg(test)]
    pub(crate) fn into_string(self) -> String {
        let bytes: Vec<u8> = self.into_body().0.iter().flatten().copied().collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn format(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.current.write_fmt(arguments).expect("BUG: writing to memory cannot fail");
    }
}

/// The pieces of an answer, in order.
#[derive(Debug, Default)]
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.get_mut().0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// Writes a float the way Go's `strconv` does with format 'f' (or 'e' for the very small and large), shortest digits.
pub(crate) fn write_float(out: &mut Vec<u8>, v: f64) {
    const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
    let magnitude = v.abs();
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if v.is_infinite() {
        out.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if magnitude < LARGEST_WHOLE && v.trunc() == v && (v != 0.0 || v.is_sign_positive()) {
        write_integer(out, v as i64);
    } else if v != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        write_scientific(out, v);
    } else {
        write!(out, "{v}").expect("BUG: writing to memory cannot fail");
    }
}

/// Writes a float in Go's 'e' format: at least two digits of exponent, and its sign.
pub(crate) fn write_scientific(out: &mut Vec<u8>, v: f64) {
    if !v.is_finite() {
        return write_float(out, v);
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{exponent:0>2}").expect("BUG: writing to memory cannot fail");
}

fn write_integer(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    write_unsigned(out, n.unsigned_abs());
}

fn write_unsigned(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_prometheus_writes_them() {
        for (v, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1.5e-7, "1.5e-07"),
            (1e-6, "0.000001"),
            (9.99e-7, "9.99e-07"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (123_456_789.125, "123456789.125"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            write_float(&mut out, v);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        let mut out = Vec::new();
        write_scientific(&mut out, 1.0);
        assert_eq!(String::from_utf8_lossy(&out), "1e+00");
    }

    #[test]
    fn times_have_up_to_three_decimals() {
        for (ms, text) in [(0, "0"), (1_000, "1"), (1_500, "1.500"), (1_007, "1.007"), (-1_020, "-1.020")] {
            let mut json = JsonWriter::new();
            json.timestamp(ms);
            assert_eq!(json.into_string(), text);
        }
        let mut json = JsonWriter::new();
        json.timestamp(i64::MIN);
        assert_eq!(json.into_string(), "-9223372036854775.808");
    }

    #[test]
    fn strings_are_escaped_and_read_back() {
        for text in ["", "plain", "a\"b\\c\nd\te\r\u{1}\u{7f}é\u{1f600}", "\"", "\\"] {
            let mut json = JsonWriter::new();
            json.string(text);
            assert_eq!(serde_json::from_str::<String>(&json.into_string()).expect("valid JSON"), text);
        }
    }

    #[test]
    fn large_texts_come_in_pieces() {
        let mut json = JsonWriter::new();
        json.strings((0..100_000).map(|n| n.to_string()));
        let body = json.into_body();
        assert!(body.0.len() > 3, "{}", body.0.len());
        assert_eq!(body.size_hint().exact(), Some(788_891));
    }
}
