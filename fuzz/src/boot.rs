//! What decides what boots: fstab, GRUB's files, the kernel's command line, the mount table.

use std::path::Path;

use rootshift::bootcfg::cmdline::{CommandLine, merge_root_flags};
use rootshift::bootcfg::fstab::{Fstab, SubvolumeMount, is_ext_only_option, to_subvolumes};
use rootshift::bootcfg::grub_config::{self as grub, RootIdentity};
use rootshift::bootcfg::grub_defaults::set_subvolume;
use rootshift::sys::mount::{Mount, parse_mountinfo};

use super::assert_one_line;

/// The file system's in the corpus.
const UUID: &str = "5a1f3c0e-9d2b-4c7e-8f60-0123456789ab";

fn aliases() -> Vec<String> {
    vec!["/dev/vda2".into(), "LABEL=root".into()]
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

pub fn fstab(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let old = Fstab::parse(text);
    assert_eq!(old.to_string(), text);
    let lines = text.split_inclusive('\n').count();
    let numbers: Vec<usize> = old.entries().map(|entry| entry.line).collect();
    assert!(numbers.is_sorted() && numbers.iter().all(|line| (1..=lines).contains(line)));
    assert!(
        old.malformed()
            .iter()
            .all(|(line, _)| !numbers.contains(line))
    );
    let options = ["nosuid".to_owned()];
    let mount = |mount_point, subvolume, options| SubvolumeMount {
        mount_point,
        subvolume,
        options,
    };
    let mounts = [
        mount("/", "@", &[][..]),
        mount("/home", "@home", &options),
        mount("/var/log", "@var_log", &[]),
    ];
    match to_subvolumes(&old, UUID, &aliases(), &mounts) {
        Ok(new) => assert_edited(&old, &new, &mounts),
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("line"), "no place: {message}");
        }
    }
}

fn assert_edited(old: &Fstab, new: &str, mounts: &[SubvolumeMount]) {
    let edited = Fstab::parse(new);
    let again = to_subvolumes(&edited, UUID, &aliases(), mounts);
    assert_eq!(again.as_deref(), Ok(new), "edited twice it differs");
    for mount in mounts {
        let entry = edited
            .entry_for(mount.mount_point)
            .expect("a line is missing");
        let chosen = format!("subvol={}", mount.subvolume);
        let subvolumes = entry
            .options
            .iter()
            .filter(|option| option.starts_with("subvol=") || option.starts_with("subvolid="));
        let subvolumes: Vec<&String> = subvolumes.collect();
        assert!(
            matches!(subvolumes[..], [one] if *one == chosen),
            "{entry:?}"
        );
        assert!(
            !entry.options.iter().any(|o| is_ext_only_option(o)),
            "{entry:?}"
        );
        assert_eq!(entry.fstype, "btrfs");
    }
    // All other lines are there still, in their order; the last may have got an end.
    let bare = |line: &str| line.trim_end_matches('\r').to_owned();
    let ours = |place: &str| {
        mounts.iter().any(|mount| {
            let found = old.entry_for(mount.mount_point);
            found.is_some_and(|entry| entry.mount_point == place)
        })
    };
    let text = old.to_string();
    let edited: Vec<usize> = old
        .entries()
        .filter(|entry| ours(&entry.mount_point))
        .map(|entry| entry.line)
        .collect();
    let mut rest = new.split('\n');
    for (index, line) in text.split('\n').enumerate() {
        if !edited.contains(&(index + 1)) {
            assert!(
                rest.any(|kept| bare(kept) == bare(line)),
                "a line was lost: {line:?}"
            );
        }
    }
}

pub fn grub_config(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let entries = grub::boot_entries(text);
    let lines = text.split('\n').count();
    assert!(
        entries
            .iter()
            .all(|entry| (1..=lines).contains(&entry.line))
    );
    let default = grub::default_entry(text, &entries);
    assert!(default.is_some() || entries.is_empty());
    let _ = grub::forward(text);
    let aliases = aliases();
    let root = RootIdentity {
        uuid: UUID,
        aliases: &aliases,
    };
    let new = match grub::to_subvolume(text, &root, "@") {
        Ok(new) => new,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    let again = grub::to_subvolume(&new.text, &root, "@").expect("what was edited is refused");
    assert_eq!((again.text.as_str(), again.entries), (new.text.as_str(), 0));
    // Lines may join where one went on in the next.
    let titles = |entries: &[grub::BootEntry]| -> Vec<String> {
        entries.iter().map(|entry| entry.title.clone()).collect()
    };
    let rewritten = grub::boot_entries(&new.text);
    assert_eq!(titles(&rewritten), titles(&entries));
    let boots = |entry: &grub::BootEntry| (entry.linux.clone(), entry.arguments.to_string());
    let changed = rewritten
        .iter()
        .zip(&entries)
        .filter(|(new, old)| boots(new) != boots(old));
    assert!(changed.count() <= new.entries);
}

pub fn grub_defaults(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match set_subvolume(text, "@") {
        Ok(None) => {}
        Ok(Some(new)) => {
            assert_ne!(new, text);
            assert_eq!(
                set_subvolume(&new, "@"),
                Ok(None),
                "edited twice it differs"
            );
        }
        Err(error) => assert!(error.to_string().starts_with("line "), "{error}"),
    }
}

pub fn command_line(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let line = CommandLine::parse(text);
    assert_eq!(line.to_string(), text);
    let mut rest = text;
    for argument in line.arguments() {
        let at = rest.find(argument).expect("an argument that is not there");
        rest = &rest[at + argument.len()..];
    }
    let flags = line.all("rootflags");
    assert_eq!(line.value("rootflags"), flags.last().copied());
    assert!(flags.is_empty() || line.contains("rootflags"));
    let merged = merge_root_flags(&flags, "@");
    assert!(merged.starts_with("subvol=@"), "{merged}");
    assert_eq!(merge_root_flags(&[&merged], "@"), merged);
    let refused = merged.split(',').any(is_ext_only_option);
    assert!(!refused || merged.contains('"'), "{merged}");
}

/// Written as the kernel writes it, what was read is read again.
pub fn mountinfo(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mounts = parse_mountinfo(text);
    assert!(mounts.len() <= text.lines().count());
    let lines: Vec<String> = mounts.iter().filter_map(as_line).collect();
    if lines.len() == mounts.len() {
        assert_eq!(parse_mountinfo(&lines.concat()), mounts);
    }
}

fn as_line(mount: &Mount) -> Option<String> {
    let Mount { id, parent_id, .. } = mount;
    let path = |path: &Path| path.to_str().map(escaped);
    let (root, mount_point) = (path(&mount.root)?, path(&mount.mount_point)?);
    let [device, options] = [&mount.device, &mount.options].map(|text| escaped(text));
    let [fstype, source, super_options] =
        [&mount.fstype, &mount.source, &mount.super_options].map(|text| escaped(text));
    Some(format!(
        "{id} {parent_id} {device} {root} {mount_point} {options} shared:1 - {fstype} {source} {super_options}\n"
    ))
}

/// fs/proc_namespace.c, `mangle`; a carriage return would end a line here and not there.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r' | '\\' | '#') {
            out.push_str(&format!("\\{:03o}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}
