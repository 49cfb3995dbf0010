//! No bytes make a decoder panic, and what the encoders write comes back.

use proptest::prelude::*;
use sonde_model::span::TraceId;

use super::bloom::Bloom;
use super::footer::{self, Meta, Tables};
use super::page::{self, Page, Values};
use super::traces::{self, TraceEntry, TracePage};
use crate::codec::text::Interner;
use crate::query::TimeRange;

/// Reads all that a page has.
fn walk(page: &Page, rows: u32) {
    for row in 0..rows {
        // What is of the wrong kind is an error, which is fine.
        let _ = (page.number(row), page.text(row).map(str::len), page.piece(row).map(|p| p.is_some()));
    }
    page.visit_rows(|row, at| {
        assert!(row < rows as usize && page.index(row as u32) == Some(at));
    });
}

fn trace_entries() -> Vec<TraceEntry> {
    let entry = |n: u32| TraceEntry {
        id: TraceId([n as u8; 16]),
        rows: vec![n, n + 3],
        start_ns: 1 << 60,
        end_ns: (1 << 60) + u64::from(n),
        errors: 1,
        root: (n > 1).then(|| ("shop".into(), "GET /".into())),
        services: vec!["shop".into(), "stock".into()],
    };
    (0..3).map(entry).collect()
}

fn flip(bytes: &mut [u8], flips: &[(usize, u8)]) {
    for (at, mask) in flips {
        let at = at % bytes.len();
        bytes[at] ^= mask;
    }
}

proptest! {
    #[test]
    fn numbers_come_back(values in prop::collection::vec(any::<(bool, u64)>(), 1..200)) {
        let rows: Vec<u32> = (0u32..).zip(&values).filter(|(_, v)| v.0).map(|(row, _)| row).collect();
        let present: Vec<u64> = values.iter().filter(|v| v.0).map(|v| v.1).collect();
        let page = Page::read(&page::numbers(&rows, &present, values.len()), values.len()).unwrap();
        for (row, (has, value)) in (0u32..).zip(&values) {
            prop_assert_eq!(page.number(row), Ok(if *has { *value } else { 0 }));
            prop_assert_eq!(page.index(row).is_some(), *has);
        }
        walk(&page, values.len() as u32);
    }

    #[test]
    fn texts_come_back(values in prop::collection::vec("[a-c]{0,2}", 1..50)) {
        let rows: Vec<u32> = (0..values.len() as u32).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let page = Page::read(&page::texts(&rows, &texts, values.len()), values.len()).unwrap();
        for (row, text) in (0u32..).zip(&texts) {
            prop_assert_eq!(page.text(row), Ok(*text));
        }
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), rows in 0usize..70) {
        if let Ok(page) = Page::read(&bytes, rows) {
            walk(&page, rows as u32);
        }
        let _ = TracePage::read(&bytes, rows as u64);
        let _ = footer::decode(&bytes, 1_000);
        let _ = Bloom::read(&bytes).map(|bloom| bloom.contains(7));
    }

    #[test]
    fn damaged_bytes_are_taken_without_panic(flips in prop::collection::vec(any::<(usize, u8)>(), 1..4)) {
        let mut interner = Interner::new();
        interner.id("text");
        let pieces = [vec![1, 1, 0], vec![], vec![2; 9]];
        for mut bytes in [
            page::numbers(&[1, 3, 9], &[5, 70_000, 6], 10),
            page::texts(&[0, 3, 9], &["a", "", "b"], 10),
            page::pieces(&[0, 3, 9], &pieces, &interner, 10),
        ] {
            flip(&mut bytes, &flips);
            if let Ok(page) = Page::read(&bytes, 10) {
                walk(&page, 10);
            }
        }
        let mut bytes = traces::encode(&trace_entries());
        flip(&mut bytes, &flips);
        if let Ok(page) = TracePage::read(&bytes, 10) {
            prop_assert!((0..5).all(|at| page.rows_at(at).is_some() || page.id(at).is_none()));
        }
        let meta = Meta { seq: 1, level: 0, created: 5, rows: 0, traces: 0, range: TimeRange { start_ns: 1, end_ns: 2 } };
        let tables = Tables { loose_keys: [vec!["a".into()], vec![], vec!["b".into()]], ..Tables::default() };
        let mut bytes = footer::encode(&meta, &tables);
        prop_assert_eq!(footer::decode(&bytes, 100).unwrap(), (meta, tables));
        flip(&mut bytes, &flips);
        let _ = footer::decode(&bytes, 100);
    }
}

#[test]
fn traces_come_back() {
    let entries = trace_entries();
    let page = TracePage::read(&traces::encode(&entries), 10).unwrap();
    for entry in &entries {
        assert_eq!(page.rows_of(entry.id), Some(entry.rows.as_slice()));
    }
    assert_eq!(page.rows_of(TraceId([9; 16])), None);
    assert!(TracePage::read(&traces::encode(&entries), 4).is_err(), "rows that a block does not have");
}

#[test]
fn pieces_come_back() {
    let interner = Interner::new();
    let pieces = [vec![1, 2, 3], Vec::new(), vec![4]];
    let page = Page::read(&page::pieces(&[2, 4, 5], &pieces, &interner, 8), 8).unwrap();
    assert!(matches!(page.values, Values::Pieces { .. }));
    let found: Vec<Option<Vec<u8>>> =
        (0..8).map(|row| page.piece(row).unwrap().map(|(reader, _)| reader.rest().to_vec())).collect();
    assert_eq!(found.iter().flatten().cloned().collect::<Vec<_>>(), pieces);
    assert!(found[2].is_some() && found[4].is_some() && found[5].is_some());
}
