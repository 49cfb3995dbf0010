//! `/status/config`: the configuration as it holds now, every key with its value, secrets hidden.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;

use super::shown_url::{HIDDEN, shown_url};
use crate::api::answer::{Answer, ApiError, ErrorKind};
use crate::server::Server;

/// A key with one of these in its name holds a secret, unless it names a file.
const SECRET_WORDS: [&str; 6] = ["password", "secret", "token", "credential", "authorization", "header"];

/// `/status/config`
pub(super) async fn config(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let config = server.config.load();
    let mut value = serde_json::to_value(&**config).map_err(|e| ApiError::new(ErrorKind::Internal, e))?;
    hide(&mut value, false);
    let mut yaml = String::new();
    write_block(&mut yaml, &value, 0);
    Ok(Answer::new(|json| {
        json.raw("{").key("yaml").string(yaml.trim_start_matches('\n')).raw("}");
    }))
}

/// Hides secrets. The address of a receiver of notifications is one, because it often holds the key to a channel; of other
/// addresses what stands before the host and the values of the query are.
fn hide(value: &mut Value, is_notify: bool) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let is_secret = SECRET_WORDS.iter().any(|word| key.contains(word)) && !key.ends_with("_file");
                if is_secret || (is_notify && key == "url") {
                    hide_all(value);
                } else if let (Value::String(text), true) = (&mut *value, key.ends_with("url")) {
                    *text = shown_url(text);
                } else {
                    hide(value, is_notify || key == "notify");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_notify)),
        _ => {}
    }
}

fn hide_all(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(hide_all),
        Value::Array(items) => items.iter_mut().for_each(hide_all),
        Value::String(text) if !text.is_empty() => HIDDEN.clone_into(text),
        _ => {}
    }
}

/// Writes YAML in blocks, strings in quotes: these are the escapes of JSON, which YAML has, too.
fn write_block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let ok = match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                write!(out, "\n{indent}{key}:").expect("BUG: writing to a string failed");
                write_block(out, value, depth + 1);
            }
            Ok(())
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut block = String::new();
                write_block(&mut block, item, depth + 1);
                // The first line of an item stands behind its dash.
                let block = block.trim_start_matches(['\n', ' ']);
                write!(out, "\n{indent}- {block}").expect("BUG: writing to a string failed");
            }
            Ok(())
        }
        scalar => write!(out, " {scalar}"),
    };
    ok.expect("BUG: writing to a string failed");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let mut value = json!({
            "api": {"external_url": "http://a:b@c/d"},
            "notify": {"webhooks": [{"url": "https://hooks/T0/B0", "name": "x"}], "tls_config": {"key_file": "k"}},
            "remote": [{"password": "p", "password_file": "f", "headers": {"X": "y"}, "url": "http://h@ost/write?key=k"}],
        });
        hide(&mut value, false);
        let shown = json!({
            "api": {"external_url": "http://<secret>@c/d"},
            "notify": {"webhooks": [{"url": "<secret>", "name": "x"}], "tls_config": {"key_file": "k"}},
            "remote": [{"password": "<secret>", "password_file": "f", "headers": {"X": "<secret>"}, "url": "http://<secret>@ost/write?key=<secret>"}],
        });
        assert_eq!(value, shown);
    }

    #[test]
    fn yaml_is_read_back() {
        let value = json!({"a": {"b": [1, "x: \"y\"\n", {"c": null, "d": [[true], []]}], "e": {}}, "f": 1.5});
        let mut yaml = String::new();
        write_block(&mut yaml, &value, 0);
        let read: Value = sonde_runtime::config::load(&yaml, "test").expect("YAML");
        assert_eq!(read, value, "{yaml}");
    }

    #[test]
    fn what_is_shown_is_a_configuration() {
        let config = crate::config::Config::default();
        let mut yaml = String::new();
        write_block(&mut yaml, &serde_json::to_value(&config).expect("JSON"), 0);
        assert_eq!(crate::config::Config::parse(&yaml, "test").expect("a configuration"), config);
    }
}
