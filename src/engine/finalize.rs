//! `finalize`: gives the space of the old system back. The only act that can't be undone.
//!
//! Deletes only what the plan lists as the old system, and the trash of the new subvolumes. The
//! symlink `boot` or `@rootfs` stays: core.img and an ESP's stub may still point at it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::home::Migration;
use super::others::{all_there, remove_homes, top_at};
use super::rollback::present_root;
use super::{Error, Stage, arming};
use crate::documents::plan::{PlannedFilesystem, STAGING, TRASH};
use crate::documents::{Plan, StepSpec};
use crate::journal::Record;
use crate::report::progress::{Part, Progress, Unit};
use crate::sys::{Root, attributes, btrfs};
use crate::tree::remove::{count_tree, remove_tree};

const COUNTING: &str = "counting the old system's files";
const DELETING: &str = "deleting the old system";

/// Counting takes about so much of the time, for it reads what deleting reads as well.
#[must_use]
pub fn weights() -> Vec<u32> {
    vec![1, 4]
}

/// Deletes the old system. May be repeated after a cut. `progress` is made with [`weights`].
///
/// # Errors
/// When anything is in doubt, before anything is deleted; or the first act that failed.
pub fn finalize(
    system: &Root,
    top: &Root,
    migration: &mut Migration,
    progress: &mut Progress,
) -> Result<u64, Error> {
    may_finalize(top, migration)?;
    if migration.state().stage != Stage::Finalizing {
        migration.record(Record::FinalizeBegun)?;
    }
    if migration.state().armed {
        arming::make_ordinary(system, migration)?;
    }
    let others = Arc::clone(&migration.others);
    let mut all = Vec::new();
    for filesystem in migration.plan().filesystems() {
        if let Some(top) = top_at(top, &others, &filesystem.layout.mounted_at) {
            let paths = doomed(top, migration.plan(), filesystem)?;
            all.extend(paths.into_iter().map(|path| (top, path)));
        }
    }
    let of = count(&all, progress);
    let mut entries = 0;
    progress.step("", 2, DELETING);
    for (top, path) in all {
        let before = entries;
        entries += remove(top, &path, &mut |count| {
            progress.part(part(before + count, of))
        })?;
        top.sync_filesystem()?;
    }
    remove_homes(&others)?;
    progress.finish();
    migration.record(Record::Finalized { entries })?;
    Ok(entries)
}

fn part(done: u64, of: Option<u64>) -> Part {
    let unit = Unit::Entries;
    Part { done, of, unit }
}

/// How much there is to delete, for whoever looks on; `None` when nobody does, or when something
/// can't be counted: whether that can be deleted is another question.
fn count(doomed: &[(&Root, PathBuf)], progress: &mut Progress) -> Option<u64> {
    if !progress.is_shown() {
        return None;
    }
    progress.step("", 1, COUNTING);
    let mut entries = 0;
    for (top, path) in doomed {
        if btrfs::is_subvolume(top, path).ok()? {
            continue; // deleted as a whole
        }
        let tell = &mut |count| progress.part(part(entries + count, None));
        entries += count_tree(top, path, tell).ok()?;
    }
    Some(entries)
}

fn may_finalize(top: &Root, migration: &Migration) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::NotNow(why.to_owned()));
    match migration.state().stage {
        Stage::Validated | Stage::Finalizing => {}
        Stage::Committed => {
            return refuse(
                "the new system has not passed its validation; see `rootshift validate`",
            );
        }
        Stage::Finalized => return refuse("it is finalized already"),
        _ => return refuse("the old system is root; there is nothing to finalize"),
    }
    all_there(migration)?;
    for filesystem in migration.plan().filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        for subvolume in &filesystem.layout.subvolumes {
            let name = &subvolume.name;
            if !btrfs::is_subvolume(top, Path::new(name))? {
                return Err(Error::NotNow(format!(
                    "the subvolume {name} is missing; nothing is deleted"
                )));
            }
        }
        unknown_subvolume(top, migration.plan(), filesystem)?;
    }
    Ok(())
}

/// A subvolume inside the old tree that the plan does not know may be somebody's only copy.
fn unknown_subvolume(top: &Root, plan: &Plan, filesystem: PlannedFilesystem) -> Result<(), Error> {
    let old = filesystem.old_system;
    let kept = match old.root.as_str() {
        "" => PathBuf::new(),
        _ => PathBuf::from(present_root(top, plan)),
    };
    let doomed = doomed(top, plan, filesystem)?;
    for subvolume in btrfs::list_subvolumes(top)? {
        let inside = doomed.iter().any(|path| subvolume.path.starts_with(path));
        let known = subvolume.path == kept
            || subvolume
                .path
                .strip_prefix(&kept)
                .is_ok_and(|path| old.nested.iter().any(|nested| Path::new(nested) == path));
        if inside && !known {
            return Err(Error::NotNow(format!(
                "the subvolume {} in the old system was made after arming; move it away or \
                 delete it, then run `rootshift finalize` again",
                subvolume.path.display()
            )));
        }
    }
    Ok(())
}

/// What is deleted, where it still exists.
fn doomed(top: &Root, plan: &Plan, filesystem: PlannedFilesystem) -> Result<Vec<PathBuf>, Error> {
    let place = &filesystem.layout.mounted_at;
    let mut paths = Vec::new();
    let mut switched = Vec::new();
    for step in plan.steps() {
        if let StepSpec::SwitchBootPath(switch) = &step.action
            && step.filesystem == *place
        {
            paths.push(PathBuf::from(&switch.keep_as));
            switched.push(switch.path.trim_start_matches('/').to_owned());
        }
    }
    let old = filesystem.old_system.entries.iter();
    paths.extend(
        old.filter(|entry| !switched.contains(entry))
            .map(PathBuf::from),
    );
    let subvolumes = filesystem.layout.subvolumes.iter();
    paths.extend(subvolumes.map(|subvolume| Path::new(&subvolume.name).join(TRASH)));
    paths.push(PathBuf::from(STAGING));
    let mut there = Vec::new();
    for path in paths {
        if top.exists(&path)? {
            there.push(path);
        }
    }
    Ok(there)
}

/// Deletes a tree with the subvolumes nested in it, deepest first.
fn remove(top: &Root, path: &Path, on_progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    let mut nested: Vec<PathBuf> = btrfs::list_subvolumes(top)?
        .into_iter()
        .map(|subvolume| subvolume.path)
        .collect();
    nested.retain(|subvolume| subvolume.starts_with(path));
    // Sorted by path: what is nested in another follows it.
    for subvolume in nested.iter().rev() {
        btrfs::delete_subvolume(top, subvolume)?;
    }
    if !top.exists(path)? {
        return Ok(0);
    }
    if path.file_name() == Some(OsStr::new(TRASH)) {
        return remove_trash(top, path, on_progress);
    }
    Ok(remove_tree(top, path, on_progress)?)
}

/// The directory that holds the trash is somebody's, as /home: it keeps its times.
fn remove_trash(top: &Root, trash: &Path, on_progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    let mut entries = 1;
    for name in top.list(trash)? {
        let before = entries;
        let mut tell = |count| on_progress(before + count);
        entries += remove_tree(top, &trash.join(name), &mut tell)?;
    }
    let holder = trash.parent().unwrap_or(Path::new("."));
    let status = top.status(holder)?;
    top.remove_directory(trash)?;
    if let Some(status) = status {
        attributes::set_times(top, holder, status.accessed, status.modified)?;
    }
    Ok(entries)
}
