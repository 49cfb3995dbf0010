//! Attribute values as label text: strings as they are, everything else as JSON would write it, bytes as base64.

use std::fmt::Write;

use sonde_proto::otlp::{AnyValueView, AttributeView, ViewError};

/// How deep arrays and maps may lie in each other.
const MAX_NESTING: u32 = 20;

/// A value that is a string, which needs no formatting.
pub(crate) fn as_str(value: Option<AnyValueView<'_>>) -> Option<&str> {
    match value? {
        AnyValueView::String(text) => Some(text),
        _ => None,
    }
}

/// Appends the text of a value. Absent values have none.
pub(crate) fn write(out: &mut String, value: Option<AnyValueView<'_>>) -> Result<(), ViewError> {
    match value {
        None | Some(AnyValueView::Empty) => {}
        Some(AnyValueView::String(text)) => out.push_str(text),
        Some(AnyValueView::Bytes(bytes)) => base64(out, bytes),
        Some(value) => json(out, value, MAX_NESTING)?,
    }
    Ok(())
}

/// A value within an array or a map, in which so many more may lie.
fn json(out: &mut String, value: AnyValueView<'_>, deeper: u32) -> Result<(), ViewError> {
    let too_deep = ViewError::TooDeep { limit: MAX_NESTING };
    match value {
        AnyValueView::Empty | AnyValueView::Index => out.push_str("null"),
        AnyValueView::String(text) => quoted(out, text),
        AnyValueView::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        AnyValueView::Int(value) => written(write!(out, "{value}")),
        AnyValueView::Double(value) => float(out, value),
        AnyValueView::Bytes(bytes) => {
            out.push('"');
            base64(out, bytes);
            out.push('"');
        }
        AnyValueView::Array(array) => {
            let deeper = deeper.checked_sub(1).ok_or(too_deep)?;
            out.push('[');
            for (i, value) in array.values().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json(out, value?, deeper)?;
            }
            out.push(']');
        }
        AnyValueView::Map(map) => {
            let deeper = deeper.checked_sub(1).ok_or(too_deep)?;
            // Sorted, so that one map is one text.
            let mut pairs: Vec<AttributeView<'_>> = map.pairs().collect::<Result<_, _>>()?;
            pairs.sort_by_key(|pair| pair.key);
            out.push('{');
            for (i, pair) in pairs.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                quoted(out, pair.key);
                out.push(':');
                json(out, pair.value.unwrap_or(AnyValueView::Empty), deeper)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => written(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The shortest decimal that reads back, with an exponent where JSON writers put one.
fn float(out: &mut String, value: f64) {
    let size = value.abs();
    written(match value {
        _ if value.is_nan() => write!(out, "NaN"),
        f64::INFINITY => write!(out, "+Inf"),
        f64::NEG_INFINITY => write!(out, "-Inf"),
        _ if size != 0.0 && size < 1e-6 => {
            // Rust writes 1e-7 where others write 1e-07 and JSON writers 1e-7 again.
            write!(out, "{value:e}")
        }
        _ if size >= 1e21 => {
            let text = format!("{value:e}");
            write!(out, "{}", text.replacen('e', "e+", 1))
        }
        _ => write!(out, "{value}"),
    });
}

fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { DIGITS[index as usize] as char } else { '=' });
        }
    }
}

fn written(result: std::fmt::Result) {
    result.expect("BUG: writing to a string failed");
}

#[cfg(test)]
mod tests {
    use sonde_proto::otlp::common::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value};
    use sonde_proto::otlp::{Message, View};

    use super::*;

    fn check(value: Value, expected: &str) {
        let (mut out, message) = (String::new(), AnyValue { value: Some(value) }.encode_to_vec());
        write(&mut out, Some(AnyValueView::parse(&message).expect("valid"))).expect("valid");
        assert_eq!(out, expected);
    }

    #[test]
    fn values_become_text() {
        let any = |value| AnyValue { value: Some(value) };
        let pair = |key: &str, value| KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() };
        check(Value::StringValue("a\"b".to_owned()), "a\"b");
        check(Value::BoolValue(true), "true");
        check(Value::IntValue(i64::MIN), "-9223372036854775808");
        check(Value::DoubleValue(1.5), "1.5");
        check(Value::DoubleValue(200.0), "200");
        check(Value::DoubleValue(1e21), "1e+21");
        check(Value::DoubleValue(1.5e-7), "1.5e-7");
        check(Value::BytesValue(b"hello".to_vec()), "aGVsbG8=");
        check(Value::BytesValue(b"hell".to_vec()), "aGVsbA==");
        check(Value::BytesValue(b"hel".to_vec()), "aGVs");
        let values =
            vec![any(Value::StringValue("a\n\u{1}".to_owned())), any(Value::IntValue(1)), AnyValue { value: None }];
        check(Value::ArrayValue(ArrayValue { values }), "[\"a\\n\\u0001\",1,null]");
        let values = vec![pair("b", Value::BoolValue(false)), pair("a", Value::BytesValue(vec![0]))];
        check(Value::KvlistValue(KeyValueList { values }), "{\"a\":\"AA==\",\"b\":false}");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: u32| {
            let deeper = |value, _| Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
            let message = AnyValue { value: Some((0..depth).fold(Value::BoolValue(true), deeper)) }.encode_to_vec();
            let mut out = String::new();
            write(&mut out, Some(AnyValueView::parse(&message).expect("valid"))).map(|()| out)
        };
        assert_eq!(nested(2).as_deref(), Ok("[[true]]"));
        assert!(nested(MAX_NESTING).is_ok());
        assert_eq!(nested(MAX_NESTING + 1), Err(ViewError::TooDeep { limit: MAX_NESTING }));
    }
}
