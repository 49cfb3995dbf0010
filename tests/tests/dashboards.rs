//! The dashboards as Grafana would show them: the files are sound, and every query of every panel has an answer with data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Agent, Shop, Sonde, Webhook, encode, get, not_run, now_ms, wait_for, workspace_root};

/// How many columns Grafana's grid has.
const COLUMNS: u64 = 24;
/// The series that Grafana's Tempo source asks its Prometheus source for to draw a service graph.
const SERVICE_MAP: [&str; 4] = [
    "traces_service_graph_request_server_seconds_sum",
    "traces_service_graph_request_total",
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_server_seconds_bucket",
];
/// The units of Grafana that the panels use, by its own ids.
const UNITS: [&str; 13] =
    ["Bps", "bool_yes_no", "bps", "bytes", "cps", "iops", "opm", "ops", "percentunit", "pps", "reqps", "s", "short"];
/// How often agent and collector write in this test, in seconds: what the data source is told as `timeInterval`.
const WRITE_INTERVAL: u64 = 1;
/// The step between two points of a graph, in seconds: Grafana's `$__interval`.
const INTERVAL: u64 = 2;
/// What is shown, in seconds: Grafana's `$__range`.
const RANGE: u64 = 60;
/// How long all panels together may take to have data.
const DEADLINE: Duration = Duration::from_secs(90);

/// A dashboard file.
struct Dashboard {
    name: String,
    json: Value,
}

/// A query of a panel.
#[derive(Clone)]
struct Target {
    /// Dashboard, panel and letter, for people.
    place: String,
    query: Query,
}

/// What a panel asks.
#[derive(Clone)]
enum Query {
    /// The Prometheus source.
    PromQl(String),
    /// The Prometheus source is asked for exemplars.
    Exemplars(String),
    /// The Tempo source: a query, how many traces, how many spans of each.
    TraceQl(String, u64, u64),
}

impl Query {
    fn text(&self) -> &str {
        match self {
            Query::PromQl(text) | Query::Exemplars(text) | Query::TraceQl(text, ..) => text,
        }
    }

    /// The same with the values of variables in it.
    fn with(&self, variables: &BTreeMap<String, String>) -> Self {
        match self {
            Query::PromQl(text) => Query::PromQl(substitute(text, variables)),
            Query::Exemplars(text) => Query::Exemplars(substitute(text, variables)),
            Query::TraceQl(text, limit, spans) => Query::TraceQl(substitute(text, variables), *limit, *spans),
        }
    }

    /// How much an answer to it holds at least, if it has one.
    fn answer(&self, sonde: &Sonde) -> Result<usize, String> {
        match self {
            Query::PromQl(expr) => Ok(answer(sonde, &range(expr))?.min(answer(sonde, &instant(expr))?)),
            Query::Exemplars(expr) => {
                let end = now_ms() / 1_000;
                let start = end - RANGE as i64;
                let path = format!("/api/v1/query_exemplars?query={}&start={start}&end={end}", encode(expr));
                let reply = get(&sonde.url(&path))?;
                let json: Value = serde_json::from_slice(&reply.body).map_err(|e| format!("{e}: {}", reply.text()))?;
                if json["status"] != "success" {
                    return Err(json.to_string());
                }
                Ok(list(&json["data"]).map(|series| list(&series["exemplars"]).count()).sum())
            }
            Query::TraceQl(query, limit, spans) => {
                let end = now_ms() / 1_000 + 1;
                let start = end - RANGE as i64;
                let path =
                    format!("/api/search?q={}&limit={limit}&spss={spans}&start={start}&end={end}", encode(query));
                let reply = get(&sonde.url(&path))?;
                let json: Value = serde_json::from_slice(&reply.body).map_err(|e| format!("{e}: {}", reply.text()))?;
                Ok(list(&json["traces"]).count())
            }
        }
    }
}

