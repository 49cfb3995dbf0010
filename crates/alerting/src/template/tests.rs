//! Templates with what they print. Most cases are those of Prometheus's own template tests, rewritten as a table.

use super::*;

fn answers(query: &str) -> Result<Vec<TemplateSample>, String> {
    let sample = |pairs: &[(&str, &str)], value| TemplateSample { labels: Labels::from_pairs(pairs.to_vec()), value };
    match query {
        "metric" => Ok(vec![
            sample(&[("__name__", "metric"), ("instance", "b")], 21.0),
            sample(&[("__name__", "metric"), ("instance", "a")], 11.0),
        ]),
        "one" => Ok(vec![sample(&[("__name__", "one"), ("instance", "a"), ("__value__", "text")], 11.0)]),
        "none" => Ok(Vec::new()),
        other => Err(format!("unknown query {other}")),
    }
}

fn expand(source: &str, value: f64) -> String {
    let labels = Labels::from_pairs([("__name__", "load"), ("instance", "db-1.example.org:9100"), ("job", "node")]);
    let external = External {
        labels: Labels::from_pairs([("cluster", "eu")]),
        url: "http://sonde.example.org:9090/path/prefix".to_owned(),
    };
    let data = TemplateData { labels: &labels, value, at: 1_435_065_584_128, external: &external };
    match Template::parse(source) {
        Ok(template) => template.expand(&data, &mut answers),
        Err(e) => format!("INVALID {e}"),
    }
}

#[track_caller]
fn check(cases: &[(&str, f64, &str)]) {
    for (source, value, expected) in cases {
        assert_eq!(expand(source, *value), *expected, "{source} with {value}");
    }
}

#[test]
fn data_of_the_alert() {
    check(&[
        ("plain text { }}", 0.0, "plain text { }}"),
        ("{{ $labels.instance }} is {{ $value }}", 0.25, "db-1.example.org:9100 is 0.25"),
        ("{{ .Labels.job }} {{ .Value }} {{ $externalLabels.cluster }}", 3.0, "node 3 eu"),
        ("{{ $externalURL }}", 0.0, "http://sonde.example.org:9090/path/prefix"),
        ("{{ $labels.missing }}|{{ if eq $labels.missing \"\" }}empty{{ end }}", 0.0, "|empty"),
        ("{{ $value }} {{ printf \"%.2f\" $value }} ", 1e21, "1e+21 1000000000000000000000.00 "),
        (
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }}",
            0.0,
            "__name__=load,instance=db-1.example.org:9100,job=node,",
        ),
        ("{{ with $labels.job }}{{ . }}{{ end }}{{ with $labels.nope }}x{{ else }}none{{ end }}", 0.0, "nodenone"),
        ("{{ $value }}", 0.000_01, "1e-05"),
        ("{{ if gt $value 1.5 }}high{{ else }}low{{ end }}", 2.0, "high"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", 0.0, "2"),
        ("{{ define \"a\" }}[{{ .Value }}]{{ end }}{{ template \"a\" . }}", 5.0, "[5]"),
        ("{{- /* comment */ -}} a {{- \" b\" }}", 0.0, "a b"),
        ("{{ $value | humanize | toUpper | printf \"<%s>\" }}", 1500.0, "<1.5K>"),
    ]);
}

