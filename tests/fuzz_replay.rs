//! The fuzz targets' own functions on the committed corpus and on mutations of it, the same ones in
//! every run. Looking for new ones is done by hand: docs/testing.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{TARGETS, Target};

/// Mutations of each target's corpus in all; a journal's are files.
const MUTATIONS: usize = 2500;
const MUTATED_JOURNALS: usize = 800;
/// No parser reads the same way around these.
const TOKENS: [&str; 24] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    " ",
    "=",
    "'",
    "#",
    "\\u0000",
    "\\ud800",
    "-1",
    "1e999",
    "null",
    "/../",
    "\u{1b}",
    "\u{feff}",
    "\0",
    "subvol=",
    "rootflags=",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The inputs that a target begins with: its corpus, and the documents that are shipped.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let mut all = files(&root().join("fuzz/corpus").join(name));
    match name {
        "batch" | "json" => all.extend(files(&root().join("batches"))),
        "viscript" => all.extend(files(&root().join("viscripts"))),
        _ => {}
    }
    all.iter().map(|file| content(file)).collect()
}

/// A file, or the bytes that it spells in hexadecimal.
fn content(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    if file.extension().is_none_or(|end| end != "hex") {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// xorshift64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// A part of the input: mostly a short one.
fn part(numbers: &mut Numbers, length: usize) -> std::ops::Range<usize> {
    let start = numbers.below(length + 1);
    let longest = if numbers.below(4) == 0 { length } else { 16 };
    start..(start + numbers.below(longest + 1)).min(length)
}

fn mutated(input: &[u8], corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let range = part(numbers, bytes.len());
        match numbers.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(range)),
            5 => {
                let copy = bytes[range].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let other = &corpus[numbers.below(corpus.len())];
                let splice = other[part(numbers, other.len())].to_vec();
                bytes.splice(range, splice);
            }
            _ => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                bytes.splice(at..at, token.bytes());
            }
        }
    }
    bytes
}

fn holds((name, target): Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{name} does not hold for b\"{}\"", input.escape_ascii());
    }
}

fn replay(target: Target) {
    let corpus = corpus(target.0);
    assert!(!corpus.is_empty());
    for input in &corpus {
        holds(target, input);
        for cut in 0..input.len().min(300) {
            holds(target, &input[..cut]);
        }
    }
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mutations = match target.0 {
        "journal" => MUTATED_JOURNALS,
        _ => MUTATIONS,
    };
    for _ in 0..mutations {
        let input = &corpus[numbers.below(corpus.len())];
        holds(target, &mutated(input, &corpus, &mut numbers));
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay((stringify!($name), fuzz::$name));
        })*

        #[test]
        fn no_target_is_left_out() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(replayed, TARGETS.map(|(name, _)| name));
            let programs = files(&root().join("fuzz/fuzz_targets"));
            assert_eq!(programs.len(), TARGETS.len());
            let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
            for name in replayed {
                assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
                let program = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs")));
                assert!(program.unwrap().contains(&format!("rootshift_fuzz::{name}(data)")));
            }
        }
    };
}

replays! {
    batch viscript plan lint json journal records fstab grub_config grub_defaults command_line
    mountinfo size restore
}
