//! Nothing is left behind: every file of the old system is in the new one, or in a subvolume that
//! stays. Asked of the disk just before the commit, whatever the plan says and whichever step failed:
//! what is not in the new system is deleted by `finalize`.
//!
//! A snapshot keeps inode numbers, and the steps rename and nothing else. So it is enough to know of
//! which subvolume each is a snapshot, that the root of each holds the very entries of its place in
//! the old system, and that what was taken out of each has a subvolume of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Error;
use super::others::top_at;
use crate::bootchain::is_hand_over;
use crate::checks::MountedFilesystem;
use crate::documents::Plan;
use crate::documents::carry::place_of_nested;
use crate::documents::layout::SubvolumeLayout;
use crate::documents::plan::{PlannedFilesystem, TRASH};
use crate::sys::{Root, Status, btrfs};

/// What a snapshot has in the place of what was nested in its original.
const STUB_INODE: u64 = 2;

/// To be called once every subvolume has its name.
///
/// # Errors
/// What is left behind, all of it.
pub(super) fn prove(top: &Root, plan: &Plan, others: &[MountedFilesystem]) -> Result<(), Error> {
    let mut problems = Vec::new();
    for filesystem in plan.filesystems() {
        let Some(top) = top_at(top, others, &filesystem.layout.mounted_at) else {
            continue;
        };
        let carried = Carried { top, filesystem };
        problems.extend(carried.nested()?);
        for subvolume in &filesystem.layout.subvolumes {
            problems.extend(carried.subvolume(subvolume)?);
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Checks { problems }),
    }
}

struct Carried<'a> {
    top: &'a Root,
    filesystem: PlannedFilesystem<'a>,
}

impl Carried<'_> {
    /// A path of the file system as the old system has it, for messages.
    fn shown(&self, inside: &str) -> PathBuf {
        Path::new(&self.filesystem.layout.mounted_at).join(inside.trim_start_matches('/'))
    }

    /// Whether this is a snapshot of that, as far as that has a UUID: the top level of a file system
    /// that an old mkfs.btrfs made has none.
    fn is_snapshot(&self, path: &Path, of: &Path) -> Result<bool, Error> {
        if !btrfs::is_subvolume(self.top, path)? {
            return Ok(false);
        }
        let original = btrfs::subvolume_info(self.top, of)?.uuid;
        let parent = btrfs::subvolume_info(self.top, path)?.parent_uuid;
        Ok(original == [0; 16] || parent == original)
    }

    /// Every subvolume nested in the old system that the plan knows, and `finalize` deletes.
    fn nested(&self) -> Result<Vec<String>, Error> {
        let (layout, old) = (self.filesystem.layout, self.filesystem.old_system);
        let mut left = Vec::new();
        for nested in &old.nested {
            let original = old.path(nested);
            if !btrfs::is_subvolume(self.top, &original)? {
                continue;
            }
            let (holder, inside) = place_of_nested(nested, layout);
            let copy = Path::new(&holder).join(inside);
            if !self.is_snapshot(&copy, &original)? {
                left.push(format!(
                    "the nested subvolume {} was not carried over to {}",
                    self.shown(nested).display(),
                    copy.display()
                ));
            }
        }
        Ok(left)
    }

    fn subvolume(&self, subvolume: &SubvolumeLayout) -> Result<Vec<String>, Error> {
        let (layout, old) = (self.filesystem.layout, self.filesystem.old_system);
        let name = Path::new(&subvolume.name);
        if !self.is_snapshot(name, &old.path(""))? {
            let name = name.display();
            return Ok(vec![format!("{name} is no snapshot of the old system")]);
        }
        let mut left = Vec::new();
        let inside = layout.inside(&subvolume.mount_point);
        let (from, new) = (self.top.held(&old.path(inside))?, self.top.held(name)?);
        for entry in from.list(Path::new(""))? {
            let Some(status) = own_entry(&from, &entry)? else {
                continue;
            };
            let path = Path::new(inside).join(&entry);
            if self.is_split_off(&path) || is_same(&new, &entry, &status)? {
                continue;
            }
            let (path, name) = (path.to_string_lossy(), name.display());
            left.push(format!("{} is not in {name}", self.shown(&path).display()));
        }
        left.extend(self.taken_out(subvolume, &new)?);
        Ok(left)
    }

    /// Whether a path of the old system is the place of a subvolume of its own.
    fn is_split_off(&self, path: &Path) -> bool {
        let layout = self.filesystem.layout;
        let mut split_off = layout.split_off();
        split_off.any(|one| Path::new(layout.inside(&one.mount_point)) == path)
    }

    /// What lies in the trash of a new subvolume and in no other one.
    fn taken_out(&self, subvolume: &SubvolumeLayout, new: &Root) -> Result<Vec<String>, Error> {
        let (layout, old) = (self.filesystem.layout, self.filesystem.old_system);
        let trash = Path::new(TRASH);
        if !new.exists(trash)? {
            return Ok(Vec::new());
        }
        let root = self.top.held(&old.path(""))?;
        let mut known = Vec::new();
        for one in layout.split_off() {
            let status = root.status(Path::new(layout.inside(&one.mount_point)))?;
            known.extend(status.map(|status| status.inode));
        }
        let mut left = Vec::new();
        for name in new.list(trash)? {
            let path = trash.join(&name);
            let Some(status) = new.status(&path)? else {
                continue;
            };
            // All that is not its own, which the main subvolume has.
            let is_the_mains =
                subvolume.mount_point != layout.mounted_at && is_same(&root, &name, &status)?;
            let is_known = is_the_mains || known.contains(&status.inode);
            if !is_known && !holds_nothing(new, &path, &status)? {
                let path = Path::new(&subvolume.name).join(path);
                let path = path.display();
                let what = "is no copy of what has a subvolume of its own";
                left.push(format!("{path} {what}"));
            }
        }
        Ok(left)
    }
}

/// An entry, unless it is a subvolume, or the stub of one: these are asked for by themselves.
fn own_entry(directory: &Root, name: &OsStr) -> Result<Option<Status>, Error> {
    let status = directory.status(Path::new(name))?;
    let is_subvolume = |status: &Status| {
        status.is_directory() && [btrfs::ROOT_INODE, STUB_INODE].contains(&status.inode)
    };
    Ok(status.filter(|status| !is_subvolume(status)))
}

/// A place that the snapshot had for a subvolume that stays, or the directory for GRUB that a rollback
/// of before had left where @ is now: rootshift's own, and nobody's files.
fn holds_nothing(new: &Root, path: &Path, status: &Status) -> Result<bool, Error> {
    if !status.is_directory() {
        return Ok(false);
    }
    Ok(new.list(path)?.is_empty() || matches!(is_hand_over(new, path), Ok(true)))
}

/// Whether a directory has this very entry, of the same original.
fn is_same(directory: &Root, name: &OsStr, status: &Status) -> Result<bool, Error> {
    let other = directory.status(Path::new(name))?;
    Ok(other.is_some_and(|other| (other.inode, other.kind) == (status.inode, status.kind)))
}
