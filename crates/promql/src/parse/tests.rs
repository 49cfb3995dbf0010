//! Errors with their positions, the limits, and that nothing from outside makes the parser panic.

use proptest::prelude::*;

use super::*;
use crate::ast::{ExprKind, Span};

/// What `text` yields and what it should, where the two differ.
fn check_error(text: &str, expected: &str) -> Option<String> {
    let actual = parse(text).map_or_else(|e| e.to_string(), |expr| format!("parsed as {expr}"));
    (actual != expected).then(|| format!("{text:?}\n  expected {expected}\n  got      {actual}"))
}

#[test]
fn errors_say_what_and_where() {
    let cases = [
        ("", "unknown position: parse error: no expression found in input"),
        ("# only a comment", "1:1: parse error: no expression found in input"),
        ("foo bar", "1:5: parse error: unexpected identifier \"bar\""),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("foo{a=\"b\"", "1:10: parse error: unexpected end of input inside braces"),
        ("foo{a}", "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"),
        ("foo{a=b}", "1:7: parse error: unexpected identifier \"b\" in label matching, expected string"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{x=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""),
        ("foo[5mm]", "1:5: parse error: bad number or duration syntax: \"5mm\""),
        (
            "foo[5m30s]offset",
            "1:17: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        (
            "foo[]",
            "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("foo[0]", "1:5: parse error: duration must be greater than 0"),
        ("foo[-1m]", "1:5: parse error: duration must be greater than 0"),
        ("foo[5m", "1:7: parse error: unclosed left bracket"),
        ("foo[5m]]", "1:8: parse error: unexpected right bracket ']'"),
        ("foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range"),
        ("foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"),
        ("(foo)[5m]", "1:6: parse error: ranges only allowed for vector selectors"),
        (
            "1 offset 1d",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        (
            "foo offset --1m",
            "1:13: parse error: unexpected <op:-> in offset, expected number, duration, step(), or range()",
        ),
        ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        (
            "foo @ -1e30",
            "1:1: parse error: timestamp out of bounds for @ modifier: -1000000000000000019884624838656.000000",
        ),
        ("foo[5y1hs]", "1:5: parse error: unknown unit \"hs\" in duration \"5y1hs\""),
        ("foo[5m1h]", "1:5: parse error: not a valid duration string: \"5m1h\""),
        ("foo[5m1]", "1:5: parse error: bad number or duration syntax: \"5m1\""),
        ("foo[5m:1m1]", "1:8: parse error: bad number or duration syntax: \"1m1\""),
        ("foo[\"5m\"]", "1:5: parse error: unexpected character in duration expression: '\"'"),
        ("foo[", "1:5: parse error: unexpected end of input in duration expression"),
        ("foo[5m] @", "1:10: parse error: unexpected end of input in @, expected timestamp"),
        (
            "test[5d] OFFSET 10s [10m:5s]",
            "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
        ),
        ("2.5.", "1:1: parse error: bad number or duration syntax: \"2.5.\""),
        ("100..4", "1:1: parse error: bad number or duration syntax: \"100..\""),
        ("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\""),
        (".", "1:1: parse error: unexpected character: '.'"),
        ("@@", "1:1: parse error: unexpected <op:@>"),
        ("-=", "1:2: parse error: unexpected \"=\""),
        ("1 =~ 1", "1:3: parse error: unexpected character after '=': '~'"),
        ("a - on(b) ignoring(c) d", "1:11: parse error: unexpected <ignoring>"),
        ("sum without(==)(m)", "1:13: parse error: unexpected <op:==> in grouping opts, expected label"),
        ("sum without(a,,)(m)", "1:15: parse error: unexpected \",\" in grouping opts, expected label"),
        ("sum (m) by test", "1:12: parse error: unexpected identifier \"test\" in grouping opts, expected \"(\""),
        ("sum (m) without (a) by (b)", "1:21: parse error: unexpected <by>"),
        ("foo{,}", "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""),
        ("foo{a == \"b\"}", "1:8: parse error: unexpected \"=\" in label matching, expected string"),
        (
            "foo{a=\"b\" lol}",
            "1:11: parse error: unexpected identifier \"lol\" in label matching, expected \",\" or \"}\"",
        ),
        ("some}", "1:5: parse error: unexpected character: '}'"),
        ("`\\``", "1:4: parse error: unterminated raw string"),
        ("\"\\x.\"", "1:1: parse error: illegal character U+002E '.' in escape sequence"),
        (
            "rate(foo[5m]) @ 1234",
            "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("topk(foo, bar)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"),
        ("1 or 1", "1:1: parse error: set operator \"or\" not allowed in binary scalar expression"),
        ("foo and on(a) group_left(b) bar", "1:1: parse error: no grouping allowed for \"and\" operation"),
        (
            "foo * on(a) group_left(a) bar",
            "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once",
        ),
        ("foo == on(bar) 10", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("foo * group_left bar", "1:7: parse error: unexpected <group_left>"),
        (
            "-\"s\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"),
        ("rate(foo[5m], 1)", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"),
        ("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"),
        ("hour(a, b)", "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2"),
        ("nope(foo)", "1:1: parse error: unknown function with name \"nope\""),
        ("foo())", "1:1: parse error: unknown function with name \"foo\""),
        ("sum(a) by (without)", "1:12: parse error: unexpected <without> in grouping opts, expected label"),
        ("abs(foo, ,1)", "1:8: parse error: trailing commas not allowed in function call args"),
        ("sum(rate(foo bar))", "1:14: parse error: unexpected identifier \"bar\" in aggregation"),
        ("abs(sum(foo) bar)", "1:14: parse error: unexpected identifier \"bar\""),
        ("a + on (x) group_left == b", "1:23: parse error: unexpected <op:==> in grouping opts, expected \"(\""),
        ("rate(foo[5m] offset 3m5s5m", "1:21: parse error: not a valid duration string: \"3m5s5m\""),
        ("abs(foo,)", "1:8: parse error: trailing commas not allowed in function call args"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "topk(foo)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        ("sum(foo[5m])", "1:5: parse error: expected type instant vector in aggregation expression, got range vector"),
        ("sum some_metric by (a)", "1:5: parse error: unexpected identifier \"some_metric\""),
        (
            "sum(foo) by (a b)",
            "1:16: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
        ),
        (
            "sum(foo) by (a:b)",
            "1:14: parse error: unexpected metric identifier \"a:b\" in grouping opts, expected label",
        ),
        ("count_values(1, foo)", "1:14: parse error: expected type string in aggregation parameter, got scalar"),
        ("\"a\\qb\"", "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ("\"open", "1:1: parse error: unterminated quoted string"),
        ("foo ! bar", "1:5: parse error: unexpected character after '!': ' '"),
        ("foo\n  $", "2:3: parse error: unexpected character: '$'"),
        ("info(foo, bar)", "1:11: parse error: expected label selectors only, got vector selector instead"),
        ("foo[5m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
        ("foo[5m] anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("rate(foo[5m])[5m]", "1:14: parse error: ranges only allowed for vector selectors"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        (
            "1e1000",
            "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e1000\": value out of range",
        ),
    ];
    let wrong: Vec<String> = cases.iter().filter_map(|(text, expected)| check_error(text, expected)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bad_pattern_is_an_error() {
    let error = parse("foo{a=~\"(\"}").expect_err("the pattern does not compile");
    assert_eq!(error.span, Span { start: 4, end: 10 });
}

#[test]
fn experimental_parts_have_a_switch() {
    for (text, expected) in [
        (
            "limitk(1, foo)",
            "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("mad_over_time(foo[5m])", "function \"mad_over_time\" is not enabled"),
        ("foo[5m] smoothed", "smoothed modifier is experimental and not enabled"),
        ("foo + fill(1) bar", "binop fill modifiers are experimental and not enabled"),
        ("foo[step()]", "experimental duration expression is not enabled"),
    ] {
        assert!(parse(text).is_ok(), "{text}");
        let error = parse_with(text, ParseOptions { experimental: false }).expect_err(text);
        assert_eq!(error.message, expected);
    }
}

#[test]
fn words_of_the_language_are_names_too() {
    for text in ["sum", "by + without", "offset offset 5m", "start{end=\"1\"}", "fill + fill", "step", "and and or"] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    for text in
        ["sum(foo) by (by, on, sum, bool, atan2)", "foo{by=\"x\",offset=\"y\"}", "STEP()", "foo * ON(a) GROUP_LEFT bar"]
    {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn operators_bind_as_documented() {
    let shape = |text: &str| grouped(&parse(text).expect(text));
    for (text, expected) in [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("-1 * 2", "(-1 * 2)"),
        ("2 ^ -1 * 3", "((2 ^ -1) * 3)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a + b > c or d", "(((a + b) > c) or d)"),
        ("a atan2 b + c", "((a atan2 b) + c)"),
        ("a offset 2 ^ 2", "(a offset 2s ^ 2)"),
        ("a offset -2 * 2", "(a offset -2s * 2)"),
        ("-a offset 5m", "-a offset 5m"),
    ] {
        assert_eq!(shape(text), expected, "{text}");
    }
}

/// The text with parentheses around every operation.
fn grouped(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(b) => format!("({} {} {})", grouped(&b.lhs), b.op.symbol(), grouped(&b.rhs)),
        ExprKind::Unary(u) => format!("{}{}", u.op.symbol(), grouped(&u.operand)),
        _ => expr.to_string(),
    }
}

#[test]
fn a_query_is_bounded_in_length_and_depth() {
    let n = 10_000;
    let deep = [
        format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        format!("{}foo", "-".repeat(n)),
        format!("{}foo{}", "abs(".repeat(n), ")".repeat(n)),
        format!("{}foo{}", "sum(".repeat(n), ")".repeat(n)),
        format!("foo{}", "[1m:]".repeat(n)),
        vec!["foo"; n].join(" or "),
        vec!["2"; n].join(" ^ "),
        format!("foo[{}1{}]", "(".repeat(n), ")".repeat(n)),
        format!("foo offset ({}1)", "-".repeat(n)),
        format!("foo[{}]", vec!["1m"; n].join("+")),
        format!("{}foo", "1 + -(".repeat(n)),
    ];
    for text in deep {
        let error = parse(&text).expect_err("too deep");
        assert!(error.message.contains("deeper than the limit of"), "{}: {error}", &text[..40]);
    }
    let error = parse(&" ".repeat(MAX_QUERY_BYTES + 1)).expect_err("too long");
    assert!(error.message.contains("longer than the limit"), "{error}");
    let wide = vec!["foo"; MAX_DEPTH - 10].join(" or ");
    assert_eq!(parse(&wide).map(|e| e.to_string()), Ok(wide));
}

#[test]
fn selectors_alone() {
    let selector = parse_selector("{\"a.b\",c!~\"d|e\"}").expect("valid");
    assert_eq!(selector.to_string(), "{__name__=\"a.b\",c!~\"d|e\"}");
    for text in ["foo[5m]", "foo offset 1m", "1", "foo + foo", ""] {
        assert!(parse_selector(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    /// Plain patterns are not compiled by the parser: all of them have to compile in the engine.
    #[test]
    fn what_parses_compiles(pattern in r"[a-c.*+|?()\[\]{}^$\\ é,1-]{0,12}") {
        let text = format!("foo{{a=~{}}}", sonde_model::labels::Quoted(&pattern));
        let compiles = sonde_model::Matcher::new("a", sonde_model::MatchOp::Regex, &pattern).is_ok();
        prop_assert_eq!(parse(&text).is_ok(), compiles, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in r#"[-a-z0-9(){}\[\]"'`,.:=~!<>+*/%^@ \\#\n_é]{0,60}"#) {
        let _ = parse(&text);
    }
}

/// Each of these patterns takes a quarter of a megabyte.
#[test]
fn patterns_of_a_query_are_bounded() {
    let many = |n: usize| format!("m{{{}}}", vec![r#"a=~"(x{100}){100}""#; n].join(","));
    assert!(parse(&many(3)).is_ok());
    let error = parse(&many(2_000)).expect_err("too large");
    assert!(error.message.contains("with those before it"), "{error}");
    let plain = format!("{{{}}}", vec![r#"a=~".*""#; 90_000].join(","));
    assert!(parse(&plain).expect_err("too large").message.contains("with those before it"));
}
