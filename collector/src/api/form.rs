//! Parameters of a request: the query string, and for POST the form in the body.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use http::{Method, header};

use super::answer::ApiError;

/// The largest form: longer than any query that a person or a dashboard writes.
const MAX_FORM_BYTES: usize = 2 << 20;
/// How long a form may take to come: whoever sends nothing must not hold a connection.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many parameters a request may have; an API call has a handful, and some dozens of `match[]` at most.
const MAX_PARAMETERS: usize = 1_000;

/// The parameters of a request in order. A name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

/// Why parameters cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// There are more than [`MAX_PARAMETERS`].
    #[error("too many parameters: at most {MAX_PARAMETERS} are read")]
    TooMany,
    /// A `%` is not followed by two hex digits.
    #[error("invalid URL escape in the parameters")]
    Escape,
    /// The bytes are no UTF-8.
    #[error("the parameters are not UTF-8")]
    NotUtf8,
}

impl Form {
    /// Reads `a=b&c=d`. What comes first is found first: give the body before the query string.
    pub(crate) fn parse<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, FormError> {
        let mut pairs = Vec::new();
        let parts = texts.into_iter().flat_map(|text| text.split(|b| *b == b'&')).filter(|part| !part.is_empty());
        for part in parts {
            if pairs.len() == MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let split = part.iter().position(|b| *b == b'=').unwrap_or(part.len());
            let value = part.get(split + 1..).unwrap_or_default();
            pairs.push((decode(&part[..split])?, decode(value)?));
        }
        Ok(Form(pairs))
    }

    /// The first value of a parameter; one that is empty counts as absent, as in Prometheus.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_form = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value.to_str().is_ok_and(|v| v.trim_start().starts_with("application/x-www-form-urlencoded"))
        });
        let body = if parts.method == Method::POST && is_form {
            let too_large =
                |_| ApiError::bad_data(format!("the form cannot be read, or has more than {MAX_FORM_BYTES} bytes"));
            let too_slow = |_| ApiError::bad_data(format!("the form did not come within {READ_TIMEOUT:?}"));
            let read = tokio::time::timeout(READ_TIMEOUT, axum::body::to_bytes(body, MAX_FORM_BYTES));
            read.await.map_err(too_slow)?.map_err(too_large)?
        } else {
            bytes::Bytes::new()
        };
        let query = parts.uri.query().unwrap_or_default();
        Form::parse([&body[..], query.as_bytes()]).map_err(ApiError::bad_data)
    }
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    String::from_utf8(unescape(text, true)?.into_owned()).map_err(|_| FormError::NotUtf8)
}

/// Replaces `%41` by `A` and, in forms, `+` by a blank.
fn unescape(text: &[u8], plus_is_blank: bool) -> Result<Cow<'_, [u8]>, FormError> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).ok_or(FormError::Escape);
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => (digit(rest.next())? << 4 | digit(rest.next())?) as u8,
            b'+' if plus_is_blank => b' ',
            other => *other,
        });
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let form =
            Form::parse([b"query=up%7Ba%3D%22b%22%7D+1&match[]=x&empty=".as_slice(), b"query=other&match[]=y&flag"])
                .expect("valid");
        assert_eq!(form.get("query"), Some(r#"up{a="b"} 1"#));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((form.get("empty"), form.get("flag"), form.get("none")), (None, None, None));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (text, error) in [("a=%", FormError::Escape), ("a=%4", FormError::Escape), ("a=%zz", FormError::Escape)] {
            assert_eq!(Form::parse([text.as_bytes()]), Err(error), "{text}");
        }
        assert_eq!(Form::parse([b"a=%ff".as_slice()]), Err(FormError::NotUtf8));
        assert_eq!(Form::parse(["a&".repeat(1_001).as_bytes()]), Err(FormError::TooMany));
    }
}
