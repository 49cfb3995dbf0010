//! The small grammar that files under /proc share: lines of words and numbers separated by spaces.

/// The words of a line that are numbers, in order; a word that is none reads as 0, as a field of a newer kernel might.
pub(super) fn numbers(line: &str) -> impl Iterator<Item = u64> + '_ {
    line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0))
}

/// The number behind the first line that starts with the word `key`, with or without a colon.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let word = words.next()?;
        (word.strip_suffix(':').unwrap_or(word) == key).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_numbers_are_found() {
        let text = "MemTotal:  24684092 kB\npgfault 12\nbad x\n";
        for (key, value) in
            [("MemTotal", Some(24_684_092)), ("pgfault", Some(12)), ("Mem", None), ("bad", None), ("none", None)]
        {
            assert_eq!(value_of(text, key), value, "{key}");
        }
        assert_eq!(numbers(" 1 x  3").collect::<Vec<_>>(), [1, 0, 3]);
    }
}