#[test]
fn dashboards_are_sound() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let Dashboard { name, json } = &dashboard;
        assert!(uids.insert(json["uid"].as_str().expect("a uid").to_owned()), "{name}: the uid is taken");
        assert!(json["schemaVersion"].as_u64().is_some_and(|v| v >= 39), "{name}: the schema of Grafana 11 or later");
        for key in ["title", "description"] {
            assert!(json[key].as_str().is_some_and(|t| !t.is_empty()), "{name}: no {key}");
        }
        let mut ids = BTreeSet::new();
        let mut cells = BTreeMap::new();
        for panel in panels(json) {
            let title = panel["title"].as_str().expect("a title");
            let place = format!("{name}, panel {title:?}");
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{place}: the id is taken");
            for cell in covered(panel, &place) {
                if let Some(other) = cells.insert(cell, title) {
                    panic!("{place} lies over {other:?} at {cell:?}");
                }
            }
            if panel["type"] != "row" {
                check_panel(panel, &place);
            }
        }
        let variables: Vec<&str> = list(&json["templating"]["list"]).filter_map(|v| v["name"].as_str()).collect();
        assert!(variables.contains(&"datasource"), "{name}: {variables:?}");
        for target in targets(&dashboard) {
            let known = |word: &str| word.starts_with("__") || variables.contains(&word);
            for word in target.query.text().split('$').skip(1) {
                let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
                assert!(known(&word[..end]), "{}: there is no variable ${}", target.place, &word[..end]);
            }
        }
    }
}

#[test]
fn provisioning_names_this_source_and_a_folder() {
    let sources = yaml("datasources/sonde.yml");
    let source = |of: &str| list(&sources["datasources"]).find(|s| s["type"] == of).unwrap_or_else(|| panic!("{of}"));
    let (metrics, traces, alerts) = (source("prometheus"), source("tempo"), source("alertmanager"));
    assert_eq!(alerts["jsonData"]["implementation"], "prometheus", "any other asks under /alertmanager");
    for source in [metrics, traces, alerts] {
        assert_eq!(source["url"], "http://127.0.0.1:9090");
    }
    for exemplar in list(&metrics["jsonData"]["exemplarTraceIdDestinations"]) {
        assert_eq!(exemplar["datasourceUid"], traces["uid"], "{exemplar}");
    }
    for link in ["serviceMap", "tracesToMetrics"] {
        assert_eq!(traces["jsonData"][link]["datasourceUid"], metrics["uid"], "{link}");
    }
    let provider = &yaml("dashboards/sonde.yml")["providers"][0];
    assert_eq!(provider["type"], "file");
    assert!(provider["options"]["path"].as_str().is_some_and(|p| p.starts_with('/')), "{provider}");
}

#[test]
fn every_panel_has_data() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = collector(dir.path());
    let agent = format!(
        "host: {{interval: {WRITE_INTERVAL}s, slow_interval: {WRITE_INTERVAL}s}}\ntelemetry: {{interval: {WRITE_INTERVAL}s}}\n"
    );
    let agent = Agent::start(dir.path(), &sonde, &agent);
    let shop = Shop::start(dir.path(), &agent, "the panels of dashboards/services.json");
    let mut orders = 0;
    let mut order = || {
        orders += 1;
        shop.as_ref().map(|shop| shop.buy(orders))
    };
    wait_for("collector and agent have told about themselves", DEADLINE, || {
        order();
        sonde.value("count(sonde_ready) and count(sonde_agent_queue_bytes) and count(system_filesystem_limit_bytes)")
    });
    for dashboard in dashboards() {
        let of_spans = dashboard.name == "services.json";
        if of_spans && shop.is_none() {
            continue;
        }
        if of_spans {
            wait_for("metrics are derived from spans", DEADLINE, || {
                order();
                sonde
                    .value("count(traces_spanmetrics_calls_total) and count(traces_service_graph_request_failed_total)")
            });
        }
        let variables = variables(&sonde, &dashboard.json);
        let annotations = list(&dashboard.json["annotations"]["list"]).filter_map(|a| a["expr"].as_str());
        for expr in annotations {
            let expr = substitute(expr, &variables);
            answer(&sonde, &range(&expr)).unwrap_or_else(|e| panic!("{}: annotation {expr}: {e}", dashboard.name));
        }
        let mut left: Vec<Target> = targets(&dashboard).collect();
        if of_spans {
            left.extend(links_of_traces());
        }
        let all = left.len();
        wait_for(&format!("{}: every query has data", dashboard.name), DEADLINE, || {
            let mut missing = Vec::new();
            left.retain(|target| {
                order();
                let query = target.query.with(&variables);
                let answered = query.answer(&sonde);
                // An error does not go away by waiting.
                let rows = answered.unwrap_or_else(|error| panic!("{}: {}: {error}", target.place, query.text()));
                let is_empty = rows == 0 && !excused(&sonde, target.query.text());
                if is_empty {
                    missing.push(format!("{}: {}: no data", target.place, query.text()));
                }
                is_empty
            });
            if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
        });
        println!("{}: {all} queries have data", dashboard.name);
    }
}

