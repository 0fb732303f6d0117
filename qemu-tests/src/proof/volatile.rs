//! What may differ between a system before and after a migration, and why. Everything else is
//! compared: kind, mode, owner, times, attributes, links, holes, content. The lists are as short
//! as a run without them showed that they can be.

use std::path::Path;

use rootshift::tree::compare::Difference;

/// Not part of the system that is moved: the tool's own, at the top of the tree or of a subvolume.
const NOT_MOVED: &[&str] = &[
    ".rootshift",
    ".boot.rootshift",
    ".rootshift-trash",
    "home/.rootshift-trash",
    "var/log/.rootshift-trash",
];
/// Compared in a section of its own.
const ELSEWHERE: &[&str] = &["boot"];
/// Rewritten by the plan: these name the new root.
const PLANNED: &[&str] = &["etc/fstab", "grub/grub.cfg"];
/// Directories and the beginnings of names of copies that a batch's `rollback_configuration` has
/// the plan lay there.
const BACKED_UP: &[(&str, &str)] = &[
    ("etc", "fstab.backup."),
    ("etc/default", "grub.backup."),
    ("etc/initramfs-tools", "modules.backup."),
];
/// Written by every boot or shutdown of a Debian system, migration or not.
const WRITTEN_BY_RUNNING: &[&str] = &["var/log/wtmp", "var/lib/systemd/random-seed"];
/// Written by every boot with what is in it already: Debian 13's grub-common.service takes a
/// `recordfail` out of it that is not there.
const TOUCHED_BY_RUNNING: &[&str] = &["grub/grubenv"];
/// Directories and the beginnings of names that a running systemd makes in them.
const MADE_BY_RUNNING: &[(&str, &str)] = &[
    ("var/tmp", "systemd-private-"),
    ("var/log/journal/5ca1ab1e0ddba11c0ffee0ddba5eba11", "system"),
];

/// Left out of the comparison, with everything below it.
pub fn is_left_out(section: &str, path: &Path) -> bool {
    let is = |list: &[&str]| list.iter().any(|name| path == Path::new(name));
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let begins = |(directory, start): &(&str, &str)| {
        path.parent() == Some(Path::new(directory)) && name.starts_with(start.as_bytes())
    };
    let tree = section == "tree";
    // The new subvolumes, and what a rollback keeps of them, lie beside the old tree.
    let new_subvolume = tree && path.components().count() == 1 && name.starts_with(b"@");
    let elsewhere = tree && is(ELSEWHERE);
    let made_by_running = MADE_BY_RUNNING.iter().any(begins);
    let backed_up = tree && BACKED_UP.iter().any(begins);
    is(NOT_MOVED)
        || elsewhere
        || new_subvolume
        || is(PLANNED)
        || is(WRITTEN_BY_RUNNING)
        || made_by_running
        || backed_up
}

/// A directory's own time changes when a name in it is added, exchanged or replaced.
pub fn is_expected(path: &Path, difference: &Difference) -> bool {
    let replaced = [NOT_MOVED, ELSEWHERE, PLANNED].concat();
    let holds_replaced = replaced
        .iter()
        .any(|name| Path::new(name).parent() == Some(path));
    let holds_made = MADE_BY_RUNNING
        .iter()
        .any(|(directory, _)| path == Path::new(directory));
    let is_touched = TOUCHED_BY_RUNNING
        .iter()
        .any(|name| path == Path::new(name));
    difference.attribute == "modified" && (holds_replaced || holds_made || is_touched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_left_out() {
        let left_out = |section, path: &str| is_left_out(section, Path::new(path));
        assert!(left_out("tree", "@home"));
        assert!(left_out("tree", "boot"));
        assert!(left_out("boot", "grub/grub.cfg"));
        assert!(left_out("tree", "etc/fstab.backup.20231218_143022"));
        assert!(left_out("tree", "var/tmp/systemd-private-1-x"));
        for path in [
            "home",
            "home/@",
            "etc",
            "etc/fstab.d",
            "etc/fstab.backup",
            "home/fstab.backup.1",
            "var/tmp",
            "var/tmp/mine",
            "var/log/app",
        ] {
            assert!(!left_out("tree", path), "{path}");
        }
        assert!(!left_out("boot", "vmlinuz-6.1"));
    }

    #[test]
    fn a_directory_may_change_its_time_and_nothing_else() {
        let difference = |attribute: &str| Difference {
            attribute: attribute.to_owned(),
            old: String::new(),
            new: String::new(),
        };
        assert!(is_expected(Path::new("etc"), &difference("modified")));
        assert!(!is_expected(Path::new("etc"), &difference("mode")));
        assert!(is_expected(
            Path::new("grub/grubenv"),
            &difference("modified")
        ));
        assert!(!is_expected(
            Path::new("grub/grubenv"),
            &difference("content")
        ));
        assert!(!is_expected(Path::new("etc/apt"), &difference("modified")));
    }
}
