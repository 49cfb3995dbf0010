//! Names with `*` in them, as configuration uses to leave devices and interfaces out.

use serde::{Deserialize, Serialize};

/// A list of names; `*` in a name stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Patterns(pub Vec<String>);

impl Patterns {
    /// A list from literals, for defaults.
    pub fn of(patterns: &[&str]) -> Self {
        Patterns(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
    }

    /// Whether any of the patterns covers `name`.
    pub fn cover(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| covers(pattern.as_bytes(), name.as_bytes()))
    }
}

/// Greedy matching with one point of return: linear for what people write, never exponential.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star_p, star_n)) = star {
            p = star_p + 1;
            n = star_n + 1;
            star = Some((star_p, star_n + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, covered) in [
            ("lo", "lo", true),
            ("lo", "lo0", false),
            ("veth*", "veth12ab", true),
            ("veth*", "eth0", false),
            ("*", "", true),
            ("/run/*/x", "/run/a/b/x", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(Patterns::of(&[pattern]).cover(name), covered, "{pattern} {name}");
        }
    }
}
