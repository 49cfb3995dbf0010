//! As much of JSON Schema as the document uses.

use serde_json::Value;

/// What of a value is not as a schema says; `at` is where the value stands.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
        found.extend(faults(document, target, value, at));
    }
    if let Some(kind) = schema["type"].as_str() {
        let is_kind = match kind {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("the type {other} is not known"),
        };
        if !is_kind {
            found.push(format!("{at} is no {kind}: {value:.100}"));
            return found;
        }
    }
    if let Some(expected) = schema.get("const")
        && expected != value
    {
        found.push(format!("{at} is not {expected}: {value:.100}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at} is none of {allowed:?}: {value:.100}"));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(faults(document, part, value, at));
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| faults(document, choice, value, at).is_empty()).count();
        if fitting != 1 {
            found.push(format!("{at} fits {fitting} of the choices: {value:.200}"));
        }
    }
    if let Some(map) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(name) {
                found.push(format!("{at} has no {name}"));
            }
        }
        for (name, inner) in map {
            let at = format!("{at}.{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(property), _) => found.extend(faults(document, property, inner, &at)),
                (None, Value::Bool(false)) => found.push(format!("{at} is not described")),
                (None, others) => found.extend(faults(document, others, inner, &at)),
            }
        }
    }
    if let Some(items) = value.as_array() {
        if let Some(least) = schema["minItems"].as_u64()
            && (items.len() as u64) < least
        {
            found.push(format!("{at} has fewer than {least} items"));
        }
        let first = schema["prefixItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (i, item) in items.iter().enumerate() {
            let described = first.get(i).unwrap_or(&schema["items"]);
            found.extend(faults(document, described, item, &format!("{at}[{i}]")));
        }
    }
    found
}
