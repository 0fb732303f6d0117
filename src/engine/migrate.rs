//! The migration itself: prepare beside the old system, prove, commit.
//!
//! Each step: `begun` (durable), the step, `syncfs`, `done` (durable). A cut anywhere leaves the
//! old system as root, until `committed` is durable; from then on the new one.

use super::home::{Migration, make_staging};
use super::others::{make_homes, sync, top_at};
use super::phase::{left_out, run_phase};
use super::preflight::{Finding, look};
use super::rollback::discard;
use super::step::{Run, run_step};
use super::trial::lines;
use super::{Error, Stage, carried, inventory};
use crate::checks::CheckContext;
use crate::documents::plan::{PlannedPhase, PlannedStep};
use crate::documents::viscript::{self, NamedCheck};
use crate::documents::{Action, CheckSpec};
use crate::fault;
use crate::journal::Record;
use crate::report::signs::{Sign, give};
use crate::sys::console::line_within;
use crate::sys::usage::Scope;
use crate::sys::{Root, btrfs};
use std::path::Path;
use std::time::Duration;

/// Takes the migration up where the journal says, up to the last thing before the commit: the lines
/// of the new fstab are to be mounted on trial, which nothing of the disk may be mounted for.
/// [`after_trial`] goes on.
///
/// # Errors
/// The first failure. The old system is root then, and what was prepared is taken back.
pub fn migrate(
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
    console: &Path,
) -> Result<(), Error> {
    take_up(top, migration)?;
    let prepared = prepare(top, migration, context, console);
    match prepared.and_then(|()| lines(top, migration.plan())) {
        Ok(lines) => {
            migration.trial = Some(lines);
            Ok(())
        }
        // What is prepared stays; the next boot asks again.
        Err(stopped @ Error::Stopped { .. }) => Err(stopped),
        Err(cause) => Err(give_up(top, migration, cause)),
    }
}

/// Commits when every line of the new fstab could be mounted.
///
/// # Errors
/// The first failure. The old system is root then, and what was prepared is taken back.
pub(super) fn after_trial(
    top: &Root,
    migration: &mut Migration,
    trial: Result<(), String>,
) -> Result<(), Error> {
    match trial {
        Ok(()) => commit(top, migration),
        Err(problem) => {
            let problems = vec![problem];
            Err(give_up(top, migration, Error::Checks { problems }))
        }
    }
}

/// Counts the attempt; what was prepared from an old system that has changed since is thrown away.
fn take_up(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    let number = migration.state().attempts + 1;
    if migration.state().has_work()
        && let Some(reason) = changed_since_prepared(top, migration)?
    {
        log::warn!("prepared work is thrown away: {reason}");
        discard(top, migration)?;
        migration.record(Record::Discarded { reason })?;
    }
    for open in &migration.state().open {
        log::info!("resuming: the step {open} was open");
    }
    migration.record(Record::Attempt { number })?;
    fault::reached("attempt-recorded");
    make_homes(&migration.others)?;
    make_staging(top)
}

/// No boot tries again.
pub(super) fn give_up_trying(top: &Root, migration: &mut Migration) -> Error {
    let cause = Error::NotNow(none_ended(migration.plan().attempts));
    give_up(top, migration, cause)
}

pub(super) fn none_ended(boots: u32) -> String {
    format!("{boots} boots took the migration up and none ended it")
}

/// Whether the old system ran since the snapshots were made: its changes would be lost.
fn changed_since_prepared(top: &Root, migration: &Migration) -> Result<Option<String>, Error> {
    for filesystem in migration.plan().filesystems() {
        let place = filesystem.layout.mounted_at.as_str();
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        let Some(oldest) = inventory::copied(top, filesystem)? else {
            continue;
        };
        let old = filesystem.old_system;
        for inside in std::iter::once("").chain(old.nested.iter().map(String::as_str)) {
            let part = top.within(&old.path(inside))?;
            if let Some(inode) = btrfs::first_change_since(&part, oldest)? {
                let inside = Path::new(place).join(inside);
                let inside = inside.display();
                let reason =
                    format!("the old system was changed since (inode {inode} of {inside})");
                return Ok(Some(reason));
            }
        }
    }
    Ok(None)
}

