//! docs/commands.md names what the program itself says that it takes: no more, no less.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Words = BTreeSet<String>;

fn help(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootshift"));
    let output = command.args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The first words of the indented lines under this heading, but for those that a line goes on.
fn listed(help: &str, heading: &str) -> Words {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| {
        line.strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
    });
    names
        .map(|rest| {
            let name = rest.strip_prefix("-v, ").unwrap_or(rest);
            name.split([' ', ',']).next().unwrap().to_owned()
        })
        .filter(|name| name != "--help")
        .collect()
}

/// What stands in backticks and begins like this, whole words only.
fn quoted(text: &str, start: &str) -> Words {
    let quoted = text.split('`').skip(1).step_by(2);
    let first = quoted.map(|words| words.split(' ').next().unwrap_or_default());
    first
        .filter(|word| word.starts_with(start))
        .map(str::to_owned)
        .collect()
}

/// Of each table row that begins with `rootshift X`: X, and the rest of the row.
fn rows(page: &str, heading: &str) -> BTreeMap<String, String> {
    let section = page
        .split("\n## ")
        .find(|part| part.starts_with(heading))
        .unwrap();
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `rootshift "));
    rows.map(|row| {
        let (command, rest) = row.split_once('`').unwrap();
        let name = command.split(' ').next().unwrap();
        (name.to_owned(), rest.to_owned())
    })
    .collect()
}

const PAGE: &str = include_str!("../docs/commands.md");

#[test]
fn every_command_has_a_row_and_every_row_a_command() {
    let commands = listed(&help(&[]), "Commands:");
    assert!(commands.len() > 10, "{commands:?}");
    for heading in ["# Commands", "Options"] {
        let named: Words = rows(PAGE, heading).into_keys().collect();
        assert_eq!(named, commands, "under {heading}");
    }
}

#[test]
fn every_option_is_named_and_every_named_one_exists() {
    let mut all = 0;
    for (command, row) in rows(PAGE, "Options") {
        let taken = listed(&help(&[&command]), "Options:");
        assert_eq!(quoted(&row, "--"), taken, "rootshift {command}");
        all += taken.len();
    }
    assert!(all > 15, "{all} options are too few");
    for option in listed(&help(&[]), "Options:") {
        assert!(PAGE.contains(&format!("`{option}`")), "{option}");
    }
}

#[test]
fn a_bad_command_line_is_one_line_and_status_2() {
    for (words, said) in [
        (&["nonsense"][..], "nonsense"),
        (&["plan", "--bogus"], "--bogus"),
        (&["arm", "--batch"], "--batch"),
        (&[], "lint"),
    ] {
        let binary = env!("CARGO_BIN_EXE_rootshift");
        let output = Command::new(binary).args(words).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(
            stderr.contains(said) && stderr.contains("--help"),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
