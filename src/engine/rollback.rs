//! Taking back: before the commit by deleting what was prepared, after it by pointing everything
//! at the old system again and keeping the new one aside.

use super::Error;
use super::home::Migration;
use crate::documents::plan::{PlannedStep, STAGING};
use crate::fault;
use crate::journal::Record;
use crate::steps::{self, StepContext, Undo};
use crate::sys::Root;
use std::path::Path;

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

fn undo_all(top: &Root, migration: &mut Migration, how: Undo) -> Result<Vec<String>, Error> {
    let plan = migration.plan().clone();
    undo_these(
        &StepContext { top, plan: &plan },
        migration,
        plan.steps(),
        how,
    )
}

/// Discards what these steps prepared, newest first; those that were not begun are passed over.
///
/// # Errors
/// The first act that failed; running it again goes on.
pub(super) fn take_back(
    context: &StepContext,
    migration: &mut Migration,
    steps: Vec<&PlannedStep>,
) -> Result<(), Error> {
    undo_these(context, migration, steps, Undo::Discard).map(|_| ())
}

fn undo_these(
    context: &StepContext,
    migration: &mut Migration,
    steps: Vec<&PlannedStep>,
    how: Undo,
) -> Result<Vec<String>, Error> {
    let mut kept = Vec::new();
    for step in steps.into_iter().rev() {
        let state = migration.state();
        if state.done.contains(&step.id) || state.open.contains(&step.id) {
            kept.extend(undo(context, migration, step, how)?);
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
    Ok(kept)
}

/// Names given before a cut are not in this run's list: they are seen at the top level.
fn kept_before_a_cut(
    top: &Root,
    migration: &Migration,
    kept: &[String],
) -> Result<Vec<String>, Error> {
    let names = migration.plan().subvolumes();
    let ours = |name: &str| {
        let stem = name.split_once(".rolled-back-").map(|(stem, _)| stem);
        stem.is_some_and(|stem| names.contains(&stem)) && !kept.iter().any(|kept| kept == name)
    };
    let entries = top.list(Path::new("."))?;
    let entries = entries
        .into_iter()
        .filter_map(|name| name.into_string().ok());
    Ok(entries.filter(|name| ours(name)).collect())
}
