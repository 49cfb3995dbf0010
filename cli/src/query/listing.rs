//! `sonde query series|labels|values`: what there is to ask for.

use serde_json::Value;
use sonde_model::{Labels, TimestampMs};
use sonde_runtime::Clock;

use super::{client, table, time};
use crate::client::Client;
use crate::plain::on_one_line;
use crate::problem::Problem;
use crate::query::args::{ListingArgs, ListingOutput, SeriesArgs, ValuesArgs};
use crate::{print, warn};

/// The label sets of series.
pub(super) fn series(args: &SeriesArgs, clock: &Clock) -> Result<(), Problem> {
    let found = ask(&args.listing, "/api/v1/series", &args.selectors, clock)?;
    if args.listing.output == ListingOutput::Json {
        return print(&format!("{found:#}\n"));
    }
    let strange = || client::strange(&found);
    let list = found.as_array().ok_or_else(strange)?;
    let series: Option<Vec<Labels>> = list.iter().map(client::labels).collect();
    print(&draw_series(&series.ok_or_else(strange)?, args.listing.output))
}

/// The names of labels.
pub(super) fn labels(args: &SeriesArgs, clock: &Clock) -> Result<(), Problem> {
    let found = ask(&args.listing, "/api/v1/labels", &args.selectors, clock)?;
    print(&draw_names(&found, "label", args.listing.output)?)
}

/// The values of one label.
pub(super) fn values(args: &ValuesArgs, clock: &Clock) -> Result<(), Problem> {
    let path = client::values_path(&args.label);
    let found = ask(&args.listing, &path, &args.selectors, clock)?;
    print(&draw_names(&found, &args.label, args.listing.output)?)
}

fn ask(args: &ListingArgs, path: &str, selectors: &[String], clock: &Clock) -> Result<Value, Problem> {
    for selector in selectors {
        if let Err(error) = sonde_promql::parse_selector(selector) {
            return Err(Problem::new(format!("{selector} is no selector: {}", error.message))
                .hint("Write one as up, up{job=\"node\"} or '{job=~\"n.*\"}'."));
        }
    }
    let end = clock.now_ms();
    let start: TimestampMs = end.saturating_sub(time::duration_ms("--range", &args.range)?);
    let mut fields = vec![("start", client::seconds(start)), ("end", client::seconds(end))];
    fields.push(("limit", args.limit.to_string()));
    fields.extend(selectors.iter().map(|selector| ("match[]", selector.clone())));
    let reply = client::ask_list(&Client::new(&args.server)?, path, &fields)?;
    for warning in &reply.warnings {
        warn(&format!("{warning} (--limit {})", args.limit));
    }
    Ok(reply.data)
}

/// One name a line; CSV has a header.
fn draw_names(found: &Value, header: &str, output: ListingOutput) -> Result<String, Problem> {
    let strange = || client::strange(found);
    let names: Option<Vec<&str>> = found.as_array().ok_or_else(strange)?.iter().map(Value::as_str).collect();
    let names = names.ok_or_else(strange)?;
    let lines = |names: &[&str]| names.iter().map(|name| format!("{name}\n")).collect::<String>();
    Ok(match output {
        ListingOutput::Json => format!("{found:#}\n"),
        ListingOutput::Csv => {
            let quoted: Vec<String> = [header].iter().chain(&names).map(|name| super::csv::quoted(name)).collect();
            lines(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
        }
        ListingOutput::Table => names.iter().map(|name| format!("{}\n", on_one_line(name))).collect(),
    })
}

fn draw_series(series: &[Labels], output: ListingOutput) -> String {
    if output == ListingOutput::Table {
        let lines = series.iter().map(|labels| format!("{labels}\n"));
        return if series.is_empty() { "no series\n".to_owned() } else { lines.collect() };
    }
    let names = table::label_names(series.iter());
    let line = |cells: Vec<String>| format!("{}\n", cells.join(","));
    let header = line(names.iter().map(|name| super::csv::quoted(name)).collect());
    let rows = series.iter().map(|labels| {
        line(names.iter().map(|name| super::csv::quoted(labels.get(name).unwrap_or_default())).collect())
    });
    [header].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_lines() {
        let found = json!(["a", "b,c"]);
        assert_eq!(draw_names(&found, "job", ListingOutput::Table).expect("names"), "a\nb,c\n");
        assert_eq!(draw_names(&found, "job", ListingOutput::Csv).expect("names"), "job\na\n\"b,c\"\n");
        assert!(draw_names(&json!({}), "job", ListingOutput::Table).is_err());
        let evil = json!(["a\u{1b}[2J\nb"]);
        assert_eq!(draw_names(&evil, "job", ListingOutput::Table).expect("names"), "a␣[2J␣b\n");
        assert_eq!(super::table::columns(&[vec!["a\u{1b}c\nb".to_owned(), "1".to_owned()]], 1), "a␣c␣b  1\n");
    }

    #[test]
    fn series_are_selectors_or_columns() {
        let series = [
            Labels::from_pairs([("__name__", "up"), ("job", "a")]),
            Labels::from_pairs([("__name__", "up"), ("host", "x y")]),
        ];
        let drawn = draw_series(&series, ListingOutput::Table);
        assert_eq!(drawn, "up{job=\"a\"}\nup{host=\"x y\"}\n");
        assert_eq!(draw_series(&series, ListingOutput::Csv), "__name__,host,job\nup,,a\nup,x y,\n");
        assert_eq!(draw_series(&[], ListingOutput::Table), "no series\n");
    }
}
