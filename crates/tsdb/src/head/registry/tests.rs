use std::collections::BTreeMap;

use proptest::prelude::*;
use sonde_model::{MatchOp, Matcher};

use super::*;
use crate::index::resolve::resolve;

fn registry() -> Registry {
    let mut registry = Registry::default();
    for (i, instance) in ["a", "b", "c", "d"].iter().enumerate() {
        registry.insert(&[("__name__", "up"), ("instance", instance)]);
        if i % 2 == 0 {
            registry.insert(&[("__name__", "cpu"), ("instance", instance), ("mode", "idle")]);
        }
    }
    registry
}

fn check(registry: &Registry, matchers: &[(&str, MatchOp, &str)], expected: &[&str]) {
    let matchers: Vec<Matcher> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
    let Ok(found) = resolve(registry, &matchers);
    let mut texts: Vec<String> = found.iter().map(|slot| registry.labels(*slot).to_string()).collect();
    texts.sort();
    assert_eq!(texts, expected, "{matchers:?}");
    // The index must say what asking each series says.
    let asked = registry.live_slots().filter(|slot| {
        let labels = registry.labels(*slot);
        matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")))
    });
    assert_eq!(found, asked.collect::<Vec<_>>());
}

#[test]
fn matchers_select_series() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let mut registry = registry();
    let up = |i: &str| format!("up{{instance=\"{i}\"}}");
    let cpu = |i: &str| format!("cpu{{instance=\"{i}\", mode=\"idle\"}}");
    check(&registry, &[("__name__", Equal, "cpu")], &[&cpu("a"), &cpu("c")]);
    check(&registry, &[("instance", Regex, "a|c"), ("__name__", Equal, "up")], &[&up("a"), &up("c")]);
    check(&registry, &[("mode", Equal, ""), ("instance", NotRegex, "a|b.*")], &[&up("c"), &up("d")]);
    check(&registry, &[("mode", NotEqual, ""), ("instance", NotEqual, "a")], &[&cpu("c")]);
    check(&registry, &[("mode", Regex, "id.*"), ("instance", Regex, "[a-b]")], &[&cpu("a")]);
    check(&registry, &[("mode", Regex, ".*"), ("__name__", Regex, "c.+")], &[&cpu("a"), &cpu("c")]);
    check(&registry, &[("mode", NotRegex, ".+"), ("instance", Equal, "a")], &[&up("a")]);
    check(&registry, &[("nothing", Equal, "x")], &[]);
    check(&registry, &[("__name__", NotEqual, "up")], &[&cpu("a"), &cpu("c")]);

    let gone = registry.find(&[("__name__", "up"), ("instance", "c")]).unwrap();
    let stays = registry.find(&[("__name__", "up"), ("instance", "d")]).unwrap();
    registry.remove(&[gone.slot]);
    assert_eq!(registry.find(&[("__name__", "up"), ("instance", "c")]), None);
    assert_eq!(registry.find(&[("__name__", "up"), ("instance", "d")]), Some(stays));
    let again = registry.insert(&[("__name__", "up"), ("instance", "e")]);
    assert_eq!((again.slot, again.generation), (gone.slot, gone.generation + 1));
    check(&registry, &[("__name__", Equal, "up")], &[&up("a"), &up("b"), &up("d"), &up("e")]);
}

#[test]
fn a_series_without_labels_finds_a_place_in_a_slot_without_room() {
    let mut registry = Registry::default();
    let slots: Vec<u32> = (0..9).map(|i| registry.insert(&[("n", &i.to_string())]).slot).collect();
    registry.remove(&slots);
    registry.tidy();
    let bare = registry.insert(&[]);
    assert_eq!((registry.labels(bare.slot).to_string().as_str(), registry.find(&[])), ("{}", Some(bare)));
}

/// Labels out of few names and values, so that series share them; values of long-lived and of short-lived labels.
fn labels_of(n: u16) -> Vec<(String, String)> {
    let mut labels = vec![("__name__".to_owned(), format!("m{}", n % 5))];
    if n.is_multiple_of(3) {
        labels.push(("a".to_owned(), format!("v{}", n / 300)));
    }
    labels.push(("id".to_owned(), n.to_string()));
    if n % 7 == 1 {
        labels.push(("m1".to_owned(), "m1".to_owned()));
    }
    labels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Series come and go as they please: the index, the look-up and the listings say what a map says.
    #[test]
    fn it_is_a_map_with_an_index(
        steps in prop::collection::vec((0u16..1_500, 1u16..900, prop::bool::weighted(0.55)), 1..8),
    ) {
        let mut registry = Registry::default();
        let mut expected: BTreeMap<u16, SeriesRef> = BTreeMap::new();
        for (from, n, adds) in steps {
            let mut going = Vec::new();
            for number in from..from + n {
                let labels = labels_of(number);
                let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                prop_assert_eq!(registry.find(&labels), expected.get(&number).copied());
                if adds && !expected.contains_key(&number) {
                    expected.insert(number, registry.insert(&labels));
                } else if !adds && let Some(series) = expected.remove(&number) {
                    going.push(series.slot);
                    prop_assert_eq!(registry.generation(series.slot), Some(series.generation));
                }
            }
            registry.remove(&going);
            registry.tidy();
            prop_assert_eq!(registry.len(), expected.len());
            for (number, series) in &expected {
                let labels = labels_of(*number);
                prop_assert_eq!(registry.labels(series.slot), Labels::from_pairs(labels));
                prop_assert_eq!(registry.generation(series.slot), Some(series.generation));
            }
            for pattern in ["v1|v2", "v.*", ".*3", "[0-9]+7", ".*"] {
                for (name, other) in [("a", "id"), ("id", "__name__"), ("__name__", "m1"), ("m1", "a")] {
                    for (op, narrow) in [(MatchOp::Regex, MatchOp::Equal), (MatchOp::NotRegex, MatchOp::NotEqual)] {
                        let matchers =
                            [Matcher::new(name, op, pattern).unwrap(), Matcher::new(other, narrow, "m1").unwrap()];
                        let Ok(found) = resolve(&registry, &matchers);
                        let holds = |n: &u16| {
                            let labels = Labels::from_pairs(labels_of(*n));
                            matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")))
                        };
                        let mut asked: Vec<u32> =
                            expected.iter().filter(|(n, _)| holds(n)).map(|(_, series)| series.slot).collect();
                        asked.sort_unstable();
                        prop_assert_eq!(found, asked, "{:?}", matchers);
                    }
                }
            }
            let mut listed: Vec<(String, String, Vec<u32>)> = Vec::new();
            for name in registry.names() {
                let values = registry.values(name);
                listed.extend(values.map(|(v, slots)| (name.to_owned(), v.to_owned(), slots.postings().into_list())));
            }
            listed.sort();
            let mut asked: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
            for (number, series) in &expected {
                labels_of(*number).into_iter().for_each(|label| asked.entry(label).or_default().push(series.slot));
            }
            asked.values_mut().for_each(|slots| slots.sort_unstable());
            prop_assert_eq!(listed, asked.into_iter().map(|((n, v), slots)| (n, v, slots)).collect::<Vec<_>>());
        }
        let all: Vec<u32> = expected.values().map(|series| series.slot).collect();
        registry.remove(&all);
        registry.tidy();
        prop_assert_eq!((registry.len(), registry.names().count(), registry.label_pairs()), (0, 0, 0));
        prop_assert!(registry.pairs.is_empty());
    }
}
