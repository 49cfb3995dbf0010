//! The data that both are given: counters with resets, gauges, gaps, series that end, classic histograms.

use sonde_proto::remote_write::{Label, Sample, TimeSeries, WriteRequest, encode};

/// How long the data is, and how far apart its samples are, in milliseconds.
const LENGTH: i64 = 40 * 60_000;
const STEP: i64 = 15_000;
/// The bits that say: the series has ended.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Some 70 series.
pub(super) struct Data {
    /// The first and the last whole second within the data, in milliseconds.
    pub(super) start: i64,
    pub(super) end: i64,
    series: Vec<TimeSeries>,
}

impl Data {
    /// Data that ends ten minutes before `now`.
    pub(super) fn new(seed: u64, now: i64) -> Self {
        let end = (now - 10 * 60_000) / 60_000 * 60_000;
        let mut data = Data { start: end - LENGTH, end, series: Vec::new() };
        let mut rng = fastrand::Rng::with_seed(seed);
        for job in ["api", "web", "db"] {
            for instance in 0..3 {
                let of = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
                    let mut labels = vec![("job", job.to_owned()), ("instance", format!("host-{instance}:9100"))];
                    labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
                    labels
                };
                for code in ["200", "404", "500"] {
                    data.counter(&mut rng, "http_requests_total", of(&[("code", code)]));
                }
                data.gauge(&mut rng, "temperature_celsius", of(&[("zone", &format!("z{}", instance % 2))]));
                data.gauge(&mut rng, "memory_bytes", of(&[]));
                if job != "db" {
                    data.histogram(&mut rng, "latency_seconds", of(&[]));
                }
            }
        }
        data
    }

    /// The data as remote write requests, in pieces that both take.
    pub(super) fn requests(&self) -> Vec<Vec<u8>> {
        let request = |series: &[TimeSeries]| {
            let body = encode(&WriteRequest { timeseries: series.to_vec(), ..WriteRequest::default() });
            snap::raw::Encoder::new().compress_vec(&body).expect("it is small")
        };
        self.series.chunks(20).map(request).collect()
    }

    /// Increments of uneven size, now and then back to zero.
    fn counter(&mut self, rng: &mut fastrand::Rng, name: &str, labels: Vec<(&str, String)>) {
        let speed = rng.f64() * 50.0;
        let mut value = rng.u32(50_000..100_000) as f64;
        // What is small after a gap is of the class "extrapolation to zero".
        let (resets, mut first) = (rng.bool(), true);
        self.push(rng, name, labels, !resets, |rng| {
            let reset = resets && !std::mem::take(&mut first) && rng.u32(..60) == 0;
            value = if reset { rng.u32(..20) as f64 } else { value + (rng.f64() * speed).floor() };
            value
        });
    }

    /// A wandering value, also below zero.
    fn gauge(&mut self, rng: &mut fastrand::Rng, name: &str, labels: Vec<(&str, String)>) {
        let scale = [1.0, 0.001, 1e6][rng.usize(..3)];
        let mut value = (rng.f64() - 0.3) * 40.0;
        self.push(rng, name, labels, true, |rng| {
            value += rng.f64() * 4.0 - 2.0;
            value * scale
        });
    }

    /// Cumulative buckets with count and sum.
    fn histogram(&mut self, rng: &mut fastrand::Rng, name: &str, labels: Vec<(&str, String)>) {
        const BOUNDS: [&str; 7] = ["0.005", "0.05", "0.1", "0.5", "1", "5", "+Inf"];
        let mut columns = vec![Vec::new(); BOUNDS.len()];
        let mut counts: [f64; BOUNDS.len()] = std::array::from_fn(|i| 50_000.0 * (i + 1) as f64);
        let times = times(self.start, rng);
        for time in &times {
            for _ in 0..rng.u32(..30) {
                let from = rng.usize(..BOUNDS.len());
                counts[from..].iter_mut().for_each(|count| *count += 1.0);
            }
            for (column, count) in columns.iter_mut().zip(counts) {
                column.push(Sample { value: count, timestamp: *time });
            }
        }
        for (bound, samples) in BOUNDS.iter().zip(&columns) {
            let mut labels = labels.clone();
            labels.push(("le", (*bound).to_owned()));
            self.add(&format!("{name}_bucket"), labels, samples.clone());
        }
        self.add(&format!("{name}_count"), labels, columns[BOUNDS.len() - 1].clone());
    }

    fn push(
        &mut self,
        rng: &mut fastrand::Rng,
        name: &str,
        labels: Vec<(&str, String)>,
        gaps: bool,
        mut value: impl FnMut(&mut fastrand::Rng) -> f64,
    ) {
        let times = times(self.start, rng);
        // Some series pause, some end with a stale marker, some begin late.
        let gap = (gaps && rng.u32(..3) == 0).then(|| rng.usize(..times.len()));
        let end = if rng.u32(..6) == 0 { rng.usize(times.len() / 2..times.len()) } else { times.len() };
        let begin = if gaps && rng.u32(..6) == 0 { rng.usize(..times.len() / 2) } else { 0 };
        let mut samples = Vec::new();
        for (i, timestamp) in times.into_iter().enumerate() {
            let value = value(rng);
            let paused = gap.is_some_and(|gap| (gap..gap + 30).contains(&i));
            if i == end {
                samples.push(Sample { value: f64::from_bits(STALE), timestamp });
            }
            if (begin..end).contains(&i) && !paused {
                samples.push(Sample { value, timestamp });
            }
        }
        self.add(name, labels, samples);
    }

    fn add(&mut self, name: &str, labels: Vec<(&str, String)>, samples: Vec<Sample>) {
        let mut labels: Vec<Label> =
            labels.into_iter().map(|(name, value)| Label { name: name.to_owned(), value }).collect();
        labels.push(Label { name: "__name__".to_owned(), value: name.to_owned() });
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        self.series.push(TimeSeries { labels, samples, ..TimeSeries::default() });
    }
}

/// The times of a series. They never fall on a tenth of a second, where ranges and steps of the queries do: from 3.0 on
/// ranges are open on the left (the class "left-open ranges"), and no sample may lie on their border.
fn times(start: i64, rng: &mut fastrand::Rng) -> Vec<i64> {
    let offset = rng.i64(0..STEP / 100) * 100;
    (0..LENGTH / STEP).map(|i| start + i * STEP + offset.min(14_000) + rng.i64(1..99)).collect()
}
