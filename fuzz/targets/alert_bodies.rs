//! What is posted to Alertmanager's API: the JSON of a silence or of alerts. The matchers of a silence parse again as they are
//! shown.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_alerting::Matchers;
use sonde_alerting::received::ReceivedAlerts;

fuzz_target!(|bytes: &[u8]| {
    let now = 1_800_000_000_000;
    let (silence, alerts) = sonde_collector::read_bodies(bytes.to_vec().into(), now);
    if let Some(silence) = silence {
        let printed = silence.matchers.to_string();
        let again: Matchers = printed.parse().expect("what was printed parses");
        assert_eq!(again, silence.matchers, "{printed}");
    }
    let mut received = ReceivedAlerts::default();
    for alert in alerts.unwrap_or_default() {
        let _ = received.post(alert, now);
    }
    received.take_ended(i64::MAX);
});
