//! `finalize`: gives the space of the old system back. The only act that can't be undone.
//!
//! Deletes only what the plan lists as the old system, and the trash of the new subvolumes. The
//! symlink `boot` or `@rootfs` stays: core.img and an ESP's stub may still point at it.

mod at_work;
mod delete;
mod doomed;
mod doubts;
pub mod pending;
mod quota;

use std::path::Path;
use std::sync::Arc;

use self::doomed::Doomed;
use super::home::Migration;
use super::others::{all_there, remove_homes, top_at};
use super::{Error, Stage, arming, rehearsal};
use crate::bootchain::{self, NewSystem};
use crate::checks;
use crate::documents::Plan;
use crate::fault;
use crate::journal::Record;
use crate::report::progress::{Part, Progress, Unit};
use crate::sys::{Root, btrfs};
use crate::tree::remove::count_tree;

const COUNTING: &str = "counting the old system's files";
const DELETING: &str = "deleting the old system";

/// Counting takes about so much of the time, for it reads what deleting reads as well.
#[must_use]
pub fn weights() -> Vec<u32> {
    vec![1, 4]
}

/// Deletes the old system. May be repeated after a cut. `progress` is made with [`weights`].
/// Returns the number of entries that this run deleted.
///
/// # Errors
/// When anything is in doubt, before anything is deleted; or the first act that failed.
pub fn finalize(
    system: &Root,
    top: &Root,
    migration: &mut Migration,
    progress: &mut Progress,
) -> Result<u64, Error> {
    begin(system, top, migration)?;
    delete(top, migration, progress)
}

/// Makes the images ordinary and records the decision; from here on there is no way back. May be
/// repeated after a cut. Durable when it returns.
///
/// # Errors
/// When anything is in doubt, before anything is changed; or an image that still holds the plan.
pub fn begin(system: &Root, top: &Root, migration: &mut Migration) -> Result<(), Error> {
    may_finalize(system, top, migration)?;
    // Before the decision: a program that fails here leaves the way back open.
    if migration.state().armed {
        arming::make_ordinary(system, migration)?;
        still_boots(top, migration.plan())?;
    }
    if migration.state().stage != Stage::Finalizing {
        migration.record(Record::FinalizeBegun)?;
    }
    fault::reached("finalize-begun");
    Ok(())
}

/// The images were made anew.
fn still_boots(top: &Root, plan: &Plan) -> Result<(), Error> {
    let new = NewSystem {
        top,
        root: plan.root_subvolume(),
        old_root: &plan.old_system.root,
        identity: Some(&plan.filesystem),
    };
    match bootchain::broken_link(&new).map_err(checks::Error::from)? {
        None => Ok(()),
        Some(problem) => Err(Error::NotNow(format!(
            "{problem}; mend that and run `rootshift finalize` again: nothing is deleted yet"
        ))),
    }
}

/// Deletes what [`begin`] decided to, and records that it is gone. May be repeated after a cut.
///
/// # Errors
/// The first act that failed; that this process was asked to stop.
pub fn delete(
    top: &Root,
    migration: &mut Migration,
    progress: &mut Progress,
) -> Result<u64, Error> {
    let others = Arc::clone(&migration.others);
    let plan = Arc::clone(migration.plan());
    let all = all_doomed(top, migration, &plan)?;
    let of = count(&all, progress);
    let mut entries = 0;
    progress.step("", 2, DELETING);
    for doomed in &all {
        quota::note(doomed)?;
        let before = entries;
        let tell = &mut |count| progress.part(part(before + count, of));
        entries += delete::remove(doomed, tell)?;
    }
    for doomed in &all {
        quota::remove(doomed.top)?;
    }
    remove_homes(&others)?;
    progress.finish();
    migration.record(Record::Finalized { entries })?;
    fault::reached("finalize-complete");
    Ok(entries)
}

fn part(done: u64, of: Option<u64>) -> Part {
    let unit = Unit::Entries;
    Part { done, of, unit }
}

/// How much there is to delete, for whoever looks on; `None` when nobody does, or when something
/// can't be counted: whether that can be deleted is another question.
fn count(all: &[Doomed], progress: &mut Progress) -> Option<u64> {
    if !progress.is_shown() {
        return None;
    }
    progress.step("", 1, COUNTING);
    let mut entries = 0;
    for doomed in all {
        for path in &doomed.paths {
            if btrfs::is_subvolume(doomed.top, path).ok()? {
                continue; // deleted as a whole
            }
            let tell = &mut |count| progress.part(part(entries + count, None));
            entries += count_tree(doomed.top, path, tell).ok()?;
        }
    }
    Some(entries)
}

/// Whether the old system may be deleted now. Changes nothing.
///
/// # Errors
/// What is in doubt, with its remedy.
pub fn may_finalize(system: &Root, top: &Root, migration: &Migration) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::NotNow(why.to_owned()));
    match migration.state().stage {
        Stage::Validated | Stage::Rehearsing | Stage::Rehearsed | Stage::Finalizing => {}
        Stage::Committed => {
            return refuse(
                "the new system has not passed its validation; see `rootshift validate`",
            );
        }
        Stage::RollbackRequested => {
            return refuse(
                "a rollback was asked for: the next boot goes back to the old system; nothing is \
                 deleted",
            );
        }
        Stage::Finalized => return refuse("it is finalized already"),
        _ => return refuse("the old system is root; there is nothing to finalize"),
    }
    all_there(migration)?;
    let plan = migration.plan();
    for filesystem in plan.filesystems() {
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
        doomed::unknown_subvolume(top, plan, filesystem)?;
    }
    let all = all_doomed(top, migration, plan)?;
    doubts::none(system, &all, plan.root_subvolume())?;
    if migration.state().stage.is_validated()
        && let Some(why) = rehearsal::missing(system, migration.state())?
    {
        return refuse(&why);
    }
    Ok(())
}

fn all_doomed<'a>(
    top: &'a Root,
    migration: &'a Migration,
    plan: &'a Plan,
) -> Result<Vec<Doomed<'a>>, Error> {
    let mut all = Vec::new();
    for filesystem in plan.filesystems() {
        let place = &filesystem.layout.mounted_at;
        if let Some(top) = top_at(top, &migration.others, place) {
            let paths = doomed::paths(top, plan, filesystem)?;
            let uuid = &filesystem.identity.uuid;
            all.push(Doomed { top, uuid, paths });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::sys::Root;
    use std::fs;

    /// A system of these files, with their text.
    pub(super) fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }
}