/// A collector that writes and derives every second and has a receiver of notifications, so that there is something to
/// show soon.
fn collector(dir: &std::path::Path) -> Sonde {
    let webhook = Webhook::start(0);
    let config = dir.join("collector.yml");
    let text = format!(
        "telemetry: {{interval: {WRITE_INTERVAL}s}}\nnotify: {{webhooks: [{{url: '{}'}}]}}\n\
         derive: {{interval: {WRITE_INTERVAL}s, service_graph: {{wait: 1s}}}}\n",
        webhook.url()
    );
    std::fs::write(&config, text).expect("a configuration");
    Sonde::collector(dir, &["--config", &config.to_string_lossy()])
}

/// The queries by which a span in Grafana leads to metrics, for a span of a service that also fails.
fn links_of_traces() -> Vec<Target> {
    let sources = yaml("datasources/sonde.yml");
    let tempo = list(&sources["datasources"]).find(|source| source["type"] == "tempo").expect("a Tempo source");
    let links = &tempo["jsonData"]["tracesToMetrics"];
    let tags: Vec<_> =
        list(&links["tags"]).map(|tag| format!("{}=\"orders\"", tag["value"].as_str().expect("a label"))).collect();
    let link = |link: &Value| Target {
        place: format!("from a span to {}", link["name"]),
        query: Query::PromQl(link["query"].as_str().expect("a query").replace("$$__tags", &tags.join(", "))),
    };
    list(&links["queries"]).map(link).collect()
}

/// A file of the provisioning.
fn yaml(path: &str) -> Value {
    let path = workspace_root().join("dashboards/provisioning").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What may stay empty on this host, and why; said in the list of what did not run.
fn excused(sonde: &Sonde, expr: &str) -> bool {
    let no_disk = expr.contains("system_disk_")
        && block_devices() == 0
        && sonde.query("system_disk_operations_total").is_ok_and(|samples| samples.is_empty());
    if no_disk {
        not_run("the disk panels of dashboards/host.json", "this host shows no block device in /sys/block");
    }
    no_disk
}

/// How many block devices there are that the agent measures by default.
fn block_devices() -> usize {
    let left_out = |name: &str| ["loop", "ram", "zram", "fd", "sr"].iter().any(|prefix| name.starts_with(prefix));
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries.filter(|entry| !left_out(&entry.file_name().to_string_lossy())).count()
}

fn check_panel(panel: &Value, place: &str) {
    assert!(panel["description"].as_str().is_some_and(|t| t.len() > 10), "{place}: no description");
    let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
    assert!(UNITS.contains(&unit), "{place}: unit {unit:?}");
    let variable = if panel["datasource"]["type"] == "tempo" { "${tempo}" } else { "${datasource}" };
    for source in std::iter::once(panel).chain(list(&panel["targets"])).map(|of| &of["datasource"]) {
        assert_eq!(source["uid"], variable, "{place}: the source is the variable");
    }
    assert!(list(&panel["targets"]).next().is_some(), "{place}: no query");
    let letters: BTreeSet<&str> = list(&panel["targets"]).filter_map(|t| t["refId"].as_str()).collect();
    assert_eq!(letters.len(), list(&panel["targets"]).count(), "{place}: a letter for each query");
}

/// The cells of the grid that a panel covers.
fn covered(panel: &Value, place: &str) -> Vec<(u64, u64)> {
    let number = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{place}: no gridPos.{key}"));
    let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
    assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{place} does not fit into {COLUMNS} columns");
    (y..y + h).flat_map(|row| (x..x + w).map(move |column| (column, row))).collect()
}

/// The values of the variables as Grafana puts them into a query: those of several values as a regular expression.
fn variables(sonde: &Sonde, dashboard: &Value) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([
        ("__interval".to_owned(), format!("{INTERVAL}s")),
        ("__rate_interval".to_owned(), format!("{}s", (INTERVAL + WRITE_INTERVAL).max(4 * WRITE_INTERVAL))),
        ("__range".to_owned(), format!("{RANGE}s")),
    ]);
    for variable in list(&dashboard["templating"]["list"]).filter(|v| v["type"] == "query") {
        let name = variable["name"].as_str().expect("a name");
        let query = variable["query"]["query"].as_str().expect("a query");
        let parts = query.strip_prefix("label_values(").and_then(|q| q.strip_suffix(')')?.split_once(", "));
        let (metric, label) = parts.unwrap_or_else(|| panic!("{name}: only label_values(METRIC, LABEL): {query}"));
        let path = format!("/api/v1/label/{label}/values?match[]={}", encode(metric));
        let json = sonde.get(&path).json();
        let found: Vec<&str> = list(&json["data"]).filter_map(Value::as_str).collect();
        assert!(!found.is_empty(), "variable {name} has no values: {json}");
        let value = if variable["multi"] == true {
            let escaped: Vec<String> = found.iter().map(|v| v.replace('.', "\\\\.")).collect();
            format!("({})", escaped.join("|"))
        } else {
            found[0].to_owned()
        };
        values.insert(name.to_owned(), value);
    }
    for variable in list(&dashboard["templating"]["list"]).filter(|v| v["type"] == "custom") {
        let (name, value) = (&variable["name"], &variable["current"]["value"]);
        values.insert(name.as_str().expect("a name").to_owned(), value.as_str().expect("a value").to_owned());
    }
    values
}

