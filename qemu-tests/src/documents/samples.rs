//! Good and bad documents, each with what the schema and the program's parser must make of it.

use serde_json::{Value, json};

use super::agreement::Judges;

/// Who takes a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// The schema and the parser.
    ByBoth,
    /// Neither.
    ByNone,
    /// The schema alone: what is wrong can't be said in a schema.
    BySchema,
}
use Taken::{ByBoth, ByNone, BySchema};

/// What is changed in the document that all samples of a kind begin with.
enum Change {
    Set(Value),
    Remove,
}
use Change::{Remove, Set};

type Sample = (&'static str, &'static str, Change, Taken);

fn change(document: &Value, at: &str, change: &Change) -> Value {
    let mut document = document.clone();
    let (parent, key) = at.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent), change) {
        (Some(Value::Object(keys)), Set(value)) => _ = keys.insert(key.into(), value.clone()),
        (Some(Value::Object(keys)), Remove) => assert!(keys.remove(key).is_some(), "{at}"),
        (Some(Value::Array(items)), Set(value)) => items.push(value.clone()),
        _ => panic!("no place {at}"),
    }
    document
}

fn judge(kind: &str, document: &Value, samples: &[Sample]) {
    let judges = Judges::of(kind);
    assert_eq!(judges.schema(document), Ok(()));
    judges.parse(document).unwrap();
    let mut wrong = Vec::new();
    for (what, at, changed, expected) in samples {
        let sample = change(document, at, changed);
        let (schema, parser) = (judges.schema(&sample), judges.parse(&sample));
        let taken = match (schema.is_ok(), parser.is_ok()) {
            (true, true) => Some(ByBoth),
            (true, false) => Some(BySchema),
            (false, false) => Some(ByNone),
            (false, true) => None,
        };
        if taken != Some(*expected) {
            wrong.push(format!(
                "{what}: {expected:?} expected; schema {schema:?}, parser {parser:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn batch() -> Value {
    json!({
        "batch_name": "sample", "version": "1.0", "description": "", "execution_mode": "sequential",
        "failure_handling": "rollback", "rollback_enabled": true,
        "layout": { "filesystems": [ { "mounted_at": "/", "subvolumes": [
            { "name": "@", "mount_point": "/" },
            { "name": "@home", "mount_point": "/home", "options": ["nodev"] }
        ] } ] },
        "phases": [ {
            "name": "one", "viScripts": ["a.json"], "required": true, "critical": true,
            "parallel_execution": false, "checkpoint_after": false
        } ],
        "dependencies": { "system_requirements": { "min_memory": "4GB" } }
    })
}

#[test]
fn batches() {
    let memory = "/dependencies/system_requirements/min_memory";
    let home = "/layout/filesystems/0/subvolumes/1";
    let name = format!("{home}/name").leak();
    let mount_point = format!("{home}/mount_point").leak();
    let second = json!({
        "name": "one", "viScripts": ["b.json"], "required": true, "critical": true,
        "parallel_execution": false, "checkpoint_after": false
    });
    judge(
        "batch",
        &batch(),
        &[
            ("an unknown key", "/batch", Set(json!("x")), ByNone),
            (
                "an unknown key in a phase",
                "/phases/0/viscripts",
                Set(json!([])),
                ByNone,
            ),
            (
                "an unknown key deep inside",
                "/dependencies/prerequisites",
                Set(json!({"root": true})),
                ByNone,
            ),
            ("a missing key", "/batch_name", Remove, ByNone),
            (
                "a missing key in a phase",
                "/phases/0/critical",
                Remove,
                ByNone,
            ),
            ("no layout", "/layout", Remove, ByBoth),
            (
                "a schema",
                "/$schema",
                Set(json!("../schemas/batch.schema.json")),
                ByBoth,
            ),
            ("text for a number", "/trial_boots", Set(json!("3")), ByNone),
            ("a number for text", "/description", Set(json!(3)), ByNone),
            (
                "text for a truth value",
                "/rollback_enabled",
                Set(json!("true")),
                ByNone,
            ),
            ("an object for a list", "/phases", Set(json!({})), ByNone),
            ("null for text", "/description", Set(json!(null)), ByNone),
            (
                "null for what may be missing",
                "/monitoring",
                Set(json!(null)),
                ByBoth,
            ),
            (
                "no boot to prove itself in",
                "/trial_boots",
                Set(json!(0)),
                ByNone,
            ),
            ("too many of them", "/trial_boots", Set(json!(21)), ByNone),
            ("a negative number", "/trial_boots", Set(json!(-1)), ByNone),
            ("half a boot", "/trial_boots", Set(json!(1.5)), ByNone),
            ("the most boots", "/trial_boots", Set(json!(20)), ByBoth),
            ("an unknown version", "/version", Set(json!("2.0")), ByNone),
            (
                "a version that is a number",
                "/version",
                Set(json!(1.0)),
                ByNone,
            ),
            (
                "an unknown word",
                "/failure_handling",
                Set(json!("stop")),
                ByNone,
            ),
            (
                "a word in the wrong case",
                "/failure_handling",
                Set(json!("Rollback")),
                ByNone,
            ),
            (
                "a blank in the name",
                "/batch_name",
                Set(json!("a b")),
                ByNone,
            ),
            (
                "a name that is a path",
                "/batch_name",
                Set(json!("../a")),
                ByNone,
            ),
            ("no name", "/batch_name", Set(json!("")), ByNone),
            ("no phases", "/phases", Set(json!([])), ByNone),
            (
                "a phase without viScripts",
                "/phases/0/viScripts",
                Set(json!([])),
                ByNone,
            ),
            ("two phases of one name", "/phases/1", Set(second), BySchema),
            ("a size with a blank", memory, Set(json!("4 GiB")), ByBoth),
            ("a size in bytes", memory, Set(json!("4096")), ByBoth),
            ("a negative size", memory, Set(json!("-1")), ByNone),
            ("a size without a number", memory, Set(json!("GB")), ByNone),
            ("a size in small letters", memory, Set(json!("4gb")), ByNone),
            (
                "a size with a fraction",
                memory,
                Set(json!("1.5GB")),
                ByNone,
            ),
            ("a size that is a number", memory, Set(json!(4096)), ByNone),
            (
                "a size in digits that are not ASCII",
                memory,
                Set(json!("٣GB")),
                ByNone,
            ),
            (
                "a size beyond 64 bits",
                memory,
                Set(json!("99999999999TB")),
                BySchema,
            ),
            ("a subvolume that climbs", name, Set(json!("..")), ByNone),
            ("a subvolume with a comma", name, Set(json!("a,b")), ByNone),
            ("a subvolume with a path", name, Set(json!("a/b")), ByNone),
            (
                "a second subvolume of a name",
                name,
                Set(json!("@")),
                BySchema,
            ),
            (
                "a relative mount point",
                mount_point,
                Set(json!("home")),
                ByNone,
            ),
            (
                "a mount point that climbs",
                mount_point,
                Set(json!("/srv/../home")),
                ByNone,
            ),
            (
                "a mount point with a blank",
                mount_point,
                Set(json!("/my home")),
                ByNone,
            ),
            (
                "a mount point with NUL",
                mount_point,
                Set(json!("/home\u{0}")),
                ByNone,
            ),
            (
                "a mount point with a line break at its end",
                mount_point,
                Set(json!("/home\n")),
                ByNone,
            ),
            (
                "a mount point that ends in a slash",
                mount_point,
                Set(json!("/home/")),
                ByNone,
            ),
            (
                "a mount point with dots in its name",
                mount_point,
                Set(json!("/srv/..a/.b")),
                ByBoth,
            ),
            (
                "a second subvolume at /",
                mount_point,
                Set(json!("/")),
                BySchema,
            ),
        ],
    );
}

fn viscript() -> Value {
    json!({
        "viScript_name": "sample", "version": "1.0", "description": "", "type": "core",
        "risk_level": "medium",
        "steps": [ { "name": "copy", "do": { "snapshot": { "from": "/", "to": "{staging}/a" } } } ],
        "checks": [ { "name": "room", "check": { "free-space": { "minimum": "1GB" } } } ]
    })
}

#[test]
fn viscripts() {
    let action = "/steps/0/do";
    let check = "/checks/0/check";
    judge(
        "viscript",
        &viscript(),
        &[
            ("an unknown key", "/name", Set(json!("x")), ByNone),
            ("a missing key", "/risk_level", Remove, ByNone),
            ("an unknown type", "/type", Set(json!("Core")), ByNone),
            ("an unknown risk", "/risk_level", Set(json!("none")), ByNone),
            (
                "steps where nothing may change",
                "/type",
                Set(json!("validation")),
                ByNone,
            ),
            ("no steps", "/steps", Remove, ByBoth),
            ("no checks", "/checks", Remove, ByBoth),
            (
                "a repetition",
                "/steps/0/each",
                Set(json!("split-off")),
                ByBoth,
            ),
            (
                "an unknown repetition",
                "/steps/0/each",
                Set(json!("file")),
                ByNone,
            ),
            ("a step without a name", "/steps/0/name", Remove, ByNone),
            ("a step without work", action, Set(json!({})), ByNone),
            (
                "an unknown kind of step",
                action,
                Set(json!({"shell": {"command": "rm"}})),
                ByNone,
            ),
            (
                "a kind without its keys",
                action,
                Set(json!("snapshot")),
                ByNone,
            ),
            (
                "two kinds in one step",
                action,
                Set(json!({
                    "snapshot": {"from": "/", "to": "a"}, "write-fstab": {"subvolume": "a"}
                })),
                ByNone,
            ),
            (
                "a step's key is missing",
                action,
                Set(json!({"snapshot": {"from": "/"}})),
                ByNone,
            ),
            (
                "a step's key is unknown",
                "/steps/0/do/snapshot/readonly",
                Set(json!(true)),
                ByNone,
            ),
            (
                "a step's key has the wrong type",
                "/steps/0/do/snapshot/to",
                Set(json!(["a"])),
                ByNone,
            ),
            (
                "an unknown kind of check",
                check,
                Set(json!({"free-spaces": {}})),
                ByNone,
            ),
            (
                "a check's key that may be missing",
                check,
                Set(json!({"free-space": {}})),
                ByBoth,
            ),
            (
                "a check's key that may not",
                check,
                Set(json!({"memory": {}})),
                ByNone,
            ),
            (
                "a check's key is unknown",
                check,
                Set(json!({"names-free": {"names": []}})),
                ByNone,
            ),
            (
                "a bad size in a check",
                check,
                Set(json!({"memory": {"minimum": "much"}})),
                ByNone,
            ),
            ("a check that is null", check, Set(json!(null)), ByNone),
            (
                "a weight that is no truth value",
                "/checks/0/required",
                Set(json!(1)),
                ByNone,
            ),
            (
                "a prerequisite that is no list",
                "/prerequisites",
                Set(json!({"required_mounts": "/"})),
                ByNone,
            ),
            (
                "a prerequisite of a name",
                "/prerequisites",
                Set(json!({"required_viscripts": []})),
                ByNone,
            ),
        ],
    );
}

/// What would always pass is refused whichever way it is written.
#[test]
fn neither_steps_nor_checks() {
    let judges = Judges::of("viscript");
    for (steps, checks) in [
        (None, None),
        (Some(json!([])), None),
        (Some(json!([])), Some(json!([]))),
    ] {
        let mut sample = change(&change(&viscript(), "/steps", &Remove), "/checks", &Remove);
        for (key, value) in [("steps", steps), ("checks", checks)] {
            if let Some(value) = value {
                sample[key] = value;
            }
        }
        assert!(judges.schema(&sample).is_err(), "{sample}");
        assert!(judges.parse(&sample).is_err(), "{sample}");
    }
}
