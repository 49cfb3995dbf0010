//! Small things that come from outside: durations, the headers of the agent link.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use sonde_model::Signal;
use sonde_proto::agent_link::{self, AGENT_ID, EPOCH};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(ms) = sonde_model::duration::parse_duration_ms(text)
    {
        let printed = sonde_model::duration::DurationMs(ms).to_string();
        assert_eq!(sonde_model::duration::parse_duration_ms(&printed), Ok(ms), "{printed}");
    }
    let mut fields = bytes.splitn(3, |b| *b == b'\n');
    let (agent, epoch, seq) = (fields.next(), fields.next(), fields.next());
    let header = |name: &str| match name {
        AGENT_ID => agent,
        EPOCH => epoch,
        _ => seq,
    };
    if let Ok(Some(batch)) = agent_link::parse(Signal::Metrics, header) {
        let headers = agent_link::format(&batch);
        let again = agent_link::parse(Signal::Metrics, |name| {
            headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_bytes())
        });
        assert_eq!(again, Ok(Some(batch)));
    }
});
