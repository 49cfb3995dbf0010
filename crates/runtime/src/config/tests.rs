//! What a user sees when a configuration is wrong.

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    endpoint: String,
    interval: Duration,
    queue: Queue,
    targets: Vec<Target>,
    mode: Mode,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Queue {
    max_bytes: ByteSize,
    enabled: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Target {
    url: String,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Human,
    Json,
}

#[test]
fn a_good_file_loads() {
    let text = "# a comment\nendpoint: http://h:4317\ninterval: 1m30s\nqueue:\n  max_bytes: 64MiB\n  enabled: true\n\
                targets:\n  - url: http://a/metrics\nmode: json\n";
    let expected = Sample {
        endpoint: "http://h:4317".into(),
        interval: Duration::from_secs(90),
        queue: Queue { max_bytes: ByteSize::mib(64), enabled: true },
        targets: vec![Target { url: "http://a/metrics".into() }],
        mode: Mode::Json,
    };
    assert_eq!(load::<Sample>(text, "agent.yaml").unwrap(), expected);
}

#[test]
fn a_blank_file_gives_the_defaults() {
    for text in ["", "\n\n", "# nothing\n  # here\n"] {
        assert_eq!(load::<Sample>(text, "agent.yaml").unwrap(), Sample::default(), "{text:?}");
    }
}

#[test]
fn mistakes_name_their_place_and_what_to_do() {
    for (text, message) in [
        ("endpoint: a\nintervall: 1s\n", "agent.yaml:2:1: unknown key `intervall`, did you mean `interval`?"),
        ("queue:\n  max_byte: 1MiB\n", "agent.yaml:2:3: unknown key `max_byte`, did you mean `max_bytes`?"),
        (
            "colour: red\n",
            "agent.yaml:1:1: unknown key `colour`; known are `endpoint`, `interval`, `queue`, `targets`, `mode`",
        ),
        ("mode: jsom\n", "agent.yaml:1:7: unknown value `jsom`, did you mean `json`?"),
        ("targets:\n  - {}\n", "agent.yaml:2:5: key `url` is missing"),
        (
            "interval: 5\n",
            "agent.yaml:1:11: `5` is no duration; write a number and a unit, as in 250ms, 15s, 5m or 1h30m",
        ),
        (
            "queue:\n  max_bytes: lots\n",
            "agent.yaml:2:14: `lots` is no size; write a whole number and a unit, as in 512KiB, 64MiB or 2GiB",
        ),
    ] {
        assert_eq!(load::<Sample>(text, "agent.yaml").unwrap_err().to_string(), message, "{text:?}");
    }
}

#[test]
fn other_mistakes_name_their_line() {
    for (text, line) in [
        ("endpoint: a\nendpoint: b\n", 2),
        ("endpoint: [a\n", 1),
        ("endpoint: a\nqueue:\n  enabled: yes please\n", 3),
        ("endpoint: a\nqueue: 7\n", 2),
        ("endpoint: a\n---\nendpoint: b\n", 2),
    ] {
        let error = load::<Sample>(text, "agent.yaml").unwrap_err();
        let ConfigError::Invalid { line: found, message, .. } = &error else { panic!("{error}") };
        assert!(found.abs_diff(line) <= 1 && *found > 0, "{text:?}: {error}");
        assert!(!message.is_empty() && !message.contains('\n'), "{text:?}: {error}");
    }
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    let deep = format!("endpoint: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let block = (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n";
    for text in [deep.as_str(), block.as_str(), laughs] {
        assert!(matches!(load::<Sample>(text, "agent.yaml"), Err(ConfigError::Invalid { .. })));
    }
    let long = format!("endpoint: {}", "x".repeat(MAX_CONFIG_BYTES));
    assert!(matches!(load::<Sample>(&long, "agent.yaml"), Err(ConfigError::TooLarge { .. })));
}

#[test]
fn files_are_named_in_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.yaml");
    assert!(matches!(load_file::<Sample>(&path), Err(ConfigError::Unreadable { .. })));
    std::fs::write(&path, "nope: 1\n").unwrap();
    let error = load_file::<Sample>(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:1:1: unknown key `nope`", path.display())), "{error}");
    std::fs::write(&path, "x".repeat(MAX_CONFIG_BYTES + 1)).unwrap();
    assert!(matches!(load_file::<Sample>(&path), Err(ConfigError::TooLarge { .. })));
}
