//! `finalize`: gives the space of the old system back. The only act that can't be undone.
//!
//! Deletes only what the plan lists as the old system, and the trash of the new subvolumes. The
//! symlink `boot` or `@rootfs` stays: core.img and an ESP's stub may still point at it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::home::Migration;
use super::rollback::present_root;
use super::{Error, Stage, arming};
use crate::documents::StepSpec;
use crate::documents::plan::{STAGING, TRASH};
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
    let doomed = doomed(top, migration)?;
    let of = count(top, &doomed, progress);
    let mut entries = 0;
    progress.step("", 2, DELETING);
    for path in doomed {
        let before = entries;
        entries += remove(top, &path, &mut |count| {
            progress.part(part(before + count, of))
        })?;
        top.sync_filesystem()?;
    }
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
fn count(top: &Root, doomed: &[PathBuf], progress: &mut Progress) -> Option<u64> {
    if !progress.is_shown() {
        return None;
    }
    progress.step("", 1, COUNTING);
    let mut entries = 0;
    for path in doomed {
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
    for name in migration.plan().subvolumes() {
        if !btrfs::is_subvolume(top, Path::new(name))? {
            return Err(Error::NotNow(format!(
                "the subvolume {name} is missing; nothing is deleted"
            )));
        }
    }
    unknown_subvolume(top, migration)
}

/// A subvolume inside the old tree that the plan does not know may be somebody's only copy.
fn unknown_subvolume(top: &Root, migration: &Migration) -> Result<(), Error> {
    let old = &migration.plan().old_system;
    let kept = match present_root(top, migration.plan()).as_str() {
        "/" => PathBuf::new(),
        kept => PathBuf::from(kept),
    };
    let doomed = doomed(top, migration)?;
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
fn doomed(top: &Root, migration: &Migration) -> Result<Vec<PathBuf>, Error> {
    let plan = migration.plan();
    let mut paths = Vec::new();
    let mut switched = Vec::new();
    for step in plan.steps() {
        if let StepSpec::SwitchBootPath(switch) = &step.action {
            paths.push(PathBuf::from(&switch.keep_as));
            switched.push(switch.path.trim_start_matches('/').to_owned());
        }
    }
    let old = plan
        .old_system
        .entries
        .iter()
        .filter(|entry| !switched.contains(entry));
    paths.extend(old.map(PathBuf::from));
    paths.extend(
        plan.subvolumes()
            .iter()
            .map(|name| Path::new(name).join(TRASH)),
    );
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
    nested.sort_by_key(|subvolume| std::cmp::Reverse(subvolume.components().count()));
    for subvolume in &nested {
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
