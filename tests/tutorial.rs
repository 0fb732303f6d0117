//! docs/tutorial.md does what it says.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

#[path = "common/tutorial.rs"]
mod tutorial;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tutorial::{blocks, documents, repository};

fn rootshift(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootshift"));
    command.current_dir(folder).args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Lints what is saved so far together with the shipped viScripts.
fn lint(folder: &Path) -> Output {
    let mut files = Vec::new();
    for place in [folder.to_owned(), repository().join("viscripts")] {
        let entries = fs::read_dir(place).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path().display().to_string()));
    }
    let mut words = vec!["lint"];
    words.extend(files.iter().map(String::as_str));
    rootshift(folder, &words)
}

#[test]
fn every_document_is_clean_once_its_mistake_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let documents = documents();
    let names: Vec<&str> = documents.iter().map(|(name, _)| name.as_str()).collect();
    let web_server = "web_server_viScript.json";
    let wanted = [
        web_server,
        web_server,
        "first_copy_viScript.json",
        "web_server.json",
    ];
    assert_eq!(names, wanted);
    for (index, (name, text)) in documents.iter().enumerate() {
        fs::write(folder.path().join(name), text).unwrap();
        let linted = lint(folder.path());
        let expected = if index == 0 { 1 } else { 0 };
        assert_eq!(linted.status.code(), Some(expected), "{}", said(&linted));
        assert!(
            said(&linted).contains(&format!(" {expected} problems")),
            "{}",
            said(&linted)
        );
    }
}

#[test]
fn what_lint_is_shown_to_say_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (name, text) = &documents()[0];
    fs::write(folder.path().join(name), text).unwrap();
    let blocks = blocks();
    let shown = blocks
        .iter()
        .find(|block| block.language == "text")
        .unwrap();
    assert_eq!(said(&rootshift(folder.path(), &["lint", name])), shown.text);
}

#[test]
fn a_viscript_that_is_moved_before_what_it_requires_is_found() {
    let folder = tempfile::tempdir().unwrap();
    tutorial::save(folder.path());
    let batch = folder.path().join("web_server.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&batch).unwrap()).unwrap();
    let scripts = json["phases"][1]["viScripts"].as_array_mut().unwrap();
    let at = scripts
        .iter()
        .position(|name| name == "first_copy_viScript.json")
        .unwrap();
    let moved = scripts.remove(at);
    scripts.insert(0, moved);
    fs::write(&batch, json.to_string()).unwrap();
    let linted = lint(folder.path());
    assert_eq!(linted.status.code(), Some(1));
    assert!(
        said(&linted).contains("first_copy_viScript.json"),
        "{}",
        said(&linted)
    );
}

/// argh reads all words before it shows the help that the last of them asks for.
#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for block in blocks().iter().filter(|block| block.language.is_empty()) {
        for line in block.text.lines() {
            let Some(words) = line.trim_start_matches("sudo ").strip_prefix("rootshift ") else {
                continue;
            };
            let words: Vec<&str> = words.split(' ').chain(["--help"]).collect();
            let output = rootshift(folder.path(), &words);
            assert!(output.status.success(), "{line}: {}", said(&output));
            taken += 1;
        }
    }
    assert!(taken >= 7, "{taken} command lines are too few");
}

#[test]
fn the_schemas_that_it_names_are_those_of_the_package() {
    for (name, text) in documents() {
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let schema = json["$schema"].as_str().unwrap();
        let file = schema
            .strip_prefix("/usr/share/rootshift/schemas/")
            .unwrap();
        assert!(
            repository().join("schemas").join(file).exists(),
            "{name}: {schema}"
        );
    }
}
