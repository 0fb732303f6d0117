//! JSON Schemas, made of the types that read and write the documents.

use rootshift::documents::{Batch, ViScript};
use rootshift::engine::report::form::Report;
use rootshift::engine::standing::StatusDocument;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// A kind of document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its name, as `batch`; its schema is `schemas/batch.schema.json`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Its schema.
    pub schema: Value,
}

/// All kinds of documents, in the order of the reference.
pub fn all() -> Vec<Document> {
    let read = SchemaSettings::draft2020_12().for_deserialize();
    let written = SchemaSettings::draft2020_12().for_serialize();
    vec![
        document::<Batch>("batch", "rootshift batch", read.clone()),
        document::<ViScript>("viscript", "rootshift viScript", read),
        of_output::<Report>("report", "rootshift report", written.clone()),
        status(written),
    ]
}

/// The journal's stages, and those of a machine without a journal that can be used.
fn status(settings: SchemaSettings) -> Document {
    let mut status = of_output::<StatusDocument>("status", "rootshift status", settings);
    let schema = &mut status.schema;
    let types = schema.get_mut("$defs").and_then(Value::as_object_mut);
    if let Some((types, mut stage)) = types.and_then(|types| {
        let stage = types.remove("Stage")?;
        Some((types, stage))
    }) {
        if let Some(Value::Array(stages)) = stage.get_mut("oneOf") {
            for (name, means) in [
                ("idle", "There is no journal: nothing is armed."),
                ("unknown", "There is a journal, and it can't be used."),
            ] {
                stages.push(json!({ "const": name, "description": means, "type": "string" }));
            }
        }
        types.insert("StatusStage".into(), stage);
    }
    if let Some(at) = schema.pointer_mut("/properties/stage/$ref") {
        *at = json!("#/$defs/StatusStage");
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push("stage".into());
    }
    status
}

/// No type reads what is only printed, so that none says that it has no other keys.
fn of_output<T: JsonSchema>(
    name: &'static str,
    title: &'static str,
    settings: SchemaSettings,
) -> Document {
    let mut output = document::<T>(name, title, settings);
    close(&mut output.schema);
    output
}

fn document<T: JsonSchema>(
    name: &'static str,
    title: &'static str,
    settings: SchemaSettings,
) -> Document {
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    tidy(&mut schema);
    if let Value::Object(top) = &mut schema {
        top.insert(
            "$id".into(),
            json!(format!("urn:rootshift:schema:{name}:1")),
        );
        top.insert("title".into(), json!(title));
    }
    Document {
        name,
        title,
        schema,
    }
}

/// Says in JSON Schema's own words what schemars says in Rust's, at every depth.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(keys) => {
            bound(keys);
            if let Some(Value::String(text)) = keys.get_mut("description") {
                *text = prose(text);
            }
            keys.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// `uint32` is no format of JSON Schema; its largest number is a `maximum`.
fn bound(keys: &mut Map<String, Value>) {
    match keys.get("format").and_then(Value::as_str) {
        Some("uint32") => _ = keys.entry("maximum").or_insert(json!(u32::MAX)),
        // The largest of these is no number in an editor's JavaScript.
        Some("uint64" | "uint") => {}
        _ => return,
    }
    keys.remove("format");
}

/// No key that is not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(keys) => {
            if keys.get("properties").is_some_and(Value::is_object) {
                keys.entry("additionalProperties").or_insert(json!(false));
            }
            keys.values_mut().for_each(close);
        }
        _ => {}
    }
}

/// A doc comment without its line breaks and links.
fn prose(comment: &str) -> String {
    let paragraphs: Vec<String> = comment
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    paragraphs
        .join("\n\n")
        .replace("[`", "`")
        .replace("`]", "`")
}
