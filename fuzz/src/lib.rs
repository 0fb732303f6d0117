//! What holds for every input of every parser. Each function takes bytes, and panics when it does
//! not hold; libFuzzer calls them by hand, tests/fuzz_replay.rs in every run of the tests.

#![allow(missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod boot;
mod documents;
mod journal;

pub use boot::{command_line, fstab, grub_config, grub_defaults, mountinfo};
pub use documents::{batch, json, lint, plan, restore, size, viscript};
pub use journal::{journal, records};

/// A target's name and function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them; each has a folder `corpus/NAME` and a file `fuzz_targets/NAME.rs`.
pub const TARGETS: [Target; 14] = [
    ("batch", batch),
    ("viscript", viscript),
    ("plan", plan),
    ("lint", lint),
    ("json", json),
    ("journal", journal),
    ("records", records),
    ("fstab", fstab),
    ("grub_config", grub_config),
    ("grub_defaults", grub_defaults),
    ("command_line", command_line),
    ("mountinfo", mountinfo),
    ("size", size),
    ("restore", restore),
];

/// A message is one line that can be shown.
fn assert_one_line(message: &str) {
    assert!(
        !message.is_empty() && message.len() < 8192,
        "{} bytes",
        message.len()
    );
    assert!(!message.contains(char::is_control), "{message:?}");
}
