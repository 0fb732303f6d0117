//! Taking back: before the commit by deleting what was prepared, after it by pointing everything
//! at the old system again and keeping the new one aside.

use super::home::Migration;
use super::others::{all_there, context_of, remove_homes, top_at};
use super::prepared::{self, Fate};
use super::{Error, State, old_system};
use crate::documents::fence::StagedSubvolume;
use crate::documents::plan::{PlannedStep, STAGING};
use crate::documents::viscript::Stage;
use crate::documents::{Action, Plan};
use crate::fault;
use crate::journal::{Object, Record, Role};
use crate::steps::{self, StepContext, Undo};
use crate::sys::block::uuid_text;
use crate::sys::{Root, btrfs, sorted};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Deletes what was prepared, newest first, as far as it is what was made and nobody has used it
/// since: else it stays, or is kept under another name. Nothing of the old system is touched.
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

/// What it takes to go back to a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayBack {
    /// What came after it is to be taken back: where it lies before the commit and the new system
    /// is root, all of it.
    TakeBack,
    /// Nothing was changed since.
    Nothing,
}

/// What it takes to go back to the checkpoint after a phase. Changes nothing.
///
/// # Errors
/// When there is no such checkpoint.
pub fn way_back(migration: &Migration, phase: &str) -> Result<WayBack, Error> {
    let plan = migration.plan();
    let index = checkpoint(plan, migration, phase)?;
    let at = plan.phases.get(index).map(|phase| phase.stage);
    Ok(match at == Some(Stage::AfterBoot) {
        true => WayBack::Nothing,
        false => WayBack::TakeBack,
    })
}

/// Goes back to the checkpoint after a phase, before the commit: the steps of later phases are
/// taken back, newest first, and the next boot goes on from there; may be repeated after a cut.
///
/// # Errors
/// When there is no such checkpoint, or the first act that failed; running it again goes on.
pub fn return_to(top: &Root, migration: &mut Migration, phase: &str) -> Result<(), Error> {
    let plan = migration.plan().clone();
    let index = checkpoint(&plan, migration, phase)?;
    let later = plan.phases.get(index + 1..).unwrap_or_default();
    let scripts = later.iter().flat_map(|phase| &phase.viscripts);
    let steps = scripts.flat_map(|script| &script.steps).collect();
    let steps = with_what_goes_along(&plan, migration.state(), steps);
    all_there(migration)?;
    take_back(top, migration, steps)?;
    migration.record(Record::ReturnedTo {
        phase: phase.to_owned(),
    })
}

/// The position of the phase that the checkpoint ends.
fn checkpoint(plan: &Plan, migration: &Migration, phase: &str) -> Result<usize, Error> {
    let known = &migration.state().checkpoints;
    let index = plan.phases.iter().position(|one| one.name == phase);
    match index.filter(|_| known.iter().any(|one| one == phase)) {
        Some(index) => Ok(index),
        None if known.is_empty() => Err(Error::NotNow(format!(
            "there is no checkpoint {phase}: none was reached; see `rootshift status`"
        ))),
        None => Err(Error::NotNow(format!(
            "there is no checkpoint {phase}; there are {}",
            known.join(", ")
        ))),
    }
}

/// Makes the old system root again, if it is there. From the first record on it is root, whatever the
/// boot path says;
/// the boot path follows, then the new subvolumes get other names. May be repeated after a cut.
///
/// # Errors
/// The first act that failed; the next boot goes on.
pub fn roll_back(top: &Root, migration: &mut Migration, reason: &str) -> Result<(), Error> {
    if migration.state().stage != super::Stage::RollingBack {
        if let Some(problem) = old_system::problem(top, migration.plan(), migration.state()) {
            return Err(Error::NotNow(problem));
        }
        migration.record(Record::RollbackBegun {
            reason: reason.to_owned(),
        })?;
    }
    log::warn!("rolling back: {reason}");
    fault::reached("rollback-begun");
    old_system::make_ready(top, migration.plan())?;
    let mut kept = undo_all(top, migration, Undo::KeepAside)?;
    kept.extend(kept_before_a_cut(top, migration, &kept)?);
    let kept = sorted(kept);
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
    let switch = plan.boot_switch();
    let switch = switch.filter(|switch| switch.path.trim_matches('/') == root);
    let kept = switch.map(|switch| switch.keep_as.trim_matches('/').to_owned());
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

/// The steps that were begun of these, and all whose work can't stay without theirs: what was
/// changed in a subvolume goes only with the subvolume, and all that lies in it.
pub(super) fn with_what_goes_along<'a>(
    plan: &'a Plan,
    state: &State,
    steps: Vec<&'a PlannedStep>,
) -> Vec<&'a PlannedStep> {
    let begun =
        |step: &&PlannedStep| state.done.contains(&step.id) || state.open.contains(&step.id);
    let mut going: Vec<&PlannedStep> = steps.into_iter().filter(begun).collect();
    let all: Vec<&PlannedStep> = plan.steps().into_iter().filter(begun).collect();
    loop {
        let goes_along = |step: &&&PlannedStep| {
            let known = going.iter().any(|known| known.id == step.id);
            !known && going.iter().any(|gone| takes_along(gone, step))
        };
        let more: Vec<&PlannedStep> = all.iter().filter(goes_along).copied().collect();
        if more.is_empty() {
            // In the plan's order, as they are taken back in the reverse of it.
            let ours = |step: &&PlannedStep| going.iter().any(|known| known.id == step.id);
            return all.into_iter().filter(ours).collect();
        }
        going.extend(more);
    }
}

