//! The OpenAPI document against the table of routes, and against the answers to its own examples.

mod schema;

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::api::form::Form;
use crate::api::openapi::DOCUMENT;
use crate::auth::{Access, Principal, Role, Surface, TABLE};

/// What takes the place of the admin calls where they are off: no path of OpenAPI.
const ADMIN_OFF: &str = "/api/v1/admin/{*call}";
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn document() -> Value {
    sonde_runtime::config::load(DOCUMENT, "openapi.yaml").expect("YAML")
}

/// The operations: path, method, operation, and the parameters of the path.
fn operations(document: &Value) -> Vec<(String, &'static str, Value, Vec<Value>)> {
    let paths = document["paths"].as_object().expect("paths");
    let list = |value: &Value| value["parameters"].as_array().cloned().unwrap_or_default();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
        methods.map(|method| (path.clone(), method, item[method].clone(), list(item))).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_document_has_every_route_with_its_role() {
    let row = |method: &str, path: &str, role: &str| format!("{method} {path} {role}");
    let mut served = BTreeSet::new();
    for route in TABLE.iter().filter(|route| route.surface == Surface::Main && route.path != ADMIN_OFF) {
        let role = match route.access {
            Access::Open => "-".to_owned(),
            Access::Needs(role) | Access::Proven(role) => role.to_string(),
        };
        served.extend(route.methods.iter().map(|method| row(&method.to_lowercase(), route.path, &role)));
    }
    let document = document();
    let described: BTreeSet<String> = operations(&document)
        .iter()
        .map(|(path, method, operation, _)| row(method, path, operation["x-role"].as_str().unwrap_or_default()))
        .collect();
    let missing: Vec<_> = served.difference(&described).collect();
    let surplus: Vec<_> = described.difference(&served).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

#[test]
fn the_references_of_the_document_lead_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("a reference within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                map.values().for_each(|value| walk(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[tokio::test]
async fn every_example_is_answered_as_the_document_says() {
    let document = document();
    let fixture = Fixture::open_with(Config::default(), Flags { enable_admin_api: true, ..Flags::default() });
    let new = crate::auth::NewToken { name: "a".into(), role: Role::Admin, life_ms: None, uses: None };
    let made = fixture.server.auth.create(new, &Principal::anyone(), fixture.server.clock.now_ms()).await;
    let token = made.expect("a token").0.as_str().to_owned();
    assert_eq!(fixture.post_write(&[("authorization", &format!("Bearer {token}"))], written()).await.0, 204);
    let mut failures = Vec::new();
    for (path, method, operation, of_path) in operations(&document) {
        let request = example(&path, method, &operation, &of_path, &token);
        let response = fixture.send(request).await;
        let status = response.status().as_u16().to_string();
        let content_type = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&body);
        let first = operation["responses"].as_object().and_then(|all| all.keys().find(|code| code.starts_with('2')));
        let expected = operation["x-example-status"].as_str().or(first.map(String::as_str)).unwrap_or_default();
        let declared = &operation["responses"][expected];
        let mut faults = Vec::new();
        if status != expected {
            faults.push(format!("{status} is not {expected}"));
        }
        if let Some(content) = declared["content"].as_object() {
            match content.get(&content_type) {
                None => faults.push(format!("{content_type:?} is none of {:?}", content.keys().collect::<Vec<_>>())),
                Some(of_type) if content_type == "application/json" => match serde_json::from_str::<Value>(&text) {
                    Ok(found) => faults.extend(schema::faults(&document, &of_type["schema"], &found, "$")),
                    Err(error) => faults.push(error.to_string()),
                },
                Some(_) => {}
            }
        }
        if !faults.is_empty() {
            let shown: String = text.chars().take(300).collect();
            failures.push(format!("{method} {path}: {}\n    {shown}", faults.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn written() -> Vec<u8> {
    compress(&encode(&data())).expect("it fits")
}

/// The request that the examples of an operation make.
fn example(path: &str, method: &str, operation: &Value, of_path: &[Value], token: &str) -> Request<Body> {
    let mut path = path.to_owned();
    for parameter in of_path {
        let name = parameter["name"].as_str().expect("a name");
        path = path.replace(&format!("{{{name}}}"), parameter["example"].as_str().expect("an example"));
    }
    let mut pairs = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        push(&mut pairs, parameter["name"].as_str().expect("a name"), &parameter["example"]);
    }
    let mut request = Request::builder().method(method.to_uppercase().as_str());
    request = request.header("authorization", format!("Bearer {token}"));
    let content = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    let body = match content {
        None => String::new(),
        Some((content_type, of_type)) => {
            request = request.header("content-type", content_type);
            if content_type == "application/x-www-form-urlencoded" {
                let mut form = Vec::new();
                for (name, value) in of_type["example"].as_object().expect("an example") {
                    push(&mut form, name, value);
                }
                form.join("&")
            } else {
                match &of_type["example"] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    json => json.to_string(),
                }
            }
        }
    };
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    request.uri(format!("{path}{query}")).body(Body::from(body)).expect("a request")
}

/// Adds `name=value` for a value, or for each of several.
fn push(pairs: &mut Vec<String>, name: &str, value: &Value) {
    let escape = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| push(pairs, name, item)),
        Value::String(text) => pairs.push(format!("{}={}", escape(name), escape(text))),
        other => pairs.push(format!("{}={}", escape(name), escape(&other.to_string()))),
    }
}

#[test]
fn what_is_escaped_is_read_back() {
    let mut pairs = Vec::new();
    push(&mut pairs, "match[]", &serde_json::json!(["a{b=\"c d\"}", "é"]));
    let form = Form::parse([pairs.join("&").as_bytes()]).expect("a form");
    assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["a{b=\"c d\"}", "é"]);
}
