//! Good and bad documents (`assets/samples`), each with who must take it: the schema, the program's
//! parser, both, or none of them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::agreement::Judges;

#[derive(Deserialize)]
struct Samples {
    /// A document that both take.
    document: Value,
    samples: Vec<Sample>,
}

/// The document with one change.
#[derive(Deserialize)]
struct Sample {
    what: String,
    /// `schema` alone where what is wrong can't be said in a schema.
    taken_by: String,
    /// A JSON pointer; what is there is removed where nothing is set.
    at: String,
    #[serde(default, deserialize_with = "present")]
    set: Option<Value>,
}

/// `null` is a value to be set, too.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

fn change(document: &Value, at: &str, set: Option<&Value>) -> Value {
    let mut document = document.clone();
    let (parent, key) = at.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent), set) {
        (Some(Value::Object(keys)), Some(value)) => _ = keys.insert(key.into(), value.clone()),
        (Some(Value::Object(keys)), None) => assert!(keys.remove(key).is_some(), "{at}"),
        (Some(Value::Array(items)), Some(value)) => items.push(value.clone()),
        _ => panic!("no place {at}"),
    }
    document
}

fn judge(kind: &str, samples: &str) {
    let judges = Judges::of(kind);
    let samples: Samples = serde_json::from_str(samples).unwrap();
    assert_eq!(judges.schema(&samples.document), Ok(()));
    judges.parse(&samples.document).unwrap();
    let mut wrong = Vec::new();
    for sample in &samples.samples {
        let document = change(&samples.document, &sample.at, sample.set.as_ref());
        let (schema, parser) = (judges.schema(&document), judges.parse(&document));
        let taken_by = match (schema.is_ok(), parser.is_ok()) {
            (true, true) => "both",
            (true, false) => "schema",
            (false, true) => "parser",
            (false, false) => "none",
        };
        if taken_by != sample.taken_by {
            let (what, expected) = (&sample.what, &sample.taken_by);
            wrong.push(format!(
                "{what}: taken by {taken_by}, not {expected}; schema {schema:?}, parser {parser:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn schema_and_parser_say_the_same_of_batches() {
    judge("batch", include_str!("../../assets/samples/batch.json"));
}

#[test]
fn schema_and_parser_say_the_same_of_viscripts() {
    judge(
        "viscript",
        include_str!("../../assets/samples/viscript.json"),
    );
}

/// What would always pass is refused whichever way it is written.
#[test]
fn neither_steps_nor_checks() {
    let judges = Judges::of("viscript");
    for rest in [
        json!({}),
        json!({"steps": []}),
        json!({"steps": [], "checks": []}),
    ] {
        let mut sample = json!({
            "viScript_name": "sample", "version": "1.0", "description": "", "type": "core",
            "risk_level": "medium",
        });
        for (key, value) in rest.as_object().unwrap() {
            sample[key] = value.clone();
        }
        assert!(judges.schema(&sample).is_err(), "{sample}");
        assert!(judges.parse(&sample).is_err(), "{sample}");
    }
}
