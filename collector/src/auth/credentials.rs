//! What a request shows to say who it is: `Authorization: Bearer TOKEN`, or HTTP Basic with the token as password, for
//! clients that know nothing else. gRPC's metadata are the same headers.

use http::{HeaderMap, header};

use super::stats::Reason;

/// The longest header that is looked at: a token, a user name and some room.
const MAX_HEADER_BYTES: usize = 1 << 10;

/// The token in the headers; `None` where there is none.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<String>, Reason> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Two of them would let a proxy and us see different callers.
    if values.next().is_some() || value.len() > MAX_HEADER_BYTES {
        return Err(Reason::Malformed);
    }
    let text = value.to_str().map_err(|_| Reason::Malformed)?;
    let (scheme, rest) = text.split_once(' ').ok_or(Reason::Malformed)?;
    let rest = rest.trim();
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = decode_base64(rest).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Reason::Malformed)?;
        decoded.split_once(':').ok_or(Reason::Malformed)?.1.to_owned()
    } else {
        return Err(Reason::Malformed);
    };
    let whole = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    if whole { Ok(Some(token)) } else { Err(Reason::Malformed) }
}

/// Whether the request shows a token in a way that no browser does by itself.
pub(super) fn is_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.split_once(' ')).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
}

/// RFC 4648, with padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
        }
        read(&headers)
    }

    #[test]
    fn tokens_come_as_bearer_or_as_password() {
        let token = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["Bearer sonde_read_1"]), token("sonde_read_1"));
        assert_eq!(of(&["bearer  sonde_read_1 "]), token("sonde_read_1"));
        // user:sonde_read_1, :a, a:b:c
        assert_eq!(of(&["Basic dXNlcjpzb25kZV9yZWFkXzE="]), token("sonde_read_1"));
        assert_eq!(of(&["BASIC OmE="]), token("a"));
        assert_eq!(of(&["Basic YTpiOmM="]), token("b:c"));
    }

    #[test]
    fn other_forms_are_told_apart_from_wrong_tokens() {
        let long = format!("Bearer {}", "a".repeat(MAX_HEADER_BYTES));
        let forms = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Digest a",
            "sonde_read_1",
            "Basic",
            "Basic a",
            "Basic YQ==",
            "Basic dXNlcjo=",
            "Basic dXNlc===",
            "Basic _-_-",
            &long,
        ];
        for form in forms {
            assert_eq!(of(&[form]), Err(Reason::Malformed), "{form}");
        }
        assert_eq!(of(&["Bearer a", "Bearer b"]), Err(Reason::Malformed));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
    }
}
