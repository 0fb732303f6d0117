//! The layout shows the architecture: a room imports only rooms below it, and what talks to the
//! kernel stays in `sys`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};

/// From top to bottom; rooms of one line don't import each other.
const ROOMS: [&[&str]; 9] = [
    &["main", "bin"],
    &["modes"],
    &["engine"],
    &["steps", "checks"],
    &["bootchain"],
    &["tree", "bootcfg", "journal", "report"],
    &["documents", "cli"],
    &["sys"],
    &["fault"],
];

/// Only `sys` may say these.
const CONFINED: [&str; 5] = ["unsafe {", "unsafe impl", "rustix::", "nix::", "libc::"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn room(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap();
    first
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

/// Every `crate::room` in a text, grouped imports included, but for comments.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect();
    let code = code.join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => top_level_names(group),
            None => vec![name(rest)],
        };
        rooms.extend(names.into_iter().filter(|name| !name.is_empty()));
    }
    rooms
}

fn name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn top_level_names(group: &str) -> Vec<String> {
    let mut names = vec![name(group.trim_start())];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

#[test]
fn a_room_imports_only_rooms_below_it() {
    let mut seen = 0;
    for file in sources(&root().join("src")) {
        let own = room(&file);
        if own == "lib" {
            continue;
        }
        let own_level = level(&own).unwrap_or_else(|| panic!("{own} is no room"));
        for imported in imports(&fs::read_to_string(&file).unwrap()) {
            let Some(other) = level(&imported) else {
                panic!("{}: crate::{imported} is no room", file.display());
            };
            seen += 1;
            let allowed = imported == own || other > own_level;
            assert!(allowed, "{}: {own} imports {imported}", file.display());
        }
    }
    assert!(seen > 100, "only {seen} imports seen");
}

#[test]
fn what_talks_to_the_kernel_stays_in_sys() {
    let mut in_sys = 0;
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let found = code
            .filter(|line| CONFINED.iter().any(|word| says(line, word)))
            .count();
        if room(&file) == "sys" {
            in_sys += found;
        } else {
            assert_eq!(found, 0, "{} talks to the kernel", file.display());
        }
    }
    assert!(in_sys > 10, "only {in_sys} uses seen");
}

/// `std::os::unix::net` does not say `nix::`.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric()))
}

#[test]
fn files_are_short() {
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let without_tests = text.split("#[cfg(test)]").next().unwrap();
        let lines = without_tests.lines().count();
        let is_test = file.ends_with("tests.rs");
        assert!(is_test || lines <= 500, "{}: {lines} lines", file.display());
    }
}

#[test]
fn the_hooks_are_short_and_hold_no_logic() {
    for file in [
        "initramfs-tools/hooks/rootshift",
        "initramfs-tools/scripts/local-premount/rootshift",
        "systemd/rootshift-validate.service",
    ] {
        let text = fs::read_to_string(root().join("initramfs-hooks").join(file)).unwrap();
        assert!(text.lines().count() <= 40, "{file}");
        assert!(!text.contains("panic"), "{file} must never stop the boot");
    }
}

#[test]
fn imports_are_found_in_every_spelling() {
    let text = "use crate::sys;\nuse crate::{bootcfg, documents::{plan::A, B}, fault};\n\
                fn f() -> crate::engine::Error {} // crate::comment";
    assert_eq!(
        imports(text),
        ["sys", "bootcfg", "documents", "fault", "engine"]
    );
}

/// The kinds of checks that stand in a text before a mark.
fn kinds<'t>(text: &'t str, variant: &str) -> Vec<&'t str> {
    let found = text.split(variant).skip(1);
    let ends = |c: char| !c.is_alphanumeric();
    let mut kinds: Vec<&str> = found.filter_map(|rest| rest.split(ends).next()).collect();
    kinds.sort_unstable();
    kinds
}

/// The program in the initramfs has no code for them, and `lint` says so: tests are built with all.
#[test]
fn what_only_a_running_system_has_is_the_same_for_lint_and_for_the_early_program() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (said, looks) = (
        read("src/documents/check/mod.rs"),
        read("src/checks/mod.rs"),
    );
    let said = said.split("fn is_of_running_system").nth(1).unwrap();
    let said = kinds(said.split("=> true").next().unwrap(), "Self::");
    let guarded: Vec<&str> = looks
        .lines()
        .filter(|line| line.contains("if RUNNING =>"))
        .collect();
    let guarded = guarded.join("\n");
    assert_eq!(said, kinds(&guarded, "CheckSpec::"));
    assert_eq!(said.len(), 11);
}
