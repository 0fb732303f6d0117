//! What `sense.rs` refuses, as far as a JSON Schema can say it.

use serde_json::{Value, json};

/// A check of this kind must ask for one of these: a value, a list with something in it, true.
pub(super) fn asks(kind: &str, keys: &[&str]) -> Value {
    let one = |key: &&str| {
        let something = json!({
            "not": {"type": "null"},
            "minItems": 1,
            "if": {"type": "boolean"},
            "then": is_asked(key)
        });
        json!({"required": [key], "properties": {*key: something}})
    };
    let one: Vec<Value> = keys.iter().map(one).collect();
    json!([{"properties": {kind: {"anyOf": one}}}])
}

/// `false` is something to ask for, but not of what is false when missing.
fn is_asked(key: &str) -> Value {
    match key {
        "as_in_layout" => json!({"const": true}),
        _ => json!(true),
    }
}
