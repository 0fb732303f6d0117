//! What may differ between a system before and after a migration, and why. Everything else is
//! compared: kind, mode, owner, times, attributes, links, holes, content.

use std::path::Path;

use rootshift::tree::compare::Difference;

/// Not part of the system that is moved: the tool's own, and the layout itself.
const NOT_MOVED: &[&str] = &[
    ".rootshift",
    ".rootshift-trash",
    ".boot.rootshift",
    "home/.rootshift-trash",
    "var/log/.rootshift-trash",
];
/// Compared in a section of its own.
const ELSEWHERE: &[&str] = &["boot"];
/// Rewritten by the plan: these name the new root.
const PLANNED: &[&str] = &["etc/fstab", "etc/default/grub", "grub/grub.cfg"];
/// Written by every boot or shutdown of a Debian system, migration or not.
const WRITTEN_BY_RUNNING: &[&str] = &[
    "var/log/journal",
    "var/log/wtmp",
    "var/log/lastlog",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers",
    "var/lib/systemd/timesync/clock",
    "var/lib/rootshift",
    "var/tmp",
    "grub/grubenv",
];

/// Left out of the comparison, with everything below it.
pub fn is_left_out(section: &str, path: &Path) -> bool {
    let is = |list: &[&str]| list.iter().any(|name| path == Path::new(name));
    let at_top = section == "tree" && path.components().count() == 1;
    let new_subvolume = at_top && path.as_os_str().as_encoded_bytes().starts_with(b"@");
    let elsewhere = section == "tree" && is(ELSEWHERE);
    is(NOT_MOVED) || elsewhere || new_subvolume || is(PLANNED) || is(WRITTEN_BY_RUNNING)
}

/// A directory's own time changes when a file in it is replaced.
pub fn is_expected(path: &Path, difference: &Difference) -> bool {
    let holds_replaced = PLANNED
        .iter()
        .chain(WRITTEN_BY_RUNNING)
        .chain(NOT_MOVED)
        .chain(ELSEWHERE)
        .any(|name| Path::new(name).parent() == Some(path));
    difference.attribute == "modified" && holds_replaced
}
