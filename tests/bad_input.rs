//! Bad documents, given to the real program: each is one problem with its place and its remedy,
//! in bounded time and memory, whatever is in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

const SEED: &str = include_str!("../batches/ubuntu_btrfs_installation.json");
const VISCRIPT: &str = include_str!("../viscripts/system_validation_viScript.json");
/// Kilobytes of address space: a document of 100 MB does not fit.
const MEMORY: &str = "65536";
/// Seconds after which a run counts as hung.
const PATIENCE: &str = "60";

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program with bounded memory and time.
fn program(arguments: &[&str]) -> Ran {
    let output = Command::new("timeout")
        .args([PATIENCE, "sh", "-c", "ulimit -v $0; exec \"$@\"", MEMORY])
        .arg(env!("CARGO_BIN_EXE_rootshift"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output that is not UTF-8");
    Ran {
        code: output.status.code().expect("killed by a signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// What `lint` says of these files.
fn lint(files: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["lint", "--json"];
    arguments.extend(files);
    let ran = program(&arguments);
    assert!(
        matches!(ran.code, 0 | 1),
        "{}: {}{}",
        ran.code,
        ran.stderr,
        ran.stdout
    );
    assert_eq!(ran.stderr, "");
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code == 0, said["clean"].as_bool().unwrap());
    said["problems"].as_array().unwrap().clone()
}

fn only_error(file: &str) -> Value {
    let mut errors = lint(&[file]);
    errors.retain(|problem| problem["severity"] == "error");
    assert_eq!(errors.len(), 1, "{file}: {errors:#?}");
    let problem = errors.remove(0);
    assert_clear(&problem);
    problem
}

/// One line, short, printable, with a place and a remedy.
fn assert_clear(problem: &Value) {
    let what = problem["what"].as_str().unwrap();
    assert!(!what.is_empty() && what.len() < 4000, "{}", what.len());
    assert!(!what.chars().any(char::is_control), "{what:?}");
    assert!(problem["line"].as_u64() >= Some(1), "{problem}");
    assert!(problem["column"].as_u64() >= Some(1), "{problem}");
    assert!(!problem["help"].as_str().unwrap().is_empty());
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// `lint` of this one document: `line:column: what`.
fn said(content: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let problem = only_error(&folder.write("batch.json", content.as_ref()));
    format!(
        "{}:{}: {}",
        problem["line"],
        problem["column"],
        problem["what"].as_str().unwrap()
    )
}

/// The seed's batch with a change.
fn changed(from: &str, to: &str) -> String {
    assert!(SEED.contains(from), "{from}");
    SEED.replacen(from, to, 1)
}

#[test]
fn the_documents_that_the_tests_spoil_are_sound() {
    let folder = Folder::new();
    let batch = folder.write("batch.json", SEED.as_bytes());
    let script = folder.write("script.json", VISCRIPT.as_bytes());
    let problems = lint(&[&batch, &script]);
    assert!(
        problems
            .iter()
            .all(|problem| problem["severity"] == "warning")
    );
}

#[test]
fn an_empty_document_says_so() {
    for empty in ["", " ", "\n\n", "\t \r\n"] {
        assert_eq!(said(empty), "1:1: the document is empty");
    }
}

#[test]
fn a_byte_order_mark_is_named() {
    let marked = format!("\u{feff}{SEED}");
    assert!(said(marked).starts_with("1:1: the document begins with a byte order mark"));
}

#[test]
fn what_is_not_utf_8_is_placed() {
    let mut bytes = SEED.as_bytes().to_vec();
    let at = SEED.find("Complete Ubuntu").unwrap();
    bytes[at] = 0xe9;
    let line = SEED[..at].matches('\n').count() + 1;
    let column = at - SEED[..at].rfind('\n').unwrap();
    assert_eq!(
        said(bytes),
        format!(
            "{line}:{column}: description: not UTF-8: the byte 0xe9; save the document as UTF-8"
        )
    );
    assert!(said(b"\xff\xfe{\0}\0").starts_with("1:1: not UTF-8"));
}

#[test]
fn a_batch_cut_at_any_byte_is_refused_at_the_cut() {
    let folder = Folder::new();
    let whole = SEED.trim_end();
    let files: Vec<String> = (1..whole.len())
        .map(|cut| folder.write(&format!("{cut}.json"), &whole.as_bytes()[..cut]))
        .collect();
    for (chunk, files) in files.chunks(500).enumerate() {
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        let problems = lint(&names);
        assert_eq!(problems.len(), files.len());
        for (index, problem) in problems.iter().enumerate() {
            let read = &whole[..=chunk * 500 + index];
            assert_clear(problem);
            assert_eq!(problem["file"], files[index]);
            let what = problem["what"].as_str().unwrap();
            // Before the first key it is not known to be a batch, and a number may end anywhere.
            assert!(what.contains("the document ends"), "{read}: {what}");
            let lines = read.matches('\n').count() as u64 + 1;
            assert_eq!(problem["line"], lines, "{read}: {what}");
        }
    }
}

#[test]
fn keys_are_there_once() {
    let twice = |from: &str, to: &str| said(changed(from, to));
    assert!(
        twice(
            "\"version\": \"1.0\",",
            "\"version\": \"1.0\", \"version\": \"1.0\","
        )
        .contains("version: duplicate key `version`; keep one of them")
    );
    // A map would keep the last one and say nothing; so would a key that is spelt otherwise.
    for again in ["fstab", "\\u0066stab"] {
        let to = format!("\"backup_locations\": {{ \"{again}\": \"/etc/x\",");
        let line = twice("\"backup_locations\": {", &to);
        assert!(
            line.contains("rollback_configuration.backup_locations.fstab: duplicate key `fstab`"),
            "{line}"
        );
    }
}

#[test]
fn an_unknown_key_gets_the_nearest_name() {
    let line = said(changed("\"phases\"", "\"phasse\""));
    assert!(line.contains("phasse: unknown field `phasse`"), "{line}");
    assert!(line.ends_with("did you mean `phases`?"), "{line}");
}

#[test]
fn an_unknown_version_gets_the_known_ones() {
    let line = said(changed("\"version\": \"1.0\"", "\"version\": \"2.0\""));
    assert!(
        line.contains("version: unknown variant `2.0`, expected `1.0`"),
        "{line}"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for inside in ["1", ""] {
            let deep = open.repeat(10_000);
            let close = if inside.is_empty() {
                String::new()
            } else {
                close.repeat(10_000)
            };
            said(format!("{deep}{inside}{close}"));
            let line = said(changed(
                "\"phases\": [",
                &format!("\"phases\": [{deep}{inside}{close},"),
            ));
            assert!(line.contains("phases[0]"), "{line}");
            let value = format!("\"author\": {deep}{inside}{close}, \"author\": ");
            assert!(said(changed("\"author\": ", &value)).contains("author"));
        }
    }
}

#[test]
fn a_large_document_is_refused_without_being_read() {
    let folder = Folder::new();
    let file = folder.path("large.json");
    fs::File::create(&file).unwrap().set_len(100 << 20).unwrap();
    let what = only_error(file.to_str().unwrap())["what"].clone();
    let what = what.as_str().unwrap();
    assert!(
        what.contains("104857600 bytes") && what.contains("1048576"),
        "{what}"
    );
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = Folder::new();
    let fifo = folder.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    symlink("/dev/zero", folder.path("zero")).unwrap();
    fs::create_dir(folder.path("directory")).unwrap();
    let zero = folder.path("zero");
    for path in [
        Path::new("/dev/zero"),
        Path::new("/dev/null"),
        &zero,
        &fifo,
        &folder.path("directory"),
    ] {
        let what = only_error(path.to_str().unwrap())["what"].clone();
        assert!(
            what.as_str().unwrap().contains("not a regular file"),
            "{what}"
        );
    }
    let missing = program(&["lint", folder.path("missing").to_str().unwrap()]);
    assert_eq!((missing.code, missing.stdout.as_str()), (3, ""));
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let folder = Folder::new();
    let good = folder.write("script.json", VISCRIPT.as_bytes());
    let bad = folder.write("bad.json", b"\xff");
    let worse = folder.write("worse.json", b"{");
    let problems = lint(&["/dev/zero", &good, &bad, &worse]);
    let files: Vec<&Value> = problems.iter().map(|problem| &problem["file"]).collect();
    for file in ["/dev/zero", &bad, &worse] {
        assert!(files.contains(&&json!(file)), "{file}: {files:?}");
    }
}

#[test]
fn long_names_make_short_messages_in_short_time() {
    let long = "x".repeat(900_000);
    for text in [
        changed("\"phases\"", &format!("\"{long}\"")),
        changed("\"sequential\"", &format!("\"{long}\"")),
        changed(
            "\"rollback_enabled\": true",
            &format!("\"rollback_enabled\": \"{long}\""),
        ),
        changed("\"4GB\"", &format!("\"{long}\"")),
    ] {
        said(text);
    }
    let keys: Vec<String> = (0..60_000)
        .map(|number| format!("\"{number}\": \"x\","))
        .collect();
    let many = changed(
        "\"backup_locations\": {",
        &format!(
            "\"backup_locations\": {{ {} \"59999\": \"y\",",
            keys.concat()
        ),
    );
    assert!(said(many).contains("duplicate key `59999`"));
}

#[test]
fn control_characters_are_refused_and_never_printed_raw() {
    for (character, shown) in [
        ("\\u0000", "\\u0000"),
        ("\\u001b[31m", "\\u001b"),
        ("\\u0007", "\\u0007"),
        ("\\r", "\\u000d"),
        ("\u{7f}", "\\u007f"),
        ("\u{9b}31m", "\\u009b"),
        ("\u{202e}", "\\u202e"),
    ] {
        for (place, from, to) in [
            ("description", "\"Complete", "\"?Complete"),
            (
                "phases[0].name",
                "\"pre_installation",
                "\"?pre_installation",
            ),
            (
                "rollback_configuration.backup_locations.fstab",
                "\"/etc/fstab.b",
                "\"?/etc/fstab.b",
            ),
        ] {
            let line = said(changed(from, &to.replace('?', character)));
            let wanted = format!("{place}: the control character {shown}");
            assert!(line.contains(&wanted), "{line} lacks {wanted}");
        }
        let script = VISCRIPT.replacen("\"name\": \"", &format!("\"name\": \"{character}"), 1);
        assert!(said(script).contains(&format!("checks[0].name: the control character {shown}")));
        let key = said(changed("\"author\"", &format!("\"author{character}\"")));
        assert!(key.contains(shown), "{key}");
        let value = said(changed("\"sequential\"", &format!("\"{character}\"")));
        assert!(value.contains(shown), "{value}");
    }
    // A name stands on one line; a description may have several.
    let line = said(changed("\"pre_installation", "\"pre\\nok   all is well"));
    assert!(
        line.contains("phases[0].name: the control character \\u000a"),
        "{line}"
    );
    let folder = Folder::new();
    let lines = changed("\"Complete Ubuntu", "\"Complete\\n\\tUbuntu");
    let problems = lint(&[&folder.write("lines.json", lines.as_bytes())]);
    assert!(
        problems
            .iter()
            .all(|problem| problem["severity"] == "warning")
    );
}

#[test]
fn the_text_that_people_read_is_escaped_too() {
    let folder = Folder::new();
    for text in [
        changed("\"pre_installation", "\"\u{9b}31m"),
        changed("\"author\": ", "\u{1b}]0;title\u{7}\"author\": "),
        changed("\"author\"", "\"\u{1b}[2Jauthor\""),
    ] {
        let file = folder.write("batch.json", text.as_bytes());
        let ran = program(&["lint", &file]);
        assert_eq!(ran.code, 1);
        let raw = |c: char| c.is_control() && c != '\n';
        assert!(!ran.stdout.chars().any(raw), "{:?}", ran.stdout);
        let place = format!("--> {file}:");
        assert_eq!(ran.stdout.matches(&place).count(), 1, "{}", ran.stdout);
    }
    let odd = folder.write("\u{1b}[31mred\nfile.json", b"{");
    let ran = program(&["lint", &odd]);
    assert!(!ran.stdout.contains('\u{1b}'), "{:?}", ran.stdout);
}

#[test]
fn a_viscript_is_named_by_a_plain_file_name() {
    for name in [
        "../x.json",
        "a/b.json",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a\\u0000b",
    ] {
        let line = said(changed(
            "\"system_validation_viScript.json\"",
            &format!("\"{name}\""),
        ));
        assert!(line.contains("phases[0].viScripts[0]: "), "{line}");
    }
    let line = said(changed(
        "\"system_validation_viScript.json\"",
        "\"../x.json\"",
    ));
    assert!(
        line.ends_with("\"../x.json\" is no plain file name: write it as \"docker_viScript.json\""),
        "{line}"
    );
    let line: Vec<&str> = line.split(':').collect();
    let at = SEED.find("\"system_validation_viScript.json\"").unwrap();
    assert_eq!(line[0], (SEED[..at].matches('\n').count() + 1).to_string());
}

#[test]
fn what_would_do_nothing_or_always_pass_is_refused() {
    let phases = SEED.find("\"phases\": [").unwrap() + "\"phases\": ".len();
    let end = SEED.find("\"dependencies\"").unwrap();
    let none = format!("{}[],\n{}", &SEED[..phases], &SEED[end..]);
    assert!(said(none).contains("phases: there are none"));
    let script = changed("[\"system_validation_viScript.json\"]", "[]");
    assert!(said(script).contains("phases[0].viScripts: there are none"));
    let mut script: Value = serde_json::from_str(VISCRIPT).unwrap();
    script["checks"] = json!([]);
    assert!(said(script.to_string()).contains("checks: neither steps nor checks"));
    script.as_object_mut().unwrap().remove("checks");
    assert!(said(script.to_string()).contains("neither steps nor checks"));
}

#[test]
fn sizes_that_are_none_are_refused() {
    for size in [
        "\"-1\"",
        "\"\"",
        "\"GB\"",
        "\"1e9\"",
        "\"0x10\"",
        "\"4gb\"",
        "\"4.5GB\"",
        "\"4 G B\"",
        "\"99999999999999999999\"",
        "\"99999999999TB\"",
        "\"\u{664}GB\"",
        "\"4GB\\u0000\"",
        "-1",
        "4",
        "1e999",
        "-1e999",
        "99999999999999999999",
        "0.5",
        "true",
        "[]",
        "{}",
        "[\"4GB\"]",
    ] {
        let line = said(changed("\"4GB\"", size));
        let at = "dependencies.system_requirements.min_memory: ";
        assert!(line.contains(at), "{size}: {line}");
    }
    let folder = Folder::new();
    for size in ["4GB", "4 GiB", "0", "16777215TiB", "18446744073709551615"] {
        let text = changed("\"4GB\"", &format!("\"{size}\""));
        let problems = lint(&[&folder.write("size.json", text.as_bytes())]);
        assert!(
            problems
                .iter()
                .all(|problem| problem["severity"] == "warning"),
            "{size}"
        );
    }
}

/// Every value of a document with its path.
fn values(path: &str, value: &Value) -> Vec<(String, Value)> {
    let mut all = vec![(path.to_owned(), value.clone())];
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                all.extend(values(&format!("{path}[{index}]"), item));
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                all.extend(values(&format!("{path}{dot}{key}"), field));
            }
        }
        _ => {}
    }
    all
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// The JSON pointer of such a path.
fn pointer(path: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    let parts = path.split('.').filter(|part| !part.is_empty());
    parts.map(|part| format!("/{part}")).collect()
}

/// A document with one value replaced.
struct Spoilt {
    file: String,
    path: String,
    same_kind: bool,
    null: bool,
}

/// Replaces every value by every other type.
fn spoilt(folder: &Folder, text: &str) -> Vec<Spoilt> {
    let document: Value = serde_json::from_str(text).unwrap();
    let others = json!([
        null, true, 0, -1, 1.5, u64::MAX, "x", "", [], [null], ["x"], [[]], [{}], {}, {"x": 1},
        {"x": {}}
    ]);
    let mut cases = Vec::new();
    for (path, value) in values("", &document) {
        for other in others.as_array().unwrap() {
            let mut changed = document.clone();
            *changed.pointer_mut(&pointer(&path)).unwrap() = other.clone();
            let text = serde_json::to_string_pretty(&changed).unwrap();
            cases.push(Spoilt {
                file: folder.write(&format!("{}.json", cases.len()), text.as_bytes()),
                path: path.clone(),
                same_kind: kind(&value) == kind(other),
                null: other.is_null(),
            });
        }
    }
    cases
}

/// Each wrong type is refused with its path, or is a legal value.
fn every_wrong_type(text: &str, may_be_null: &[&str]) {
    let folder = Folder::new();
    let cases = spoilt(&folder, text);
    assert!(cases.len() > 200, "{}", cases.len());
    for cases in cases.chunks(400) {
        let files: Vec<&str> = cases.iter().map(|case| case.file.as_str()).collect();
        let mut problems = lint(&files);
        problems.retain(|problem| problem["severity"] == "error");
        problems.iter().for_each(assert_clear);
        for case in cases {
            let mut here = problems
                .iter()
                .filter(|problem| problem["file"] == case.file);
            let first = here.next().map(|problem| problem["what"].as_str().unwrap());
            judge(case, first, may_be_null);
        }
    }
}

fn judge(case: &Spoilt, said: Option<&str>, may_be_null: &[&str]) {
    let Spoilt { path, .. } = case;
    let text = || fs::read_to_string(&case.file).unwrap();
    let null = case.null && may_be_null.iter().any(|end| path.ends_with(end));
    match said {
        None => {
            assert!(case.same_kind || null, "{path} was taken: {}", text());
        }
        Some(said) => assert!(
            case.same_kind || null || names(said, path),
            "{path} is not named: {said}\n{}",
            text()
        ),
    }
}

/// Whether a message begins with this path, one inside it, or the one around it.
fn names(message: &str, path: &str) -> bool {
    let at = message.split(": ").next().unwrap();
    let around = path
        .rsplit_once(['.', '['])
        .map_or("", |(around, _)| around);
    at.starts_with(path) || path.is_empty() || (!around.is_empty() && at == around)
}

#[test]
fn every_wrong_type_in_a_batch_is_named_by_its_path() {
    every_wrong_type(
        SEED,
        &[
            "rollback_configuration",
            "monitoring",
            "dependencies.system_requirements.min_memory",
            "dependencies.system_requirements.min_disk_space",
        ],
    );
}

#[test]
fn every_wrong_type_in_a_viscript_is_named_by_its_path() {
    let may_be_null = [
        "$schema",
        ".free-space.minimum",
        ".fstab-entry.filesystem",
        ".device-statistics.at",
    ];
    every_wrong_type(VISCRIPT, &may_be_null);
    every_wrong_type(
        include_str!("../viscripts/btrfs_data_migration_viScript.json"),
        &["$schema", "].each"],
    );
}
