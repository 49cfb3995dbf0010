//! Pieces of text with anything between them, looked for without a regular expression engine.

/// A shape of values: texts in their order, between which other text may lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glob {
    /// The texts, each with what may lie before it.
    pieces: Vec<(Gap, String)>,
    /// What may lie behind the last text.
    end: Gap,
}

/// What may lie between two texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gap {
    /// Nothing.
    #[default]
    None,
    /// Any text.
    Any,
    /// Any text of at least one character.
    Some,
}

fn gap(non_empty: Option<bool>) -> Gap {
    match non_empty {
        None => Gap::None,
        Some(false) => Gap::Any,
        Some(true) => Gap::Some,
    }
}

impl Glob {
    /// Adds a text, which is not empty. `before` says whether other text may lie before it, and whether it must not be
    /// empty; there is such a gap between any two texts.
    pub(crate) fn push(&mut self, before: Option<bool>, text: String) {
        debug_assert!(!text.is_empty() && (self.pieces.is_empty() || before.is_some()), "BUG: texts that are one");
        self.pieces.push((gap(before), text));
    }

    /// Says what may lie behind the last text.
    pub(crate) fn end(&mut self, behind: Option<bool>) {
        self.end = gap(behind);
    }

    /// The text that every matching value begins with.
    pub(crate) fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some((Gap::None, text)) => text,
            _ => "",
        }
    }

    /// Roughly the memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.pieces.iter().map(|(_, text)| size_of::<(Gap, String)>() + text.len()).sum::<usize>()
    }

    /// Whether a value has this shape.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let mut rest = value;
        let last = self.pieces.len().checked_sub(1);
        for (i, (before, text)) in self.pieces.iter().enumerate() {
            let Some(from) = after_gap(rest, *before) else { return false };
            let is_suffix = self.end == Gap::None && Some(i) == last;
            // Of the places of a text the first one leaves most to the others.
            let found = match (before, is_suffix) {
                (Gap::None, _) => from.strip_prefix(text.as_str()),
                (_, true) => from.ends_with(text.as_str()).then_some(""),
                (_, false) => from.find(text.as_str()).map(|at| &from[at + text.len()..]),
            };
            match found {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        match self.end {
            Gap::None => rest.is_empty(),
            Gap::Any => true,
            Gap::Some => !rest.is_empty(),
        }
    }
}

/// What is left when the gap has taken the least that it may.
fn after_gap(text: &str, gap: Gap) -> Option<&str> {
    match gap {
        Gap::None | Gap::Any => Some(text),
        Gap::Some => {
            let mut chars = text.chars();
            chars.next()?;
            Some(chars.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_their_order() {
        let glob = |pieces: &[(Option<bool>, &str)], end| {
            let mut glob = Glob::default();
            pieces.iter().for_each(|(before, text)| glob.push(*before, (*text).to_owned()));
            glob.end(end);
            glob
        };
        let any = Some(false);
        let some = Some(true);
        for (shape, value, expected) in [
            (glob(&[(None, "a"), (any, "b")], None), "ab", true),
            (glob(&[(None, "a"), (some, "b")], None), "ab", false),
            (glob(&[(None, "a"), (some, "b")], None), "aéb", true),
            (glob(&[(None, "a"), (any, "a")], None), "a", false),
            (glob(&[(any, "ab"), (any, "b")], any), "abxbx", true),
            (glob(&[(any, "ab"), (any, "b")], None), "abab", true),
            (glob(&[(some, "b")], some), "bbb", true),
            (glob(&[(some, "b")], some), "bb", false),
            (glob(&[], some), "", false),
            (glob(&[], any), "", true),
        ] {
            assert_eq!(shape.matches(value), expected, "{shape:?} {value}");
        }
    }
}
