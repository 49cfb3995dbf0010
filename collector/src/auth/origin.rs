//! Web pages of elsewhere: a browser sends what they want, with the credentials that it remembers, from inside of a network or
//! of a machine that the page's author cannot reach.
//!
//! Browsers tell the origin of a page with every request that can change something. It must be ours: the host that was asked, and,
//! where nobody is asked who they are, a name that no other can point at this machine (DNS rebinding). Programs send no origin.

use http::{HeaderMap, Uri, header};

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages<'a> {
    /// The address under which people reach this collector; empty is none but the listener's.
    pub(super) external_url: &'a str,
    /// The origin that may ask besides, where it is one: `*` is for reading only.
    pub(super) cors_origin: &'a str,
    /// Whether any name of this machine will do.
    pub(super) any_name: bool,
}

impl Pages<'_> {
    /// Whether a request that changes something may come from the page that it comes from.
    pub(super) fn allow(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Some((scheme, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
            return false;
        };
        let full = format!("{scheme}://{authority}");
        if full == self.cors_origin || full == origin_of(self.external_url) {
            return true;
        }
        let host = uri.authority().map(|a| a.as_str()).or_else(|| headers.get(header::HOST)?.to_str().ok());
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) && (self.any_name || is_fixed_name(authority))
    }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Whether a host is an address or `localhost`: names that no name server can point elsewhere.
fn is_fixed_name(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_elsewhere_change_nothing() {
        let strict = Pages { external_url: "", cors_origin: "*", any_name: false };
        let named =
            Pages { external_url: "https://sonde.example.org/p/", cors_origin: "http://grafana:3000", ..strict };
        let cases = [
            (strict, "127.0.0.1:9090", None, true),
            (strict, "rebound.example.org:9090", None, true),
            (strict, "127.0.0.1:9090", Some("http://127.0.0.1:9090"), true),
            (strict, "localhost:9090", Some("http://localhost:9090"), true),
            (strict, "[::1]:9090", Some("http://[::1]:9090"), true),
            (strict, "127.0.0.1:9090", Some("http://127.0.0.1:8000"), false),
            (strict, "127.0.0.1:9090", Some("https://evil.example.org"), false),
            (strict, "127.0.0.1:9090", Some("null"), false),
            (strict, "rebound.example.org:9090", Some("http://rebound.example.org:9090"), false),
            (strict, "127.0.0.1.example.org", Some("http://127.0.0.1.example.org"), false),
            (Pages { any_name: true, ..strict }, "host:9090", Some("http://host:9090"), true),
            (Pages { any_name: true, ..strict }, "host:9090", Some("http://other:9090"), false),
            (named, "127.0.0.1:9090", Some("https://sonde.example.org"), true),
            (named, "127.0.0.1:9090", Some("http://sonde.example.org"), false),
            (named, "127.0.0.1:9090", Some("http://grafana:3000"), true),
        ];
        for (pages, host, origin, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).expect("a host"));
            headers.extend(origin.map(|o| (header::ORIGIN, HeaderValue::from_str(o).expect("an origin"))));
            assert_eq!(pages.allow(&headers, &Uri::from_static("/")), expected, "{host} {origin:?}");
        }
    }
}