/// Notes the failure first, so that a cut while it is taken back does not try again.
fn give_up(top: &Root, migration: &mut Migration, cause: Error) -> Error {
    let failed = Record::Failed {
        step: cause.step().unwrap_or("validation").to_owned(),
        error: cause.to_string(),
    };
    log::error!("{cause}");
    let taken_back = migration.record(failed).and_then(|()| {
        if migration.plan().rollback_enabled {
            discard(top, migration)
        } else {
            Ok(())
        }
    });
    match taken_back {
        Ok(()) => cause,
        Err(undo) => Error::StepAndUndo {
            cause: Box::new(cause),
            undo: Box::new(undo),
        },
    }
}

fn prepare(
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
    console: &Path,
) -> Result<(), Error> {
    let plan = migration.plan().clone();
    let run = Run::new(top, &plan, migration);
    let here = |phase: &&PlannedPhase| phase.stage == viscript::Stage::Initramfs;
    for phase in plan.phases.iter().filter(here) {
        run_phase(&run, context, phase)?;
        if phase.checkpoint_after {
            checkpoint(&run, phase, console)?;
        }
    }
    prove(context)?;
    let others = run.migration().others.clone();
    carried::prove(top, &plan, &others)
}

/// The engine's own proof, whatever the batch looks at and lets pass: the boot loader will find the
/// new system. Without it nothing is committed.
fn prove(context: &CheckContext) -> Result<(), Error> {
    let own = [
        (
            "the subvolumes are in place",
            CheckSpec::SubvolumesInPlace {},
        ),
        ("fstab names the layout", CheckSpec::FstabNamesLayout {}),
        ("the next boot finds its way", CheckSpec::BootChain {}),
    ];
    let findings = own.map(|(name, check)| look(&NamedCheck::required(name, check), None, context));
    let blocking = findings.iter().filter(|finding| finding.blocks());
    let problems: Vec<String> = blocking.map(Finding::line).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Checks { problems }),
    }
}

/// A durable point to go back to; where the batch wants it, a person may stop here.
fn checkpoint(run: &Run, phase: &PlannedPhase, console: &Path) -> Result<(), Error> {
    if !run.migration().state().checkpoints.contains(&phase.name) {
        run.record(Record::Checkpoint {
            phase: phase.name.clone(),
        })?;
    }
    let Some(seconds) = run.plan.interactive.filter(|seconds| *seconds > 0) else {
        return Ok(());
    };
    // A question has to be seen, however quiet the batch wants it.
    log::error!(
        "checkpoint {}: press Enter within {seconds} s to stop here and boot the old system; \
         otherwise it goes on",
        phase.name
    );
    give(Sign::Waiting(seconds.into()));
    if line_within(console, Duration::from_secs(seconds.into())) {
        let phase = phase.name.clone();
        return Err(Error::Stopped { phase });
    }
    Ok(())
}

/// The one point after which the new system is root.
fn commit(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    sync(&migration.others)?;
    top.sync_filesystem()?;
    fault::reached("before-commit");
    if fault::mutant::FLIP_EARLY {
        complete_commit(top, migration)?;
    }
    inventory::record(top, migration)?;
    migration.record(Record::Committed)?;
    top.sync_filesystem()?;
    fault::reached("committed");
    complete_commit(top, migration)
}

/// Steps after the commit: the boot path. Repeated at every boot until they are done.
///
/// # Errors
/// The first failure. The new system stays root: the initramfs sees to it.
pub fn complete_commit(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    debug_assert!(fault::mutant::FLIP_EARLY || migration.state().stage != Stage::Preparing);
    let plan = migration.plan().clone();
    let left_out = left_out(&plan, &migration.state().tolerated);
    let run = Run::new(top, &plan, migration);
    for script in plan.phases.iter().flat_map(|phase| &phase.viscripts) {
        let after = |step: &&PlannedStep| step.action.runs_after_commit();
        // The switch of the boot path belongs to the commit, whatever else failed beside it.
        let is_left_out = left_out.contains(&script.name.as_str());
        let wanted =
            |step: &&PlannedStep| !is_left_out || matches!(step.action, Action::SwitchBootPath(_));
        script
            .steps
            .iter()
            .filter(after)
            .filter(wanted)
            .try_for_each(|step| run_step(&run, step, Scope::Process))?;
    }
    fault::reached("commit-complete");
    Ok(())
}
