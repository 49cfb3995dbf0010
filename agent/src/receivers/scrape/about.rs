//! What is said about a target itself, beside what is on its page.

use sonde_proto::otlp::metrics::Metric;

use super::labels::{Labels, TargetLabels};
use super::shape::{Number, NumberKind};
use super::{Failure, ScrapeConfig};

/// Says of a target whether it could be read, and how it is read.
#[derive(Debug)]
pub(super) struct About {
    labels: Labels,
    /// The labels of `scrape_target_info` but the reason of the last failure. The collector lists targets by them:
    /// `collector/src/api/prometheus/targets/known.rs`.
    info: Labels,
    /// The labels under which that was said last.
    said: Option<Labels>,
}

impl About {
    pub(super) fn new(url: &str, config: &ScrapeConfig, labels: &TargetLabels) -> Self {
        let mut info = labels.own();
        let (interval, timeout) = (config.interval.to_string(), config.timeout.to_string());
        for (name, value) in [("scrape_url", url), ("scrape_interval", &interval), ("scrape_timeout", &timeout)] {
            info.retain(|(own, _)| own != name);
            info.push((name.to_owned(), value.to_owned()));
        }
        info.sort_unstable();
        About { labels: labels.own(), info, said: None }
    }

    /// What a reading came to.
    pub(super) fn reading(
        &mut self,
        time_ns: i64,
        failure: Option<Failure>,
        took_seconds: f64,
        samples: u64,
    ) -> Vec<Metric> {
        let up = if failure.is_none() { 1.0 } else { 0.0 };
        let mut metrics = self.numbers(time_ns, [up, took_seconds, samples as f64].map(Some));
        let mut info = self.info.clone();
        if let Some(failure) = failure {
            info.push(("scrape_error".to_owned(), failure.as_str().to_owned()));
            info.sort_unstable();
        }
        metrics.extend(self.said.take().filter(|said| *said != info).map(|said| target_info(said, time_ns, None)));
        metrics.push(target_info(info.clone(), time_ns, Some(1.0)));
        self.said = Some(info);
        metrics
    }

    /// The ends of all series that were begun.
    pub(super) fn end(&mut self, time_ns: i64) -> Vec<Metric> {
        let mut metrics = self.numbers(time_ns, [None; 3]);
        metrics.extend(self.said.take().map(|said| target_info(said, time_ns, None)));
        metrics
    }

    fn numbers(&self, time_ns: i64, values: [Option<f64>; 3]) -> Vec<Metric> {
        let series = [
            ("up", "Whether the page could be read."),
            ("scrape_duration_seconds", "How long reading the page took."),
            ("scrape_samples_scraped", "Samples on the page."),
        ];
        let metric = |((name, help), value)| gauge(self.labels.clone(), time_ns, value).into_metric(name, help);
        series.into_iter().zip(values).map(metric).collect()
    }
}

fn target_info(labels: Labels, time_ns: i64, value: Option<f64>) -> Metric {
    let help = "How the page is read, and why it could not be the last time.";
    gauge(labels, time_ns, value).into_metric("scrape_target_info", help)
}

/// No value ends the series.
fn gauge(labels: Labels, time_ns: i64, value: Option<f64>) -> Number {
    Number { kind: NumberKind::Gauge, labels, time_ns, start_ns: 0, value, exemplars: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sonde_proto::otlp::metrics::{metric, number_data_point};

    use super::*;

    /// `name{label=value,...} value`, or `ends`.
    fn told(metrics: &[Metric]) -> Vec<String> {
        let line = |metric: &Metric| {
            let Some(metric::Data::Gauge(gauge)) = &metric.data else { panic!("{metric:?}") };
            let point = &gauge.data_points[0];
            let labels = point.attributes.iter().filter(|label| label.key.starts_with("scrape_"));
            let labels: Vec<&str> = labels.map(|label| label.key.as_str()).collect();
            match point.value {
                Some(number_data_point::Value::AsDouble(value)) => format!("{}{labels:?} {value}", metric.name),
                _ => format!("{}{labels:?} ends", metric.name),
            }
        };
        metrics.iter().map(line).collect()
    }

    #[test]
    fn why_a_page_cannot_be_read_is_told_while_it_is_so() {
        let config: ScrapeConfig = sonde_runtime::config::load("{job: a, urls: []}", "test").expect("a configuration");
        let labels = TargetLabels::new(&BTreeMap::new());
        let mut about = About::new("http://h:1/metrics", &config, &labels);
        const INFO: &str = "scrape_target_info[\"scrape_interval\", \"scrape_timeout\", \"scrape_url\"]";
        const BROKEN: &str =
            "scrape_target_info[\"scrape_error\", \"scrape_interval\", \"scrape_timeout\", \"scrape_url\"]";
        let numbers = |up, took, samples| {
            [
                format!("up[] {up}"),
                format!("scrape_duration_seconds[] {took}"),
                format!("scrape_samples_scraped[] {samples}"),
            ]
        };
        let mut check = |failure, up, infos: &[String]| {
            let expected = [&numbers(up, 0.5, 7)[..], infos].concat();
            assert_eq!(told(&about.reading(1, failure, 0.5, 7)), expected);
        };
        check(None, 1, &[format!("{INFO} 1")]);
        check(None, 1, &[format!("{INFO} 1")]);
        check(Some(Failure::Timeout), 0, &[format!("{INFO} ends"), format!("{BROKEN} 1")]);
        check(Some(Failure::Status), 0, &[format!("{BROKEN} ends"), format!("{BROKEN} 1")]);
        check(None, 1, &[format!("{BROKEN} ends"), format!("{INFO} 1")]);
        assert_eq!(told(&about.end(2)).len(), 4);
        assert_eq!(told(&about.end(2)).len(), 3, "what has ended does not end again");
    }
}
