//! What is read of the answer of a peer that we send to: when it wants to be asked again, and its first words.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// What a peer may say at most about why it refuses: enough for a log line.
const MAX_REASON_BYTES: usize = 300;

/// What the peer asks to wait, at most `most`. A date, the other form, is as good as nothing said.
pub(crate) fn retry_after(response: &Response, most: Duration) -> Option<Duration> {
    seconds(response.headers().get(RETRY_AFTER)?.to_str().ok()?, most)
}

/// The first words of the body.
pub(crate) async fn first_words(mut response: Response) -> String {
    let mut words = Vec::new();
    while words.len() < MAX_REASON_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => words.extend_from_slice(&chunk[..chunk.len().min(MAX_REASON_BYTES - words.len())]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&words).trim().to_owned()
}

fn seconds(value: &str, most: Duration) -> Option<Duration> {
    value.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_ask_for_is_bounded() {
        let most = Duration::from_secs(300);
        assert_eq!(seconds(" 7 ", most), Some(Duration::from_secs(7)));
        assert_eq!(seconds("18446744073709551615", most), Some(most));
        assert_eq!(seconds("Fri, 20 Nov 2026 16:00:00 GMT", most), None);
    }
}
