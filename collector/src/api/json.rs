//! Writes JSON in pieces, so that a large answer needs neither a tree of values nor one huge buffer.
//!
//! Numbers look exactly as Prometheus writes them: source `util/jsonutil/marshal.go` of Prometheus.

mod number;

use std::collections::VecDeque;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use sonde_model::TimestampMs;

pub(crate) use number::{write_float, write_scientific};
use number::{write_integer, write_timestamp};

/// How large a piece of an answer grows: large enough that a piece costs nothing, small enough to be sent at once, and to
/// be put where values lay that are written already: of 128 KiB the allocator asks the system.
const PIECE_BYTES: usize = 64 << 10;

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
        while let Some(at) = first_special(rest.as_bytes()) {
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
        write_timestamp(&mut self.current, ms);
        self
    }

    /// Adds a sample: `[time,"value"]`.
    pub(crate) fn point(&mut self, t: TimestampMs, v: f64) -> &mut Self {
        let out = &mut self.current;
        out.push(b'[');
        write_timestamp(out, t);
        out.extend_from_slice(b",\"");
        write_float(out, v);
        self.raw("\"]")
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

/// The place of the first byte that cannot stand in a string as it is. Looked for in runs, which a processor does many at a
/// time.
fn first_special(text: &[u8]) -> Option<usize> {
    let is_special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    let (runs, _) = text.as_chunks::<16>();
    let plain = 16 * runs.iter().take_while(|run| !run.iter().fold(false, |any, b| any | is_special(b))).count();
    text[plain..].iter().position(is_special).map(|at| plain + at)
}

/// The pieces of an answer, in order. A clone shares them.
#[derive(Clone, Debug, Default)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
