//! Prepared subvolumes before the commit: each known by what it is, and by when rootshift last worked
//! in it. The old system may have run since, and a person may have used their names.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Error;
use super::home::Migration;
use super::others::top_at;
use super::step::Run;
use crate::documents::fence::StagedSubvolume;
use crate::documents::plan::{PlannedStep, STAGING};
use crate::documents::{Action, Plan};
use crate::journal::record::Left;
use crate::sys::block::uuid_text;
use crate::sys::btrfs::{self, Inode, SubvolumeInfo};
use crate::sys::{self, Root};

/// What becomes of what a step made or placed when it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes.
    Goes,
    /// It is somebody else's: it stays as it is.
    Stays,
    /// Somebody wrote into it: it gets another name.
    Kept,
}

/// The prepared subvolume that a step makes, places or works in, where it is prepared.
fn staged(action: &Action) -> Option<PathBuf> {
    match action {
        Action::PlaceSubvolume(place) => Some(place.from.path()),
        other => other
            .makes_subvolume()
            .or_else(|| other.works_in().map(StagedSubvolume::path)),
    }
}

/// Where a step leaves it.
fn place(action: &Action) -> Option<PathBuf> {
    match action {
        Action::PlaceSubvolume(place) => Some(place.to.path().to_owned()),
        other => staged(other),
    }
}

/// How a step left its subvolume. To be called once its work is durable.
///
/// # Errors
/// When that can't be looked at.
pub(super) fn left(run: &Run, step: &PlannedStep) -> Result<Option<Left>, Error> {
    let top = top_at(run.top, &run.others, &step.filesystem);
    let (Some(top), Some(path)) = (top, place(&step.action)) else {
        return Ok(None);
    };
    if !btrfs::is_subvolume(top, &path)? {
        return Ok(None);
    }
    let info = info(top, &path)?;
    Ok(Some(Left {
        id: info.id,
        subvolume: uuid_text(info.uuid),
        generation: btrfs::filesystem(top)?.generation,
    }))
}

fn info(top: &Root, path: &Path) -> sys::Result<SubvolumeInfo> {
    btrfs::subvolume_info(&top.held(path)?, Path::new(""))
}

/// What becomes of what a step made or placed, before the commit; with where that is.
///
/// # Errors
/// When it can't be looked at.
pub(super) fn fate(
    top: &Root,
    migration: &Migration,
    step: &PlannedStep,
) -> Result<(Fate, PathBuf), Error> {
    let is_undone_by_itself = step.action.works_in().is_none();
    let here = staged(&step.action).zip(place(&step.action));
    let Some((made, path)) = here.filter(|_| is_undone_by_itself) else {
        return Ok((Fate::Goes, PathBuf::new()));
    };
    if !btrfs::is_subvolume(top, &path)? {
        return Ok((Fate::Goes, path));
    }
    let there = There {
        top,
        migration,
        step,
        made: &made,
        path: &path,
    };
    let fate = if !is_ours(&there)? {
        Fate::Stays
    } else if was_used(&there)? {
        Fate::Kept
    } else {
        Fate::Goes
    };
    Ok((fate, path))
}

/// What lies where a step made or placed its subvolume.
#[derive(Clone, Copy)]
struct There<'a> {
    top: &'a Root,
    migration: &'a Migration,
    step: &'a PlannedStep,
    /// Where it was made.
    made: &'a Path,
    /// Where it is.
    path: &'a Path,
}

/// Whether it is what was made at `made`. Where that is not recorded (a cut, or an older journal) it
/// has to be a snapshot of what the plan says.
fn is_ours(there: &There) -> Result<bool, Error> {
    let There {
        top,
        migration,
        step,
        made,
        path,
    } = *there;
    let plan = migration.plan();
    let Some(maker) = maker(plan, &step.filesystem, made) else {
        return Ok(true);
    };
    let found = info(top, path)?;
    if let Some(left) = migration.state().left_by(&maker.id) {
        return Ok((left.id, left.subvolume.as_str()) == (found.id, &*uuid_text(found.uuid)));
    }
    if !matches!(maker.action, Action::Snapshot(_)) {
        return Ok(true);
    }
    let Some(source) = source(top, plan, &step.filesystem, made)? else {
        return Ok(path.starts_with(STAGING)); // nothing tells them apart any more
    };
    let source = btrfs::subvolume_info(&source, Path::new(""))?;
    Ok(source.uuid == [0; 16] || found.parent_uuid == source.uuid)
}

fn maker<'a>(plan: &'a Plan, filesystem: &str, made: &Path) -> Option<&'a PlannedStep> {
    let mut steps = plan.steps().into_iter();
    steps.find(|step| {
        step.filesystem == filesystem && step.action.makes_subvolume().as_deref() == Some(made)
    })
}

/// Whether anything in it is newer than rootshift's last work. What a step was at when it was cut off
/// can't be told from what somebody did since.
fn was_used(there: &There) -> Result<bool, Error> {
    let There {
        top,
        migration,
        step,
        made,
        path,
    } = *there;
    let (plan, state) = (migration.plan(), migration.state());
    let mut here = plan.steps();
    here.retain(|other| other.filesystem == step.filesystem);
    let is_open = |other: &&PlannedStep| {
        let inside = staged(&other.action);
        state.open.contains(&other.id)
            && inside.is_some_and(|inside| inside.starts_with(made) || made.starts_with(inside))
    };
    let left = here.iter().filter_map(|other| state.left_by(&other.id));
    let Some(last) = left.map(|left| left.generation).max() else {
        return Ok(false);
    };
    if here.iter().any(is_open) {
        return Ok(false);
    }
    top.sync_filesystem()?;
    let source = source(top, plan, &step.filesystem, made)?;
    let is_only_read = |number, inode: &Inode| -> sys::Result<bool> {
        let Some(source) = &source else {
            return Ok(false);
        };
        let same = btrfs::inode(source, number)?;
        Ok(same.is_some_and(|same| same.is_same_but_read(inode)))
    };
    let mut used = false;
    btrfs::changes_since(&top.held(path)?, last, &mut |number, inode| {
        // What is in a directory counts by itself; taking back deletes what is nested there.
        used |= inode.born() > last || !inode.is_directory() && !is_only_read(number, &inode)?;
        Ok(match used {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    Ok(used)
}

/// What it is a snapshot of, where that is still there.
fn source(top: &Root, plan: &Plan, filesystem: &str, made: &Path) -> Result<Option<Root>, Error> {
    let maker = maker(plan, filesystem, made);
    let Some(Action::Snapshot(snapshot)) = maker.map(|maker| &maker.action) else {
        return Ok(None);
    };
    let from = plan
        .old_system_at(filesystem)
        .path(&snapshot.from.to_string());
    Ok(match btrfs::is_subvolume(top, &from)? {
        true => Some(top.held(&from)?),
        false => None,
    })
}

/// Gives a subvolume a name at the top level under which nothing deletes it.
///
/// # Errors
/// When it can't be renamed.
pub(super) fn keep(top: &Root, path: &Path) -> Result<String, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 1..=999 {
        let kept = format!("{name}.rolled-back-{number}");
        if !top.exists(Path::new(&kept))? {
            top.rename(path, Path::new(&kept))?;
            return Ok(kept);
        }
    }
    Err(Error::NotNow(format!(
        "999 copies {name}.rolled-back-N are kept already; give one another name"
    )))
}
