//! What the program tells people to do can be followed word for word: no remedy deletes what is
//! theirs, or formats a disk, unless it is said here why it may.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};

/// What loses something when it is done to the wrong thing.
const HARMFUL: [&str; 19] = [
    "rm ",
    "rm -",
    "rmdir ",
    "dd ",
    "mkswap",
    "mkfs",
    "wipefs",
    "shred ",
    "truncate ",
    "btrfstune -u",
    "subvolume delete",
    "autoremove",
    "delete it",
    "delete some",
    "delete them",
    "delete one",
    "remove that line",
    "remove the line",
    "--force",
];

/// Where such a word may stand, and why. A text is named by a part of it.
const ALLOWED: [(&str, &str); 13] = [
    (
        "to delete them as well run `rootshift finalize --also-changed",
        "the second of two ways, counted and listed; the first keeps them",
    ),
    (
        "`mkfs.btrfs` makes one and deletes the rest",
        "of a disk without a btrfs that the user named as the target; it says what it does",
    ),
    (
        "when you want none of it any more, delete it",
        "what a rollback kept aside, once its owner has looked at it",
    ),
    (
        "is kept aside, until you delete it",
        "no remedy: says how long it is kept",
    ),
    (
        "old journals are kept beside",
        "rootshift's own journals of ended migrations",
    ),
    (
        "things were put aside",
        "snapshots that rootshift itself made and nobody has used",
    ),
    ("apt autoremove", "asks, and never takes the running kernel"),
    (
        "To delete it: mount",
        "what is left of rootshift after its package was purged",
    ),
    ("mkswapfile", "makes a new file"),
    (
        "btrfs subvolume delete {}",
        "printed below the line that says it is for those who want none of it any more",
    ),
    (
        "rm /{}",
        "a file that rootshift had begun to write and did not end",
    ),
    (
        "make one on a spare partition",
        "says what kind of partition",
    ),
    (
        "move it away or",
        "the first of two ways keeps it; finalize has to go on",
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}

/// The texts of a source file that people can see, each in one line: not those of its tests.
fn texts(source: &str) -> Vec<String> {
    let shipped = source.split("#[cfg(test)]").next().unwrap();
    let lines = shipped
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut texts = Vec::new();
    let mut chars = code.chars().peekable();
    let mut text: Option<String> = None;
    while let Some(c) = chars.next() {
        match (c, text.as_mut()) {
            ('"', None) => text = Some(String::new()),
            ('"', Some(_)) => texts.extend(text.take()),
            // The characters '"' and '\\'' are no texts.
            ('\'', None) if chars.peek() == Some(&'"') || chars.peek() == Some(&'\\') => {
                chars.next();
                chars.next();
            }
            ('\\', Some(text)) => match chars.next() {
                Some('\n') => {
                    while chars.peek().is_some_and(|next| next.is_whitespace()) {
                        chars.next();
                    }
                }
                Some(escaped) => text.push(escaped),
                None => {}
            },
            (c, Some(text)) => text.push(c),
            (_, None) => {}
        }
    }
    texts
}

/// Whether the word stands there by itself, as `rm ` does not in `confirm `.
fn says(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn no_remedy_harms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut seen, mut harmful) = (0, Vec::new());
    for file in sources(&root.join("src")) {
        for text in texts(&fs::read_to_string(&file).unwrap()) {
            seen += 1;
            let allowed = ALLOWED.iter().any(|(part, _)| text.contains(part));
            if !allowed && text.contains(' ') && HARMFUL.iter().any(|word| says(&text, word)) {
                let shown = file.strip_prefix(root).unwrap().display();
                harmful.push(format!("{shown}: {text}"));
            }
        }
    }
    assert!(seen > 2000, "only {seen} texts were read");
    assert!(harmful.is_empty(), "{harmful:#?}");
}

#[test]
fn the_texts_of_a_source_are_read_as_they_are_shown() {
    let source = "// \"rm a comment\"\nlet x = \"run `rm {file}`, \\\n    then\"; let q = '\"'; f(\"b\\\"c\");\n\
                  #[cfg(test)]\nmod tests { \"rm x\" }";
    assert_eq!(texts(source), ["run `rm {file}`, then", "b\"c"]);
    assert!(says("run `rm x`", "rm ") && !says("confirm x", "rm "));
}
