//! The schemas against the program's own parser: what one refuses the other refuses.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use rootshift::documents::library::Bundle;
use rootshift::documents::plan::{After, FilesystemIdentity, OldSystem};
use rootshift::documents::{Batch, Error, ViScript};
use rootshift::engine::State;
use rootshift::engine::look::Look;
use rootshift::engine::report::report;
use rootshift::engine::resolve::{Machine, resolve};
use rootshift::engine::standing::{Facts, Seen, Standing};
use rootshift::engine::transition::Images;
use rootshift::journal::{Entry, Record};
use rootshift::sys::Root;
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

/// Rules between several keys, and the grammars of restores, which no schema can say.
fn is_between_keys(refusal: &Result<(), Error>) -> bool {
    let said = refusal.as_ref().map_err(ToString::to_string);
    said.is_err_and(|said| {
        said.contains(": layout.filesystems") || said.contains(": rollback_configuration.")
    })
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
                    (schema, parser) => schema.is_ok() == parser.is_ok(),
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

/// A migration that ran two of its steps and failed at the third, as `rootshift report` tells it.
fn report_of_a_failure() -> Value {
    let batch = project().join("batches/flat-to-subvolumes.json");
    let system = Root::open(Path::new("/")).unwrap();
    let bundle = Bundle::load(&system, batch.to_str()).unwrap();
    let machine = Machine {
        filesystem: FilesystemIdentity {
            uuid: "5a1f3c0e-9d2b-4c7e-8f60-0123456789ab".into(),
            aliases: vec![],
        },
        old_system: OldSystem::default(),
        other_filesystems: vec![],
        kept: vec![],
        fingerprints: vec![],
        now: 1_702_909_822,
    };
    let plan = resolve(&bundle, machine, After::Reboot).unwrap();
    let steps = plan.steps();
    let id = |index: usize| &steps[index].id;
    let usage = json!({
        "cpu_microseconds": 9, "peak_memory_bytes": 4096, "bytes_read": 0, "bytes_written": 512
    });
    let records = json!([
        {"started": {"batch_id": plan.batch_id, "plan": "p", "program": "0"}},
        {"attempt": {"number": 1}},
        {"begun": {"step": id(0)}},
        {"done": {"step": id(0), "milliseconds": 7, "usage": usage}},
        {"begun": {"step": id(1)}},
        {"done": {"step": id(1), "milliseconds": 1200}},
        {"begun": {"step": id(2)}},
        {"failed": {"step": id(2), "error": "no room"}},
    ]);
    let records: Vec<Record> = serde_json::from_value(records).unwrap();
    let state = State::after(&records).unwrap();
    let entry = |(sequence, record)| Entry {
        sequence,
        tag: 0,
        record,
    };
    let entries: Vec<Entry> = (1..).zip(records).map(entry).collect();
    serde_json::to_value(report(&plan, &state, &entries)).unwrap()
}

#[test]
fn a_report_fits_its_schema_and_a_spoiled_one_does_not() {
    let schema = project().join("schemas/report.schema.json");
    let report = report_of_a_failure();
    let phases = report.pointer("/execution_log/phases").unwrap();
    let failed = |phase: &&Value| phase["status"] == "failed";
    assert_eq!(phases.as_array().unwrap().iter().filter(failed).count(), 1);
    assert_eq!(validate(&schema, &report), Ok(()));
    for (at, value) in [
        ("/report_version", json!(0)),
        ("/execution_log/batch_id", json!(7)),
        ("/execution_log/phases/0/status", json!("done")),
        (
            "/execution_log/phases/0/viScripts/0/checks_passed",
            json!(-1),
        ),
        ("/state/stage", json!("Failed")),
        ("/state", json!({})),
        ("/execution_log/phases/0", json!([])),
    ] {
        let mut spoiled = report.clone();
        *spoiled.pointer_mut(at).unwrap() = value;
        let said = validate(&schema, &spoiled).unwrap_err();
        assert!(said.starts_with(at), "{said}");
    }
    let mut spoiled = report;
    spoiled["execution_log"]["phases"][0]["colour"] = json!("red");
    let said = validate(&schema, &spoiled).unwrap_err();
    assert!(said.contains("colour"), "{said}");
}

#[test]
fn what_status_prints_fits_its_schema_and_a_spoiled_one_does_not() {
    let records = json!([
        {"started": {"batch_id": "b_1", "plan": "p", "program": "0"}},
        {"armed": {"images": []}},
        "committed",
    ]);
    let records: Vec<Record> = serde_json::from_value(records).unwrap();
    let look = Look {
        state: State::after(&records),
        ..Look::default()
    };
    let standing = Standing::of(&Facts {
        look: &look,
        seen: Seen::New,
        subvolume: "@",
        uuid: None,
        problem: Some("something"),
        images_armed: true,
        images: Images::Armed,
        same_again: None,
        loader_agrees: true,
        old_problem: None,
        sudo: true,
        kept: &[],
        deleted: None,
    });
    let schema = project().join("schemas/status.schema.json");
    let merged = |state: Value| {
        let mut all = state;
        let told = serde_json::to_value(&standing).unwrap();
        let keys = told.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(keys);
        all
    };
    let whole = merged(serde_json::to_value(&look.state).unwrap());
    assert_eq!(validate(&schema, &whole), Ok(()));
    for stage in ["idle", "unknown"] {
        assert_eq!(validate(&schema, &merged(json!({"stage": stage}))), Ok(()));
    }
    for (at, value) in [
        ("/stage", json!("elsewhere")),
        ("/root", json!("New")),
        ("/next/0/commands", json!("reboot")),
        ("/root_agrees", json!("yes")),
    ] {
        let mut spoiled = whole.clone();
        *spoiled.pointer_mut(at).unwrap() = value;
        let said = validate(&schema, &spoiled).unwrap_err();
        assert!(said.starts_with(at), "{said}");
    }
    assert!(validate(&schema, &merged(json!({}))).is_err(), "no stage");
}