/// Whether a step that is taken back takes another one along, on the same file system.
fn takes_along(gone: &PlannedStep, step: &PlannedStep) -> bool {
    let works_in = |step: &PlannedStep| step.action.works_in().map(StagedSubvolume::path);
    let (makes, inside) = (step.action.makes_subvolume(), works_in(step));
    let spoilt = works_in(gone);
    let gone_path = gone.action.makes_subvolume();
    let below = |path: &PathBuf| {
        gone_path
            .as_ref()
            .is_some_and(|gone| path.starts_with(gone))
    };
    gone.filesystem == step.filesystem
        && (makes.is_some_and(|path| spoilt.as_ref() == Some(&path) || below(&path))
            || inside.is_some_and(|path| below(&path)))
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
            Ok(context) => {
                let here = top_at(top, &others, &step.filesystem);
                let fate = here.map_or(Ok(Fate::Goes), |top| fate(top, migration, step, how))?;
                kept.extend(undo(&context, migration, step, (how, fate))?);
            }
            Err(missing) => log::warn!("not taken back: {missing}"),
        }
    }
    Ok(kept)
}

fn undo(
    context: &StepContext,
    migration: &mut Migration,
    step: &PlannedStep,
    (how, fate): (Undo, Fate),
) -> Result<Option<String>, Error> {
    let mut kept = None;
    if fate == Fate::Goes {
        kept = steps::of(&step.action)
            .undo(context, how)
            .map_err(|cause| Error::Step {
                step: step.id.clone(),
                cause: Box::new(cause),
            })?;
    }
    context.sync()?;
    migration.record(Record::Undone {
        step: step.id.clone(),
    })?;
    fault::reached("step-undone");
    Ok(kept.map(|name| named(&step.filesystem, &name)))
}

/// What becomes of what a step made or placed; what is to be kept before the commit is given its
/// other name.
fn fate(top: &Root, migration: &Migration, step: &PlannedStep, how: Undo) -> Result<Fate, Error> {
    if how == Undo::KeepAside {
        let ours = is_still_ours(top, migration, step)?;
        return Ok(if ours { Fate::Goes } else { Fate::Stays });
    }
    let (fate, path) = prepared::fate(top, migration, step)?;
    match fate {
        Fate::Goes => {}
        Fate::Stays => not_ours(&path),
        Fate::Kept => {
            let name = prepared::keep(top, &path)?;
            let path = path.display();
            log::warn!("somebody wrote into {path} since it was prepared: it is kept as {name}");
        }
    }
    Ok(fate)
}

fn not_ours(path: &Path) {
    let path = path.display();
    log::warn!("{path} is not the subvolume that rootshift made: it keeps its name");
}

/// Whether what a step placed is what the commit knew, and not what somebody put there since: that
/// stays, and is named. Where nothing is known the name counts.
fn is_still_ours(top: &Root, migration: &Migration, step: &PlannedStep) -> Result<bool, Error> {
    let Action::PlaceSubvolume(place) = &step.action else {
        return Ok(true);
    };
    let path = place.to.path();
    if !btrfs::is_subvolume(top, path)? {
        return Ok(true);
    }
    let ours = is_known(top, path, migration, &step.filesystem)?.unwrap_or(true);
    if !ours {
        not_ours(path);
    }
    Ok(ours)
}

/// Whether a subvolume is one of the new system's; nobody knows without an inventory.
fn is_known(
    top: &Root,
    path: &Path,
    migration: &Migration,
    place: &str,
) -> Result<Option<bool>, Error> {
    let Some(objects) = migration.state().inventory() else {
        return Ok(None);
    };
    let info = btrfs::subvolume_info(&top.held(path)?, Path::new(""))?;
    let uuid = uuid_text(info.uuid);
    let is_it = |object: &Object| {
        object.role == Role::NewSubvolume
            && object.filesystem == place
            && (object.id, object.subvolume.as_str()) == (info.id, uuid.as_str())
    };
    Ok(Some(objects.iter().any(is_it)))
}

/// A subvolume's name, with the file system where that is not the root's.
fn named(filesystem: &str, name: &str) -> String {
    match filesystem {
        "/" => name.to_owned(),
        place => format!("{place}: {name}"),
    }
}

/// Without an inventory: whether a subvolume was made after this migration was armed.
fn is_younger(top: &Root, path: &Path, migration: &Migration) -> Result<bool, Error> {
    let made = btrfs::subvolume_info(&top.held(path)?, Path::new(""))?.created_generation;
    Ok(migration.armed_in(top)?.is_none_or(|armed| made >= armed))
}

/// Names given before a cut are not in this run's list: they are seen at the top levels. What an
/// earlier migration kept has such names, too.
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
        for name in top.list(Path::new("."))? {
            let name = name.to_string_lossy().into_owned();
            let path = Path::new(&name);
            if !ours(&name) || !btrfs::is_subvolume(top, path)? {
                continue;
            }
            let known = is_known(top, path, migration, place)?;
            if known.map_or_else(|| is_younger(top, path, migration), Ok)? {
                found.push(named(place, &name));
            }
        }
    }
    found.retain(|name| !kept.contains(name));
    Ok(found)
}
