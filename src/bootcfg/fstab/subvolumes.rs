//! Turns the line of `/` into lines for the subvolumes of the same file system.

use super::line;
use super::plan::{Identity, Plan, default_line, shared_options, with_options};
use super::{Entry, Fstab};
use crate::bootcfg::{Error, mount_options};
use std::path::Path;

/// A subvolume and where it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubvolumeMount<'a> {
    /// The mount point, absolute.
    pub mount_point: &'a str,
    /// The subvolume, from the top level, without a leading slash.
    pub subvolume: &'a str,
    /// Options for this mount in addition to those of the file system.
    pub options: &'a [String],
}

/// The new fstab for a file system that becomes the subvolumes in `mounts`, of which the first is
/// mounted where the whole file system was: at `/`, or elsewhere for another one than the root's.
/// Of the root's is said here:
///
/// * The `/` line must name the file system: as `UUID=<filesystem_uuid>`, by
///   `/dev/disk/by-uuid`, or by one of `source_aliases` (`LABEL=…`, `PARTUUID=…`, `/dev/…`). It
///   becomes `UUID=<filesystem_uuid>` (Timeshift knows only that and `/dev/…`, facts boot.md 4.1),
///   type `btrfs`, pass 0, with `subvol=` in its options and neither `subvolid=` nor options that
///   only ext knows. An existing `/dev/disk/by-uuid` name stays.
/// * Without a `/` line (gpt-auto, some cloud images) one is added at the end with `defaults`.
/// * Each further subvolume gets a line in the columns of the `/` line, after it and after every
///   line that mounts a parent directory, with the same options. Options that are about the one
///   mount and not the file system (`x-…`, `nofail`, `noauto`, `user`, `comment=`) are not copied.
/// * For another file system than the root's, those options are copied: its subvolumes come and go
///   together, with `nofail` above all.
/// * A line that already mounts the same file system at that place is edited where it stands and
///   keeps its own options.
///
/// Everything else stays byte for byte: comments, swap, bind mounts, other file systems.
/// The result edited again with the same arguments does not change.
pub fn to_subvolumes(
    old: &Fstab,
    filesystem_uuid: &str,
    source_aliases: &[String],
    mounts: &[SubvolumeMount<'_>],
) -> Result<String, Error> {
    check_layout(mounts)?;
    let identity = Identity::new(filesystem_uuid, source_aliases);
    let existing = existing_entries(old, mounts)?;
    let mut plan = Plan::new(old);
    let Some((root_mount, others)) = mounts.split_first() else {
        return Ok(old.to_string());
    };
    let main = line::normal_path(root_mount.mount_point);
    let template = match entry_for(&existing, &main) {
        Some(root) if !identity.matches(root) => {
            return Err(Error::ForeignRoot {
                line: root.line,
                mount: format!("`{main}` is mounted from {}", root.source),
                expected: identity.source(),
            });
        }
        Some(root) => plan.edit(root, &identity, root_mount),
        None => plan.add(&default_line(), &identity, root_mount),
    };
    let shared = match main.as_str() {
        "/" => shared_options(&template),
        _ => template.field(3).unwrap_or_default().to_owned(),
    };
    for mount in others {
        match entry_for(&existing, &line::normal_path(mount.mount_point)) {
            Some(entry) if identity.matches(entry) => {
                plan.edit(entry, &identity, mount);
            }
            Some(entry) => {
                return Err(Error::MountPointTaken {
                    line: entry.line,
                    mount_point: entry.mount_point.clone(),
                    device: entry.source.clone(),
                });
            }
            None => {
                plan.add(&with_options(&template, &shared), &identity, mount);
            }
        }
    }
    Ok(plan.into_text())
}

/// The main one first, absolute paths, no mount point twice, names that mount options can express.
fn check_layout(mounts: &[SubvolumeMount<'_>]) -> Result<(), Error> {
    let layout = |reason: String| Err(Error::Layout { reason });
    let main = mounts.first().map(|mount| mount.mount_point);
    let main = line::normal_path(main.unwrap_or_default());
    if main.is_empty() {
        return layout("it has no mount".to_owned());
    }
    let mut seen = Vec::new();
    for SubvolumeMount {
        mount_point,
        subvolume,
        options,
    } in mounts
    {
        if !mount_point.starts_with('/') {
            return layout(format!("mount point {mount_point:?} is not absolute"));
        }
        if !Path::new(mount_point).starts_with(&main) {
            return layout(format!(
                "{mount_point} is not inside its first mount, {main}"
            ));
        }
        let normal = line::normal_path(mount_point);
        if seen.contains(&normal) {
            return layout(format!("it mounts {mount_point} twice"));
        }
        seen.push(normal);
        // Facts boot.md T48: neither can be expressed in the options of a mount.
        if subvolume.trim_matches('/').is_empty() || subvolume.contains([',', '"', '\0']) {
            return layout(format!(
                "subvolume name {subvolume:?} cannot stand in mount options"
            ));
        }
        if let Some(option) = options
            .iter()
            .find(|option| !mount_options::is_usable(option))
        {
            return layout(format!(
                "option {option:?} of {mount_point} cannot be used there"
            ));
        }
    }
    Ok(())
}

/// Entries by their mount points, of which a layout has few.
type Existing<'f> = Vec<(String, &'f Entry)>;

fn entry_for<'f>(existing: &Existing<'f>, mount_point: &str) -> Option<&'f Entry> {
    let mut entries = existing.iter();
    let found = entries.find(|(own, _)| own == mount_point);
    found.map(|(_, entry)| *entry)
}

/// The entries for the mount points of the layout. A second line for one of them, or a malformed
/// one (which libmount drops but others read), is an error.
fn existing_entries<'f>(
    old: &'f Fstab,
    mounts: &[SubvolumeMount<'_>],
) -> Result<Existing<'f>, Error> {
    let wanted = mounts
        .iter()
        .map(|mount| line::normal_path(mount.mount_point));
    let wanted: Vec<String> = wanted.collect();
    refuse_malformed(old, &wanted)?;
    let mut found: Existing = Vec::new();
    for entry in old.entries() {
        let normal = line::normal_path(&entry.mount_point);
        if !wanted.contains(&normal) {
            continue;
        }
        let mount_point = entry.mount_point.clone();
        if !mount_options::is_balanced(&entry.options.join(",")) {
            let reason = "a quote in its options is never closed".to_owned();
            return Err(Error::MalformedEntry {
                line: entry.line,
                mount_point,
                reason,
            });
        }
        if let Some(first) = entry_for(&found, &normal) {
            let (first, second) = (first.line, entry.line);
            return Err(Error::SeveralEntries {
                first,
                second,
                mount_point,
            });
        }
        found.push((normal, entry));
    }
    Ok(found)
}

fn refuse_malformed(old: &Fstab, wanted: &[String]) -> Result<(), Error> {
    for (number, reason) in old.malformed() {
        let field = old.lines.get(number - 1).and_then(|line| line.field(1));
        let mount_point = line::decode(field.unwrap_or_default());
        if wanted.contains(&line::normal_path(&mount_point)) {
            return Err(Error::MalformedEntry {
                line: number,
                mount_point,
                reason,
            });
        }
    }
    Ok(())
}