#[test]
fn queries() {
    check(&[
        ("{{ query \"one\" | first | value | humanize }}", 0.0, "11"),
        ("{{ query \"one\" | first | label \"instance\" }}", 0.0, "a"),
        ("{{ (query \"one\" | first).Labels.instance }}", 0.0, "a"),
        ("{{ (index (query \"one\") 0).Value }}", 0.0, "11"),
        ("{{ query \"one\" | first | strvalue }}", 0.0, "text"),
        (
            "{{ range query \"metric\" | sortByLabel \"instance\" }}{{ .Labels.instance }}:{{ .Value }}: {{ end }}",
            0.0,
            "a:11: b:21: ",
        ),
        ("{{ with query \"none\" }}some{{ else }}nothing{{ end }}", 0.0, "nothing"),
        ("{{ printf \"%s\" $labels.job | printf \"metric%.0s\" | query | len }}", 0.0, "2"),
        (
            "{{ query \"none\" | first }}",
            0.0,
            "<error expanding template: execution error: first() called on vector with no elements>",
        ),
        ("{{ query \"bad\" }}", 0.0, "<error expanding template: error executing query \"bad\": unknown query bad>"),
        (
            "{{ (query \"one\" | first).Nope }}",
            0.0,
            "<error expanding template: execution error: can't evaluate field Nope in type sample>",
        ),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("{{ reReplaceAll \"(\\\\w+)\\\\.(.*)\" \"$2-$1\" \"db.example.org\" }}", 0.0, "example.org-db"),
        ("{{ reReplaceAll \"a\" \"b\" \"banana\" }}", 0.0, "bbnbnb"),
        ("{{ match \"^db-[0-9]\" $labels.instance }} {{ match \"x\" \"y\" }}", 0.0, "true false"),
        ("{{ \"aa bb CC\" | title }} {{ \"ab\" | toUpper }} {{ \"AB\" | toLower }}", 0.0, "Aa Bb CC AB ab"),
        (
            "{{ stripPort $labels.instance }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"::1\" }}",
            0.0,
            "db-1.example.org ::1 ::1",
        ),
        (
            "{{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:80\" }} {{ stripDomain \"a.b\" }}",
            0.0,
            "db-1:9100 10.0.0.1:80 a",
        ),
        ("{{ graphLink \"up{a=\\\"b c\\\"}\" }}", 0.0, "/graph?g0.expr=up%7Ba%3D%22b+c%22%7D&g0.tab=0"),
        ("{{ tableLink \"up\" }} {{ urlQueryEscape \"a b&c\" }}", 0.0, "/graph?g0.expr=up&g0.tab=1 a+b%26c"),
        ("{{ externalURL }} {{ pathPrefix }}", 0.0, "http://sonde.example.org:9090/path/prefix /path/prefix"),
        ("{{ safeHtml \"<b>\" }}", 0.0, "<b>"),
        ("{{ define \"x\" }}{{ .arg0 }}+{{ .arg1 }}{{ end }}{{ template \"x\" (args 1 \"two\") }}", 0.0, "1+two"),
        ("{{ define \"x\" }}{{ . }}!{{ end }}{{ tmpl \"x\" \"hi\" | toUpper }}", 0.0, "HI!"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("{{ humanize $value }}", 0.0, "0"),
        ("{{ humanize $value }}", 1.0, "1"),
        ("{{ humanize $value }}", 1_234_567.0, "1.235M"),
        ("{{ humanize $value }}", 0.123_456_789, "123.5m"),
        ("{{ humanize $value }}", -1500.0, "-1.5k"),
        ("{{ humanize $value }}", 1e30, "1e+06Y"),
        ("{{ humanize $value }}", f64::INFINITY, "+Inf"),
        ("{{ humanize $value }}", f64::NAN, "NaN"),
        ("{{ humanize1024 $value }}", 1_048_576.0, "1Mi"),
        ("{{ humanize1024 $value }}", 0.5, "0.5"),
        ("{{ humanize1024 $value }}", 1_026.0, "1.002ki"),
        ("{{ humanizePercentage $value }}", 0.156_789, "15.68%"),
        ("{{ humanizeDuration $value }}", 0.0, "0s"),
        ("{{ humanizeDuration $value }}", 1.0, "1s"),
        ("{{ humanizeDuration $value }}", 59.996, "60s"),
        ("{{ humanizeDuration $value }}", 899.99, "14m 59s"),
        ("{{ humanizeDuration $value }}", 86_400.0, "1d 0h 0m 0s"),
        ("{{ humanizeDuration $value }}", -3_661.0, "-1h 1m 1s"),
        ("{{ humanizeDuration $value }}", 0.1, "100ms"),
        ("{{ humanizeDuration $value }}", 0.000_1, "100us"),
        ("{{ humanizeDuration \"60\" }}", 0.0, "1m 0s"),
        ("{{ humanizeTimestamp $value }}", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ("{{ toTime $value }}", 1_000_000.0, "1970-01-12 13:46:40 +0000 UTC"),
        ("{{ toDuration $value }}", 3_661.5, "1h1m1.5s"),
        ("{{ toDuration $value }}", 0.001_5, "1.5ms"),
        ("{{ now | humanizeTimestamp }}", 0.0, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ parseDuration \"1h30m\" }} {{ \"1h\" | parseDuration | humanizeDuration }}", 0.0, "5400 1h 0m 0s"),
    ]);
}

/// What Debian's Prometheus printed for the same templates.
#[test]
fn values_are_printed_as_in_go() {
    check(&[
        ("{{ $value }} {{ printf \"%v\" $value }}", 1_234_567.0, "1.234567e+06 1.234567e+06"),
        ("{{ $value }}", 123_456.0, "123456"),
        ("{{ $value }}", 1_435_065_584.128, "1.435065584128e+09"),
        ("{{ $value }} {{ printf \"%.2f|%.3g|%e\" $value $value $value }}", f64::INFINITY, "+Inf +Inf|+Inf|+Inf"),
        ("{{ printf \"%08.3f|%-8.1f|%+g\" $value $value $value }}", f64::NEG_INFINITY, "    -Inf|-Inf    |-Inf"),
        ("{{ printf \"%08.3f|%-8.1f|%+g\" $value $value $value }}", f64::NAN, "     NaN|NaN     |+NaN"),
        ("{{ printf \"%08.3f|%-8.1f|%+g\" $value $value $value }}", -1.5, "-001.500|-1.5    |-1.5"),
        ("{{ printf \"%.3g\" $value }}", 999.95, "1e+03"),
        (
            "{{ printf \"%d\" 3.5 }} {{ printf \"%s\" 3 }} {{ printf \"%d\" 1 2 }}",
            0.0,
            "%!d(float64=3.5) %!s(int=3) 1%!(EXTRA int=2)",
        ),
        (
            "{{ printf \"%d %s\" 1 }} {{ printf \"%z\" 1 }} {{ printf \"%\" }}",
            0.0,
            "1 %!s(MISSING) %!z(int=1) %!(NOVERB)",
        ),
        (
            "{{ printf \"%5s|%-5s|%.2s|%05d|%q|%*d\" \"ab\" \"ab\" \"abc\" 42 \"a\\\"b\" 4 7 }}",
            0.0,
            "   ab|ab   |ab|00042|\"a\\\"b\"|   7",
        ),
        ("{{ print 1.5 2.5 }} {{ print \"a\" 1 2 \"b\" }} {{ println 1.0 2 }}", 0.0, "1.5 2.5 a1 2b 1 2\n"),
        ("{{ printf \"%+d|% d|%x|%X|%o|%#x|%c|%U\" 5 5 255 255 8 255 65 65 }}", 0.0, "+5| 5|ff|FF|10|0xff|A|U+0041"),
        ("{{ index $labels \"job\" }} {{ index $labels \"nope\" }}|", 0.0, "node |"),
        ("{{ gt $value 1.0 }} {{ le $value 1.0 }} {{ lt \"a\" \"b\" }} {{ ge 2 2 }}", f64::NAN, "true false true true"),
    ]);
}

#[test]
fn errors_become_part_of_the_text() {
    check(&[
        ("{{ humanize \"x\" }}", 0.0, "<error expanding template: execution error: \"x\" is not a number>"),
        (
            "{{ parseDuration \"5\" }}",
            0.0,
            "<error expanding template: execution error: not a valid duration string: \"5\">",
        ),
        (
            "{{ humanize 1 2 }}",
            0.0,
            "<error expanding template: execution error: wrong number of args for humanize: want 1 got 2>",
        ),
        (
            "{{ reReplaceAll \"(\" \"\" \"\" }}",
            0.0,
            "<error expanding template: execution error: invalid regular expression \"(\": error parsing pattern 0>",
        ),
        (
            "{{ .Nope }}",
            0.0,
            "<error expanding template: execution error: can't evaluate field Nope in type alert data>",
        ),
        ("{{ template \"nope\" }}", 0.0, "<error expanding template: undefined template: nope>"),
    ]);
}

#[test]
fn what_cannot_work_is_refused_when_it_is_compiled() {
    for (source, part) in [
        ("{{ nope $value }}", "function \"nope\" not defined"),
        ("{{ $nope }}", "undefined variable \"$nope\""),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "undefined variable \"$x\""),
        ("{{ define \"a\" }}{{ $labels.job }}{{ end }}", "undefined variable \"$labels\""),
        ("{{ if }}x{{ end }}", "empty command"),
        ("{{ $value", "unclosed action"),
        ("{{ range $labels }}", "unexpected EOF"),
        ("{{ if true }}{{ if true }}x{{ end }}", "unexpected EOF"),
        ("{{ define \"a\" }}x", "unexpected EOF"),
        ("{{ if true }}x{{ end }}{{ end }}", "unexpected EOF or {{end}}"),
        ("{{ else }}", "unexpected EOF or {{end}}"),
    ] {
        let error = Template::parse(source).expect_err(source).to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
}

#[test]
fn templates_are_bounded() {
    for (source, part) in [
        ("{{ define \"a\" }}{{ tmpl \"a\" . }}{{ end }}{{ tmpl \"a\" . }}", "deeper than 16 levels"),
        ("{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}", "recursion limit"),
        ("{{ range 1000000 }}{{ end }}", "range iteration budget"),
        ("{{ range 10000 }}{{ printf \"%100d\" . }}{{ end }}", "exceeds 65536 bytes"),
        ("{{ range $i := 100 }}{{ printf \"one%.0s\" \"\" | query | len }}{{ end }}", "1111"),
        ("{{ range $i := 100 }}{{ printf \"q%d\" $i | query }}{{ end }}", "unknown query q0"),
    ] {
        let text = expand(source, 0.0);
        assert!(text.contains(part), "{source}: {text}");
    }
}
