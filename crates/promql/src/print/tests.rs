//! What is printed parses to the same tree.

use proptest::prelude::*;

use crate::ast::{Duration, Expr, ExprKind, Span};
use crate::ast::{DurationExpr, DurationKind};
use crate::parse;

#[test]
fn trees_print_as_prometheus_prints_them() {
    for (text, expected) in [
        ("1", "1"),
        ("-0x10", "-16"),
        ("1e21", "1000000000000000000000"),
        ("+Inf", "+Inf"),
        ("1h30m", "1h30m"),
        ("-5m", "-5m"),
        ("'it\\'s'", "\"it's\""),
        ("\"a\\xc5z\"", "\"a\\xc5z\""),
        ("up{}", "up"),
        ("{job='a', 'service.name'=~\"b|c\"}", "{job=\"a\",\"service.name\"=~\"b|c\"}"),
        ("{\"http.requests\",}", "{__name__=\"http.requests\"}"),
        ("a[300]", "a[5m]"),
        ("a[4.18] offset 4.018", "a[4s180ms] offset 4s18ms"),
        ("a[5m]offset 1h@10.5", "a[5m] @ 10.500 offset 1h"),
        ("a offset -7d", "a offset -1w"),
        ("a @ start()", "a @ start()"),
        ("a[5m] smoothed @ -1", "a[5m] smoothed @ -1.000"),
        ("rate(a[1m])[30m:5s] @ end() offset 1m", "rate(a[1m])[30m:5s] @ end() offset 1m"),
        ("a[1h:]", "a[1h:]"),
        ("a[step()+1m*(2-range())]", "a[step() + 1m * (2 - range())]"),
        ("a offset -min_of(step(),1s)", "a offset -min_of(step(), 1s)"),
        ("sum by(b,a)(x)", "sum by (b, a) (x)"),
        ("sum(x)without()", "sum without () (x)"),
        ("topk(3,x)by(\"a.b\")", "topk by (\"a.b\") (3, x)"),
        ("a==bool on(x)group_left(y)b", "a == bool on (x) group_left (y) b"),
        ("a*ignoring()group_right b", "a * ignoring () group_right () b"),
        ("a+on(x)fill(0)b", "a + on (x) fill (0) b"),
        ("a + fill_right(-1) fill_left(2) b", "a + fill_left (2) fill_right (-1) b"),
        ("a</1", "a </ 1"),
        ("a>/ +Inf", "a >/ +Inf"),
        ("-a^-b", "-a ^ -b"),
        ("label_replace(a,\"b\",\"$1\",\"c\",\"(.*)\")", "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")"),
        ("time ( )", "time()"),
        ("(a)", "(a)"),
        ("a # comment\n+ b", "a + b"),
    ] {
        let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(expr.to_string(), expected);
        check_same_tree(&expr);
    }
}

#[test]
fn long_expressions_go_over_several_lines() {
    let long = "a".repeat(101);
    for (text, expected) in [
        ("sum(up{b='2',a='1'})", "sum(up{a=\"1\",b=\"2\"})".to_owned()),
        (&long, long.clone()),
        (&format!("{long}+1"), format!("  {long}\n+\n  1")),
        (&format!("-({long}>bool on(x)b)"), format!("-(\n    {long}\n  > bool on (x)\n    b\n)")),
        (&format!("-sum({long})+1"), format!("  -sum(\n    {long}\n  )\n+\n  1")),
        (&format!("topk(1,{long})by(a)"), format!("topk by (a) (\n  1,\n  {long}\n)")),
        (&format!("rate(({long})[5m:]offset 1s)"), format!("rate(\n  (\n    {long}\n  )[5m:] offset 1s\n)")),
        // As the original has it: no indent before the subquery.
        (&format!("label_replace(rate(a[1m:]),'{long}','','','')"), {
            format!("label_replace(\n  rate(a[1m:]),\n  \"{long}\",\n  \"\",\n  \"\",\n  \"\"\n)")
        }),
        (&format!("quantile_over_time(scalar({long}),a[1m:])"), {
            format!("quantile_over_time(\n  scalar(\n    {long}\n  ),\na[1m:]\n)")
        }),
    ] {
        let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(expr.pretty(), expected, "{text}");
    }
}

#[test]
fn indents_of_megabytes_are_not_written() {
    let deep = "abs(".repeat(100) + "label_join(a,'b'" + &",'c'".repeat(100_000) + ")" + &")".repeat(100);
    let expr = parse(&deep).expect("valid");
    assert_eq!(expr.pretty(), expr.to_string());
}

