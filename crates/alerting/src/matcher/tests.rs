//! What the grammars read, as Alertmanager's own tests have it.

use super::*;

/// `inputs` are read as matchers that print as `expected`, and what is printed is read as the same.
#[track_caller]
fn check(expected: &str, inputs: &[&str]) {
    for input in inputs {
        let matchers: Matchers = input.parse().unwrap_or_else(|e| panic!("{input}: {e}"));
        assert_eq!(matchers.to_string(), expected, "{input}");
    }
    assert_eq!(expected.parse::<Matchers>().map(|m| m.to_string()), Ok(expected.to_owned()));
}

#[track_caller]
fn check_error(input: &str, expected: &str) {
    match input.parse::<Matchers>() {
        Ok(matchers) => panic!("{input:?} is read as {matchers}"),
        Err(error) => assert_eq!(error.to_string(), expected, "{input:?}"),
    }
}

#[test]
fn what_both_grammars_read() {
    check("{}", &["", "{}", "{ }", "{"]);
    check(r#"{foo="bar"}"#, &["foo=bar", "{foo=bar}", "{foo=bar,}", r#"foo = "bar" , "#, r#"{foo="bar"}"#]);
    check(r#"{foo!="bar",baz=~"q.*",x!~"y"}"#, &["foo!=bar,baz=~q.*,x!~y", "{ foo != \"bar\",\tbaz=~\"q.*\", x!~y }"]);
    check(r#"{foo=""}"#, &[r#"{foo=""}"#]);
    check(r#"{a="b,c",job="d"}"#, &[r#"{a="b,c", job="d"}"#]);
    check(r#"{quote="She said: \"Hi!\""}"#, &[r#"{quote="She said: \"Hi!\""}"#]);
    check(r#"{foo="🙂"}"#, &["{foo=🙂}"]);
    check(r#"{foo="b\nc\\d"}"#, &[r#"foo="b\nc\\d""#]);
}

#[test]
fn what_only_the_classic_grammar_reads() {
    check(r#"{job=""}"#, &["job=", "{job="]);
    check(r#"{tricky=~"~~"}"#, &["tricky=~~~"]);
    check(r#"{trickier="=\\=\\=\""}"#, &[r#"trickier==\\=\=\""#]);
    check(r#"{foo="bar}"}"#, &["{foo=bar}}"]);
    check(r#"{foo="'"}"#, &["{foo='}"]);
    check(r#"{foo="bar\n"}"#, &[r"foo=bar\n", "foo=\"bar\n\""]);
    check(r#"{foo="two words"}"#, &["foo=two words"]);
}

#[test]
fn where_both_read_the_classic_grammar_wins() {
    check(r#"{foo="a\\tb"}"#, &[r#"foo="a\tb""#]);
    check(r#"{foo=~"\\d+"}"#, &[r#"foo=~"\d+""#]);
}

#[test]
fn what_only_the_newer_grammar_reads() {
    check(r#"{"name-with-dashes"="bar"}"#, &["{name-with-dashes = \"bar\"}", r#""name-with-dashes"=bar"#]);
    check(r#"{foo="bar"}"#, &[r#"{"foo"="bar"}"#, r#""foo"=bar,"#]);
    check(r#"{"service.name"="a	b🙂A"}"#, &[r#"{service.name="a\tb\xf0\x9f\x99\x82\u0041"}"#]);
    check("{\"a\\\"b\\nc\"!=\"\"}", &[r#""a\"b\nc"!="""#]);
    check(r#"{"日本"="\\"}"#, &[r#"日本="\\""#]);
}

#[test]
fn mistakes_are_told_with_their_columns() {
    check_error(",", "0:1: unexpected ,: expected label name");
    check_error("{,}", "1:2: unexpected ,: expected label name");
    check_error("{\"foo.x\"=bar", "12:12: end of input: expected close brace");
    check_error("\"foo\"=bar}", "9:10: }: expected opening brace");
    check_error("{\"foo\"=bar} x", "12:13: x: expected end of input");
    check_error("{\"foo\"=:\"bar\"}", "8:13: unexpected \"bar\": expected a comma or close brace");
    check_error("{\"foo\"=a,=b}", "9:10: unexpected =: expected a matcher or close brace after comma");
    check_error("{\"foo\"=\"bar\\w\"}", "7:14: \"bar\\w\": invalid input");
    check_error("{\"f🙂\"=\"\\xf0\\x9f\"}", "6:16: \"\\xf0\\x9f\": invalid input");
    check_error("foo", "3:3: end of input: expected an operator such as '=', '!=', '=~' or '!~'");
    check_error("\"foo\"=", "6:6: end of input: expected label value");
    check_error("foo!bar", "3:4: !: expected one of '=~'");
    check_error("~", "0:1: ~: invalid input");
    check_error("job=\"value", "4:10: \"value: missing end \"");
    check_error("job=value\"", "9:10: \": missing end \"");
    check_error("\"\"=a", "the name of the label is empty");
    let regex = "foo=~\"[a\"".parse::<Matchers>().expect_err("it is refused").to_string();
    assert!(regex.starts_with("invalid regular expression \"[a\": "), "{regex}");
}

#[test]
fn one_matcher_stands_alone() {
    let parse = |text: &str| text.parse::<Matcher>().map(|m| m.to_string()).map_err(|e| e.to_string());
    assert_eq!(parse(" foo =~ bar.* "), Ok(r#"foo=~"bar.*""#.to_owned()));
    assert_eq!(parse("foo=a,b=c"), Ok(r#"foo="a,b=c""#.to_owned()), "the classic grammar takes what follows");
    assert_eq!(parse("\"foo\"=a,b=c"), Err("expected 1 matcher, found 2".to_owned()));
    assert_eq!(parse("{foo=bar}"), Err("unexpected open or close brace: {foo=bar}".to_owned()));
    assert_eq!(parse(""), Err("expected 1 matcher, found 0".to_owned()));
}

#[test]
fn sizes_are_bounded() {
    let long = |n: usize| "x".repeat(n);
    check_error(&long(MAX_TEXT_BYTES + 1), "the text of the matchers has 65537 bytes; the limit is 65536");
    check_error(
        &format!("a={}", long(MAX_VALUE_BYTES + 1)),
        "the value of the matcher has 16385 bytes; the limit is 16384",
    );
    check_error(&format!("{}=a", long(MAX_NAME_BYTES + 1)), "the name of the label has 1025 bytes; the limit is 1024");
    check_error(&"a=b,".repeat(MAX_MATCHERS + 1), "there are more than 128 matchers");
    check_error(&"a-b=b,".repeat(MAX_MATCHERS + 1), "there are more than 128 matchers");
    let long_ones = (0..5).map(|_| Matcher::new("a", MatchOp::Equal, &long(MAX_VALUE_BYTES)).expect("a matcher"));
    assert!(Matchers::new(long_ones.collect()).is_err(), "what is printed must be readable");
    assert!("a=~(.{1000}){1000}".parse::<Matcher>().is_err(), "the compiled form has a limit");
}

#[test]
fn conditions_hold_together_and_absent_is_empty() {
    let labels = Labels::from_pairs([("alertname", "High"), ("team", "a\nb")]);
    for (text, expected) in [
        ("alertname=High", true),
        ("alertname=high", false),
        ("alertname=High,team=x", false),
        ("alertname=~H.*,team=~a.b", true),
        ("alertname=~igh", false),
        ("job=", true),
        ("job!=x", true),
        ("job!~.+", true),
        ("job=~x?", true),
        ("", true),
    ] {
        assert_eq!(text.parse::<Matchers>().expect(text).matches(&labels), expected, "{text}");
    }
    let [a, b] = ["b=c,a=d", "a=d,b=c"].map(|text| text.parse::<Matchers>().expect(text).sorted());
    assert_eq!(a, b);
}
