//! Remote write: snappy, then the message.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_proto::remote_write::{Limits, WriteRequestView, decompress};

fn walk(body: &[u8]) {
    let limits = Limits::default();
    let Ok(view) = WriteRequestView::new(body, &limits) else { return };
    for series in view.series().flatten() {
        series.labels().for_each(drop);
        series.samples().for_each(drop);
        series.exemplars().for_each(drop);
        series.histograms().for_each(drop);
    }
    view.metadata().for_each(drop);
}

fuzz_target!(|bytes: &[u8]| {
    walk(bytes);
    if let Ok(body) = decompress(bytes, 1 << 20) {
        walk(&body);
    }
});
