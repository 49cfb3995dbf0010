//! Texts from outside, as a terminal may see them: what would move its cursor, colour it or rename its window is replaced.

use std::borrow::Cow;

/// On one line.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    replaced(text, char::is_control)
}

/// Lines and tabs stay.
pub(crate) fn on_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

fn replaced(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_bad(c) { '␣' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_told_what_to_do() {
        // The last one is the short form of the first, which some terminals know in UTF-8, too.
        let text = "a\x1b[2J\n\tb\u{7}\r\u{9b}31mé";
        assert_eq!(on_one_line(text), "a␣[2J␣␣b␣␣␣31mé");
        assert_eq!(on_lines(text), "a␣[2J\n\tb␣␣␣31mé");
        assert!(matches!(on_lines("plain é"), Cow::Borrowed(_)));
    }
}
