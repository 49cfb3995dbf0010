//! Addresses as they are shown: without what in them may be a secret.

/// What stands in the place of a secret, in the word of Prometheus.
pub(crate) const HIDDEN: &str = "<secret>";

/// A link without the name and password before its host.
pub(crate) fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => url.to_owned(),
    }
}

/// A URL as a configuration has it: the name and password before its host and the values of its query are hidden.
pub(crate) fn shown_url(url: &str) -> String {
    let (before, fragment) = url.split_once('#').map_or((url, None), |(before, fragment)| (before, Some(fragment)));
    let (address, query) = before.split_once('?').map_or((before, None), |(address, query)| (address, Some(query)));
    let mut shown = match without_user(address) {
        same if same == address => same,
        rest => rest.replacen("://", &format!("://{HIDDEN}@"), 1),
    };
    if let Some(query) = query {
        let hide = |part: &str| match part.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None if part.is_empty() => String::new(),
            None => HIDDEN.to_owned(),
        };
        shown += "?";
        shown += &query.split('&').map(hide).collect::<Vec<_>>().join("&");
    }
    if fragment.is_some() {
        shown += "#";
        shown += HIDDEN;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_addresses_are_hidden() {
        for (url, shown) in [
            ("", ""),
            ("https://host:9090/path", "https://host:9090/path"),
            ("https://name:pass@host/path@x", "https://<secret>@host/path@x"),
            ("https://host/write?token=abc&db=x=y&flag&", "https://host/write?token=<secret>&db=<secret>&<secret>&"),
            ("https://host?a@b", "https://host?<secret>"),
            ("https://n@host?u=http://a:b@c/#frag", "https://<secret>@host?u=<secret>#<secret>"),
            ("/only/a/path", "/only/a/path"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
        assert_eq!(without_user("https://name:p@ss@host/path@x?y@z"), "https://host/path@x?y@z");
        assert_eq!(without_user("https://host?a@b"), "https://host?a@b");
    }
}
