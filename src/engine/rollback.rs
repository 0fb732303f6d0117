//! Taking back: before the commit by deleting what was prepared, after it by pointing everything
//! at the old system again and keeping the new one aside.

use super::Error;
use super::home::Migration;
use super::others::{context_of, remove_homes, top_at};
use crate::documents::plan::{PlannedStep, STAGING};
use crate::documents::{Plan, StepSpec};
use crate::fault;
use crate::journal::Record;
use crate::steps::{self, StepContext, Undo};
use crate::sys::{Root, btrfs};
use std::path::Path;
use std::sync::Arc;

/// Deletes what was prepared, newest first. Nothing of the old system is touched.
///
/// # Errors
/// The first act that failed; running it again goes on.
pub fn discard(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    undo_all(top, migration, Undo::Discard)?;
    if top.exists(Path::new(STAGING))? && top.list(Path::new(STAGING))?.is_empty() {
        top.remove_directory(Path::new(STAGING))?;
        top.sync_filesystem()?;
    }
    Ok(())
}

/// Makes the old system root again. From the first record on it is, whatever the boot path says;
/// the boot path follows, then the new subvolumes get other names. May be repeated after a cut.
///
/// # Errors
/// The first act that failed; the next boot goes on.
pub fn roll_back(top: &Root, migration: &mut Migration, reason: &str) -> Result<(), Error> {
    if migration.state().stage != super::Stage::RollingBack {
        migration.record(Record::RollbackBegun {
            reason: reason.to_owned(),
        })?;
    }
    log::warn!("rolling back: {reason}");
    fault::reached("rollback-begun");
    let mut kept = undo_all(top, migration, Undo::KeepAside)?;
    kept.extend(kept_before_a_cut(top, migration, &kept)?);
    kept.sort();
    migration.record(Record::RolledBack { kept })?;
    fault::reached("rollback-complete");
    Ok(())
}

/// The name by which the old system's root can be mounted now: `/`, or the subvolume's own name or
/// the one that it is kept under while the boot path leads to the new system. Never fails: where
/// nothing can be seen it is the name that it had.
#[must_use]
pub fn present_root(top: &Root, plan: &Plan) -> String {
    let root = &plan.old_system.root;
    if root.is_empty() {
        return "/".into();
    }
    let kept = plan
        .steps()
        .into_iter()
        .find_map(|step| match &step.action {
            StepSpec::SwitchBootPath(switch) if switch.path.trim_matches('/') == root => {
                Some(switch.keep_as.trim_matches('/').to_owned())
            }
            _ => None,
        });
    let is_root = |name: &str| matches!(btrfs::is_subvolume(top, Path::new(name)), Ok(true));
    kept.filter(|kept| !is_root(root) && is_root(kept))
        .unwrap_or_else(|| root.clone())
}

fn undo_all(top: &Root, migration: &mut Migration, how: Undo) -> Result<Vec<String>, Error> {
    let plan = migration.plan().clone();
    let kept = undo_these(top, migration, plan.steps(), how)?;
    remove_homes(&migration.others)?;
    Ok(kept)
}

/// Discards what these steps prepared, newest first; those that were not begun are passed over.
///
/// # Errors
/// The first act that failed; running it again goes on.
pub(super) fn take_back(
    top: &Root,
    migration: &mut Migration,
    steps: Vec<&PlannedStep>,
) -> Result<(), Error> {
    undo_these(top, migration, steps, Undo::Discard).map(|_| ())
}

/// A file system that is missing holds up nobody: what is on it stays beside its old content,
/// which the old system's fstab mounts.
fn undo_these(
    top: &Root,
    migration: &mut Migration,
    steps: Vec<&PlannedStep>,
    how: Undo,
) -> Result<Vec<String>, Error> {
    let (plan, others) = (migration.plan().clone(), Arc::clone(&migration.others));
    let mut kept = Vec::new();
    for step in steps.into_iter().rev() {
        let state = migration.state();
        if !state.done.contains(&step.id) && !state.open.contains(&step.id) {
            continue;
        }
        match context_of(&plan, top, &others, step) {
            Ok(context) => kept.extend(undo(&context, migration, step, how)?),
            Err(missing) => log::warn!("not taken back: {missing}"),
        }
    }
    Ok(kept)
}

fn undo(
    context: &StepContext,
    migration: &mut Migration,
    step: &PlannedStep,
    how: Undo,
) -> Result<Option<String>, Error> {
    let kept = steps::of(&step.action)
        .undo(context, how)
        .map_err(|cause| Error::Step {
            step: step.id.clone(),
            cause,
        })?;
    context.top.sync_filesystem()?;
    migration.record(Record::Undone {
        step: step.id.clone(),
    })?;
    fault::reached("step-undone");
    Ok(kept.map(|name| named(&step.filesystem, &name)))
}

/// A subvolume's name, with the file system where that is not the root's.
fn named(filesystem: &str, name: &str) -> String {
    match filesystem {
        "/" => name.to_owned(),
        place => format!("{place}: {name}"),
    }
}

/// Names given before a cut are not in this run's list: they are seen at the top levels.
fn kept_before_a_cut(
    top: &Root,
    migration: &Migration,
    kept: &[String],
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for filesystem in migration.plan().filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        let ours = |name: &str| {
            let stem = name.split_once(".rolled-back-").map(|(stem, _)| stem);
            let mut subvolumes = filesystem.layout.subvolumes.iter();
            stem.is_some_and(|stem| subvolumes.any(|subvolume| subvolume.name == stem))
        };
        let entries = top.list(Path::new("."))?.into_iter();
        let names = entries.filter_map(|name| name.into_string().ok());
        found.extend(
            names
                .filter(|name| ours(name))
                .map(|name| named(place, &name)),
        );
    }
    found.retain(|name| !kept.contains(name));
    Ok(found)
}
