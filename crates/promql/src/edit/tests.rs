//! Texts with a cursor, texts with mistakes, and what is said of them.

use proptest::prelude::*;

use super::*;

/// What is offered at `|`: what has to be asked for, then the first candidates.
fn offered(text: &str) -> String {
    let cursor = text.find('|').expect("a cursor");
    let text = text.replacen('|', "", 1);
    let completion = complete(&text, cursor);
    let mut words = Vec::new();
    match completion.ask {
        None => {}
        Some(Ask::Metrics) => words.push("metrics".to_owned()),
        Some(Ask::Labels { selector }) => words.push(format!("labels of <{selector}>")),
        Some(Ask::LabelValues { label, selector }) => {
            words
                .push(format!("values of {label} of <{selector}>{}", if completion.quote { " in quotes" } else { "" }));
        }
    }
    words.extend(completion.candidates.iter().take(4).map(|candidate| candidate.text.trim().to_owned()));
    let replaced = &text[completion.replace.start as usize..completion.replace.end as usize];
    format!("{replaced}: {}", words.join(" "))
}

#[test]
fn what_may_stand_at_the_cursor() {
    for (text, expected) in [
        ("|", ": metrics abs( absent( absent_over_time( acos("),
        ("rat|", "rat: metrics rate( irate( limit_ratio"),
        ("sum(ra|", "ra: metrics rad( range( rate( histogram_avg("),
        ("sum |", ": by ( without ( ("),
        ("sum b|", "b: by ("),
        ("sum by (|) (rate(http_requests_total{code=\"500\"}[5m]))", ": labels of <http_requests_total>"),
        ("sum by (a, i|) (up)", "i: labels of <up>"),
        ("sum(up) by (|", ": labels of <up>"),
        ("sum(up) |", ": by ( without ( offset @"),
        ("up |", ": offset @ + -"),
        ("up an|", "an: and atan2"),
        ("up{|", ": labels of <up>"),
        ("up{job=\"a\", in|", "in: labels of <up{job=\"a\"}>"),
        ("up{job|", "job: labels of <up>"),
        ("up{job |", ": = != =~ !~"),
        ("up{job=|", ": values of job of <up> in quotes"),
        ("up{job=\"|", ": values of job of <up>"),
        ("up{job=~\"no.e-|\"}", "no.e-: values of job of <up>"),
        ("{__name__=\"up\",\"http.route\"=\"|", ": values of http.route of <{__name__=\"up\"}>"),
        ("up{job=\"a\"|", ": , }"),
        ("up[|", ": 30s 1m 5m 10m"),
        ("up[1|", "1: 1ms 1s 1m 1h"),
        ("rate(up[5m:|", ": 30s 1m 5m 10m"),
        ("up offset |", ": 30s 1m 5m 10m"),
        ("up @ |", ": start() end()"),
        ("up == |", ": metrics bool on ( ignoring ( abs("),
        ("a + on (x) |", ": metrics group_left ( group_right ( fill ( abs("),
        ("a + on (x) group_left (|) b", ": labels of <b>"),
        ("-|", ": metrics abs( absent( absent_over_time( acos("),
        ("1|", "1: "),
        ("label_replace(up, \"|", ": "),
        ("é|", ": metrics abs( absent( absent_over_time( acos("),
    ] {
        assert_eq!(offered(text), expected, "{text}");
    }
}

#[test]
fn functions_tell_what_they_take() {
    let completion = complete("round", 5);
    assert_eq!(completion.candidates[0].detail, "(instant vector, scalar?) instant vector");
    let completion = complete("label_join", 10);
    assert_eq!(completion.candidates[0].detail, "(instant vector, string, string, string?, ...) instant vector");
}

/// All that is wrong with a text: the part, and what was probably meant.
fn wrong(text: &str) -> Vec<String> {
    let diagnosis = diagnose(text);
    let told = |error: &crate::ParseError| {
        let part = &text[error.span.start as usize..error.span.end as usize];
        let meant = suggestion(text, error).map(|word| format!(" ({word}?)")).unwrap_or_default();
        format!("{part}: {}{meant}", error.message)
    };
    diagnosis.errors.iter().map(told).collect()
}

#[test]
fn all_mistakes_are_found() {
    for (text, expected) in [
        ("up", &[][..]),
        (
            "rat(up[5m]) + summ(up) + up",
            &["rat: unknown function with name \"rat\" (rate?)", "summ: unknown function with name \"summ\" (sum?)"],
        ),
        ("sum(up) bye (job)", &["bye: unexpected identifier \"bye\" (by?)"]),
        ("up ofset 5m", &["ofset: unexpected identifier \"ofset\" (offset?)"]),
        (
            "sum(rate(a)) + max(b[5m]) * (1 + on (x) c)",
            &[
                "a: expected type range vector in call to function \"rate\", got instant vector",
                "b[5m]: expected type instant vector in aggregation expression, got range vector",
                "1 + on (x) c: vector matching only allowed between instant vectors",
            ],
        ),
        (
            "a{x=} + b{y=\"1\" z} + c",
            &[
                "}: unexpected \"}\" in label matching, expected string",
                "z: unexpected identifier \"z\" in label matching, expected \",\" or \"}\"",
            ],
        ),
        ("sum(", &[": unclosed left parenthesis"]),
        ("", &[": no expression found in input"]),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn what_is_whole_is_read_beside_what_is_not() {
    let diagnosis = diagnose("sum(up) + rate(a b) - down");
    let printed = diagnosis.expr.expect("a tree").to_string();
    assert!(printed.starts_with("sum(up) + ") && printed.ends_with(" - down"), "{printed}");
    assert_eq!(diagnosis.broken.len(), 1);
}

#[test]
fn near_words_are_found() {
    for (word, expected) in [
        ("rat", Some("rate")),
        ("irat", Some("irate")),
        ("hsitogram_quantile", Some("histogram_quantile")),
        ("histogram_quant", Some("histogram_quantile")),
        ("xyzzy", None),
    ] {
        assert_eq!(closest(word, crate::functions::TABLE.iter().map(|row| row.name)), expected, "{word}");
    }
}

/// Texts that look like PromQL, and worse.
fn texts() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "sum",
        "rate",
        "up",
        "by",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "5m",
        "job",
        "=",
        "=~",
        "\"a\"",
        "\"",
        ",",
        "+",
        "==",
        "on",
        "offset",
        "@",
        "start",
        "bool",
        " ",
        "-",
        "group_left",
        "1",
        "é",
        "fill",
        ":",
        "#",
        "and",
        "foo",
        "topk",
    ];
    prop::collection::vec(prop::sample::select(WORDS), 0..25).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_is_diagnosed_and_completed(text in texts(), at in 0..100_usize) {
        let diagnosis = diagnose(&text);
        match crate::parse(&text) {
            Ok(expr) => prop_assert_eq!((diagnosis.errors, diagnosis.expr), (vec![], Some(expr))),
            Err(first) => {
                prop_assert!(!diagnosis.errors.is_empty());
                let known = diagnosis.errors.iter().any(|error| error.message == first.message);
                prop_assert!(known, "{:?} is not among {:?}", first, diagnosis.errors);
            }
        }
        let completion = complete(&text, at);
        prop_assert!(text.get(completion.replace.start as usize..completion.replace.end as usize).is_some());
        if let Some(Ask::Labels { selector } | Ask::LabelValues { selector, .. }) = completion.ask {
            prop_assert!(selector.is_empty() || crate::parse_selector(&selector).is_ok(), "{}", selector);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(text in any::<String>(), at in 0..50_usize) {
        diagnose(&text);
        complete(&text, at);
    }
}
