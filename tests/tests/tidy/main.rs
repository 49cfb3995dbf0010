//! The invariants of the architecture, kept by tests: crate edges, banned calls, file sizes, module docs.
//!
//! They speak of non-test library code. An exception stands in the list of its rule with the reason beside it.

mod edges;
mod rules;
mod sources;

use sources::Sources;

#[test]
fn crates_depend_only_on_what_the_design_allows() {
    edges::check();
}

#[test]
fn tokio_stays_at_the_edge() {
    edges::check_only_in(
        &["tokio", "tokio-util", "tokio-rustls", "tonic", "hyper", "hyper-util"],
        &["sonde-runtime", "sonde-otlp", "sonde-agent", "sonde-collector", "sonde"],
    );
}

#[test]
fn json_and_http_stay_at_the_edge() {
    edges::check_only_in(
        &["serde_json", "axum", "http", "http-body-util", "reqwest", "tower", "tower-http"],
        &["sonde-otlp", "sonde-agent", "sonde-collector", "sonde"],
    );
}

#[test]
fn sqlite_stays_in_the_collector() {
    edges::check_only_in(&["rusqlite"], &["sonde-collector"]);
}

#[test]
fn there_is_one_tls_stack_and_no_second_major_of_what_is_large() {
    edges::check_single(&[
        "tokio",
        "tonic",
        "prost",
        "hyper",
        "axum",
        "rustls",
        "ring",
        "h2",
        "zstd",
        "tower-http",
        "http",
    ]);
    edges::check_absent(&["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "serde_yaml"]);
    // The crate of the feature `parquet` of the command brings it.
    edges::check_absent_by_default(&["chrono", "parquet"]);
}

#[test]
fn licences_are_on_the_list() {
    edges::check_licences();
}

#[test]
fn the_clock_is_read_in_one_place() {
    Sources::of_libraries().forbid(&["SystemTime::now", "Instant::now"], &rules::CLOCK);
}

#[test]
fn the_file_system_is_touched_in_named_places() {
    Sources::of_libraries()
        .forbid(&["std::fs", "use std::fs", "tokio::fs", "File::open", "File::create"], &rules::FILES);
}

#[test]
fn only_disk_syncs() {
    Sources::of_libraries().forbid(&[".sync_all(", ".sync_data(", "fsync(", "fdatasync("], &rules::SYNC);
}

#[test]
fn files_are_short() {
    Sources::of_all_code().check_lengths(rules::MAX_LINES, &rules::LONG_FILES);
}

#[test]
fn every_module_says_what_it_is_for() {
    Sources::of_all_code().check_module_docs();
}

#[test]
fn nothing_is_left_for_later_without_a_name() {
    Sources::of_all_code().forbid(&["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("], &[]);
}

#[test]
fn no_room_is_a_junk_drawer() {
    Sources::of_all_code().check_names(&["utils", "util", "common", "helpers", "misc", "manager"]);
}

#[test]
fn panics_on_outside_bytes_are_not_written() {
    Sources::of_libraries().forbid(&[".unwrap()", "unreachable!("], &rules::PANICS);
}
