//! The schemas against the program's own parser: what one refuses the other refuses.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use rootshift::documents::{Batch, Error, ViScript};
use serde_json::{Value, json};

use super::{all, check, problems, validate};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn shipped(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(project().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// One kind of document with both its judges.
pub(super) struct Judges {
    schema: Validator,
    parse: fn(&[u8]) -> Result<(), Error>,
}

impl Judges {
    pub(super) fn of(kind: &str) -> Self {
        let documents = all();
        let document = documents.iter().find(|known| known.name == kind).unwrap();
        Self {
            schema: jsonschema::draft202012::new(&document.schema).unwrap(),
            parse: match kind {
                "batch" => |bytes| Batch::parse("b.json", bytes).map(drop),
                _ => |bytes| ViScript::parse("v.json", bytes).map(drop),
            },
        }
    }

    pub(super) fn parse(&self, document: &Value) -> Result<(), Error> {
        (self.parse)(document.to_string().as_bytes())
    }

    pub(super) fn schema(&self, document: &Value) -> Result<(), String> {
        problems(&self.schema, document)
    }
}

#[test]
fn committed_files_are_what_the_types_say() {
    check(project()).unwrap();
}

#[test]
fn every_shipped_document_fits_its_schema() {
    for (folder, schema, least) in [("batches", "batch", 2), ("viscripts", "viscript", 11)] {
        let schema = project().join(format!("schemas/{schema}.schema.json"));
        let documents = shipped(folder);
        assert!(documents.len() >= least, "{documents:?}");
        for path in documents {
            let said = validate(&schema, &json(&path));
            assert_eq!(said, Ok(()), "{}", path.display());
        }
    }
}

/// The seed's batch stays as it was; every other document tells editors where its schema is.
#[test]
fn every_shipped_document_but_the_seed_names_its_schema() {
    for (folder, kind) in [("batches", "batch"), ("viscripts", "viscript")] {
        for path in shipped(folder) {
            if path.ends_with("ubuntu_btrfs_installation.json") {
                assert_eq!(json(&path).get("$schema"), None);
                continue;
            }
            let named = json(&path)["$schema"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert_eq!(named, format!("../schemas/{kind}.schema.json"), "{path:?}");
            assert!(path.parent().unwrap().join(named).exists());
        }
    }
}

/// Every place of a document, as JSON pointers.
fn places(document: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match document {
        Value::Object(keys) => keys
            .iter()
            .for_each(|(key, value)| places(value, &format!("{at}/{key}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| places(value, &format!("{at}/{index}"), found)),
        _ => {}
    }
}

/// The document with one place spoiled, in every way that is tried.
fn spoiled(document: &Value, at: &str) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("no such thing"),
        json!([]),
        json!([7]),
        json!({}),
        json!({"no such key": 7}),
        json!(4_294_967_296_u64),
    ];
    let mut made = Vec::new();
    for other in others {
        let mut changed = document.clone();
        *changed.pointer_mut(at).unwrap() = other;
        made.push(changed);
    }
    let mut changed = document.clone();
    if let Some(Value::Object(keys)) = changed.pointer_mut(at) {
        keys.insert("no such key".into(), json!(7));
        made.push(changed);
    }
    let (parent, key) = at.rsplit_once('/').unwrap_or_default();
    let mut changed = document.clone();
    if let Some(Value::Object(keys)) = changed.pointer_mut(parent) {
        keys.remove(key);
        made.push(changed);
    }
    made
}

/// Rules between several keys of a layout, which no schema can say.
fn is_between_keys(refusal: &Result<(), Error>) -> bool {
    matches!(refusal, Err(Error::Sense { at, .. }) if at.starts_with("layout.filesystems"))
}

/// serde takes a list of its values for a struct.
fn is_list_for_object(changed: &Value, at: &str) -> bool {
    changed.pointer(at).is_some_and(Value::is_array)
}

#[test]
fn schema_and_parser_agree_on_every_spoiled_place_of_every_shipped_document() {
    let mut refused = 0;
    let mut disagreements = Vec::new();
    for (folder, kind) in [("batches", "batch"), ("viscripts", "viscript")] {
        let judges = Judges::of(kind);
        for path in shipped(folder) {
            let document = json(&path);
            let mut pointers = Vec::new();
            places(&document, "", &mut pointers);
            let changes = pointers.iter().flat_map(|at| {
                spoiled(&document, at)
                    .into_iter()
                    .map(move |made| (at, made))
            });
            for (at, changed) in changes {
                let (schema, parser) = (judges.schema(&changed), judges.parse(&changed));
                refused += usize::from(parser.is_err());
                let agree = match (&schema, &parser) {
                    (Ok(()), Err(_)) => is_between_keys(&parser),
                    (Err(_), Ok(())) => is_list_for_object(&changed, at),
                    _ => true,
                };
                if !agree {
                    let parser = parser.map_err(|error| error.to_string());
                    let path = path.display();
                    disagreements.push(format!("{path}{at}: schema {schema:?}, parser {parser:?}"));
                }
            }
        }
    }
    assert!(refused > 1000, "{refused} is too few to say anything");
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
