//! Label names: escaping, and the memory of what attribute keys become.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::options::Options;

/// How many attribute keys are remembered, for the reason that metric names are bounded.
const REMEMBERED: usize = 20_000;

/// A label name by its place in the memory. Equal names have equal ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameId(u32);

/// Remembers the names of labels by attribute key.
#[derive(Debug, Default)]
pub(crate) struct LabelNames {
    by_key: HashMap<Box<str>, Option<NameId>, RandomState>,
    by_name: HashMap<Box<str>, NameId, RandomState>,
    names: Vec<Box<str>>,
}

impl LabelNames {
    /// Makes room before a point is translated: ids are good until the next call.
    pub(crate) fn make_room(&mut self) {
        if self.by_key.len() >= REMEMBERED {
            *self = LabelNames::default();
        }
    }

    /// The id of the name of an attribute, or `None` where no name remains.
    pub(crate) fn id(&mut self, options: &Options, key: &str) -> Option<NameId> {
        if let Some(id) = self.by_key.get(key) {
            return *id;
        }
        let id = label_name(options, key).map(|name| {
            *self.by_name.entry(name.into_boxed_str()).or_insert_with_key(|name| {
                self.names.push(name.clone());
                NameId(self.names.len() as u32 - 1)
            })
        });
        self.by_key.insert(key.into(), id);
        id
    }

    /// The name.
    pub(crate) fn get(&self, id: NameId) -> &str {
        &self.names[id.0 as usize]
    }
}

/// The label name of an attribute key, or `None` where nothing but underscores remains.
pub(crate) fn label_name(options: &Options, key: &str) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    if !options.strategy.escapes() {
        return Some(key.to_owned());
    }
    let reserved = key.len() > 4 && key.starts_with("__") && key.ends_with("__");
    let inner = if reserved { &key[2..key.len() - 2] } else { key };
    let mut name = String::with_capacity(key.len() + 4);
    for c in inner.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || options.keep_multiple_underscores || !name.ends_with('_') {
            name.push(c);
        }
    }
    if reserved {
        name = format!("__{name}__");
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    } else if name.bytes().all(|b| b == b'_') {
        return (name == key).then_some(name);
    } else if options.sanitize_leading_underscore && name.starts_with('_') && !name.starts_with("__") {
        name.insert_str(0, "key");
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Strategy;

    #[test]
    fn names_are_escaped() {
        let default = Options::default();
        let single = Options { keep_multiple_underscores: false, ..Options::default() };
        let permissive = Options { sanitize_leading_underscore: false, ..Options::default() };
        let utf8 = Options { strategy: Strategy::NoTranslation, ..Options::default() };
        for (options, key, expected) in [
            (&default, "http.method", Some("http_method")),
            (&default, "a..b", Some("a__b")),
            (&single, "a..b", Some("a_b")),
            (&default, "1st", Some("key_1st")),
            (&default, "_private", Some("key_private")),
            (&permissive, "_private", Some("_private")),
            (&default, "__double", Some("__double")),
            (&default, "__reserved__", Some("__reserved__")),
            (&single, "__a.-b__", Some("__a_b__")),
            (&default, "a:b", Some("a_b")),
            (&default, "größe", Some("gr__e")),
            (&default, "..", None),
            (&default, "ü", None),
            (&default, "", None),
            (&utf8, "http.method", Some("http.method")),
            (&utf8, "", None),
        ] {
            assert_eq!(label_name(options, key).as_deref(), expected, "{key:?}");
        }
    }

    #[test]
    fn keys_that_fall_together_share_an_id_and_memory_is_bounded() {
        let mut names = LabelNames::default();
        let options = Options::default();
        assert_eq!(names.id(&options, "a.b"), names.id(&options, "a_b"));
        for i in 0..REMEMBERED * 2 {
            names.make_room();
            let id = names.id(&options, &format!("k{i}")).unwrap();
            assert_eq!(names.get(id), format!("k{i}"));
        }
        assert!(names.by_key.len() <= REMEMBERED);
    }
}