fn check_same_tree(expr: &Expr) {
    let printed = expr.to_string();
    let again = parse(&printed).unwrap_or_else(|e| panic!("printed {printed}: {e}"));
    assert_eq!(without_spans(again), without_spans(expr.clone()), "{printed}");
}

/// The tree as text, with all places set to 0: NaN is then equal to itself.
fn without_spans(mut expr: Expr) -> String {
    fn clear(expr: &mut Expr) {
        expr.span = Span::default();
        let durations: Vec<&mut Duration> = match &mut expr.kind {
            ExprKind::Vector(selector) => selector.offset.iter_mut().collect(),
            ExprKind::Matrix(matrix) => {
                matrix.selector_span = Span::default();
                [&mut matrix.range].into_iter().chain(&mut matrix.selector.offset).collect()
            }
            ExprKind::Subquery(subquery) => {
                [&mut subquery.range].into_iter().chain(&mut subquery.step).chain(&mut subquery.offset).collect()
            }
            _ => Vec::new(),
        };
        for duration in durations {
            if let Duration::Expr(inner) = duration {
                clear_duration(inner);
            }
        }
        expr.children_mut().into_iter().for_each(clear);
    }
    fn clear_duration(expr: &mut DurationExpr) {
        expr.span = Span::default();
        match &mut expr.kind {
            DurationKind::MinOf(a, b) | DurationKind::MaxOf(a, b) | DurationKind::Binary(_, a, b) => {
                clear_duration(a);
                clear_duration(b);
            }
            DurationKind::Unary(_, a) | DurationKind::Paren(a) => clear_duration(a),
            DurationKind::Number(_) | DurationKind::Literal(_) | DurationKind::Step | DurationKind::Range => {}
        }
    }
    clear(&mut expr);
    format!("{expr:?}")
}

/// Texts of valid instant vectors and scalars, built from the grammar.
fn queries() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| proptest::sample::select(words).prop_map(str::to_owned);
    let duration = pick(&["5m", "90", "1.5", "step()", "1m+range()", "-1m+2m^2", "max_of(1s, (2))*3", "1h%7m"]);
    let label = pick(&["a", "by", "\"x.y\"", "le"]);
    let modifiers =
        pick(&["", " offset 5m", " offset -1h30m", " @ 12.345", " @ end() offset (1m+step())", " smoothed"]);
    let series =
        pick(&["up", "sum", "a:b", "{\"x y\"}", "up{a=\"\\n\\\"\",b!~\"c.*\"}", "{'é'=\"ü\",__name__=~\".+\"}"]);
    let selector = (series, modifiers.clone()).prop_map(|(s, m)| format!("{s}{m}"));
    let matrix = (pick(&["up", "{a='b'}"]), duration.clone(), modifiers).prop_map(|(s, d, m)| format!("{s}[{d}]{m}"));
    let scalar = pick(&["1", "-2.5", "0x1f", "Inf", "-NaN", "5m", "time()", "scalar(up)", "pi()", "1_000e-3"]);
    let leaf = prop_oneof![
        selector,
        matrix.prop_map(|m| format!("rate({m})")),
        scalar.clone().prop_map(|s| format!("vector({s})"))
    ];
    leaf.prop_recursive(5, 40, 3, move |inner| {
        let operator = pick(&[
            "+",
            "-",
            "* on(a) group_left(b)",
            "/ ignoring(a, le)",
            "^",
            "== bool",
            "> on()",
            "and",
            "or on(a)",
            "unless",
            "atan2",
            "</",
            "+ fill(1)",
            "- on (a) fill_left(-2)",
        ]);
        let aggregate = pick(&["sum", "avg", "count", "group", "stddev"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
            (inner.clone(), pick(&["+", "*", "^", "%", ">="]), scalar.clone())
                .prop_map(|(a, o, b)| format!("({a}{o}{b})")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            (aggregate, label.clone(), inner.clone()).prop_map(|(f, l, a)| format!("{f} by({l},) ({a})")),
            (label.clone(), inner.clone()).prop_map(|(l, a)| format!("quantile(0.9, {a}) without({l})")),
            inner.clone().prop_map(|a| format!("label_replace({a}, 'b', '$1', \"c\", `(.*)`)")),
            (inner, duration.clone()).prop_map(|(a, d)| format!("max_over_time(({a})[{d}:{d}] offset 1m)")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_printed_parses_to_the_same_tree(text in queries()) {
        let expr = parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        check_same_tree(&expr);
        let pretty = expr.pretty();
        let again = parse(&pretty).unwrap_or_else(|e| panic!("{pretty}: {e}"));
        prop_assert_eq!(again.pretty(), pretty);
    }
}
