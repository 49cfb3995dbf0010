//! Remote write, both versions: snappy, then the message.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_proto::remote_write::{Limits, Version, WriteRequestView, decompress};

fn walk(version: Version, body: &[u8]) {
    let limits = Limits::default();
    let Ok(view) = WriteRequestView::new(version, body, &limits) else { return };
    let mut metadata = view.series_metadata();
    for series in view.series().flatten() {
        series.labels().for_each(drop);
        series.symbol_refs().into_iter().flatten().for_each(drop);
        series.samples().for_each(drop);
        series.exemplars().flatten().for_each(|exemplar| exemplar.labels().for_each(drop));
        series.histograms().for_each(drop);
        let _ = metadata.read(&series);
    }
    view.metadata().for_each(drop);
}

fuzz_target!(|bytes: &[u8]| {
    let body = decompress(bytes, 1 << 20).ok();
    for version in Version::ALL {
        walk(version, bytes);
        body.iter().for_each(|body| walk(version, body));
    }
});