fn substitute(expr: &str, variables: &BTreeMap<String, String>) -> String {
    // Longest first, because a name may begin with another one.
    let mut names: Vec<&String> = variables.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.iter().fold(expr.to_owned(), |expr, name| expr.replace(&format!("${name}"), &variables[*name]))
}

fn range(expr: &str) -> String {
    let end = now_ms() / 1_000;
    format!("/api/v1/query_range?query={}&start={}&end={end}&step={INTERVAL}", encode(expr), end - RANGE as i64)
}

fn instant(expr: &str) -> String {
    format!("/api/v1/query?query={}", encode(expr))
}

/// How many values other than NaN an answer holds.
fn answer(sonde: &Sonde, path: &str) -> Result<usize, String> {
    let reply = get(&sonde.url(path))?;
    let json: Value = serde_json::from_slice(&reply.body).map_err(|e| format!("{e}: {}", reply.text()))?;
    if json["status"] != "success" {
        return Err(json.to_string());
    }
    let values = |series: &Value| {
        let points = list(&series["values"]).chain(series.get("value"));
        points.filter(|point| point[1] != "NaN").count()
    };
    Ok(list(&json["data"]["result"]).map(values).sum())
}

fn dashboards() -> Vec<Dashboard> {
    let folder = workspace_root().join("dashboards");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 2, "{paths:?}");
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a dashboard");
        let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        Dashboard { name, json }
    };
    paths.iter().map(read).collect()
}

/// All panels, those of collapsed rows too.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["panels"]).flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
}

fn targets(dashboard: &Dashboard) -> impl Iterator<Item = Target> {
    panels(&dashboard.json).flat_map(|panel| {
        list(&panel["targets"]).flat_map(|target| {
            let title = panel["title"].as_str().unwrap_or_default();
            let place = format!("{}, {title:?} {}", dashboard.name, target["refId"]);
            queries(target).into_iter().map(move |query| Target { place: place.clone(), query })
        })
    })
}

/// What Grafana asks for a target: for a service graph it is the Tempo source that asks the Prometheus source.
fn queries(target: &Value) -> Vec<Query> {
    match target["queryType"].as_str() {
        Some("serviceMap") => {
            assert_eq!(target["serviceMapQuery"], "", "no filter: {target}");
            let of = |metric: &&str| {
                [
                    format!("sum by (client, server) (rate({metric}[$__range]))"),
                    format!("group by (client, connection_type, server) ({metric})"),
                ]
            };
            SERVICE_MAP.iter().flat_map(of).map(Query::PromQl).collect()
        }
        Some("traceql") => {
            let number = |key: &str| target[key].as_u64().unwrap_or_else(|| panic!("no {key}: {target}"));
            vec![Query::TraceQl(text(&target["query"]), number("limit"), number("spss"))]
        }
        Some(other) => panic!("no query of type {other} is known: {target}"),
        None => {
            let expr = text(&target["expr"]);
            let exemplars = (target["exemplar"] == true).then(|| Query::Exemplars(expr.clone()));
            std::iter::once(Query::PromQl(expr)).chain(exemplars).collect()
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
