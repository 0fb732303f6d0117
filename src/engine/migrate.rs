//! The migration itself: prepare beside the old system, prove, commit.
//!
//! Each step: `begun` (durable), the step, `syncfs`, `done` (durable). A cut anywhere leaves the
//! old system as root, until `committed` is durable; from then on the new one.

use super::home::{Migration, make_staging};
use super::preflight::{Finding, look, tally};
use super::rollback::discard;
use super::{Error, Stage};
use crate::checks::CheckContext;
use crate::documents::batch::FailureHandling;
use crate::documents::plan::{PlannedPhase, PlannedStep, PlannedViScript, STAGING};
use crate::documents::viscript;
use crate::fault;
use crate::journal::Record;
use crate::steps::{self, Probe, StepContext};
use crate::sys::usage::{Meter, Scope};
use crate::sys::{Root, btrfs};
use std::path::{Path, PathBuf};

/// Takes the migration up where the journal says, and carries it through the commit.
///
/// # Errors
/// The first failure. The old system is root then, and what was prepared is taken back.
pub fn migrate(top: &Root, migration: &mut Migration, context: &CheckContext) -> Result<(), Error> {
    take_up(top, migration)?;
    let prepared = prepare(top, migration, context);
    if let Err(cause) = prepared {
        return Err(give_up(top, migration, cause));
    }
    commit(top, migration)
}

/// Counts the attempt; what was prepared from an old system that has changed since is thrown away.
fn take_up(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    let number = migration.state().attempts + 1;
    let limit = migration.plan().attempts;
    if number > limit {
        let cause = Error::NotNow(format!(
            "{limit} boots took the migration up and none ended it"
        ));
        return Err(give_up(top, migration, cause));
    }
    if migration.state().has_work()
        && let Some(reason) = changed_since_prepared(top, migration)?
    {
        log::warn!("prepared work is thrown away: {reason}");
        discard(top, migration)?;
        migration.record(Record::Discarded { reason })?;
    }
    if let Some(open) = migration.state().open.clone() {
        log::info!("resuming: the step {open} was open");
    }
    migration.record(Record::Attempt { number })?;
    fault::reached("attempt-recorded");
    make_staging(top)
}

/// Whether the old system ran since the snapshots were made: its changes would be lost.
fn changed_since_prepared(top: &Root, migration: &Migration) -> Result<Option<String>, Error> {
    let mut oldest = None;
    for name in migration.plan().subvolumes() {
        for path in [Path::new(STAGING).join(name), PathBuf::from(name)] {
            if btrfs::is_subvolume(top, &path)? {
                let created = btrfs::subvolume_info(top, &path)?.created_generation;
                oldest = Some(oldest.map_or(created, |oldest: u64| oldest.min(created)));
            }
        }
    }
    let Some(oldest) = oldest else {
        return Ok(None);
    };
    let changed = btrfs::first_change_since(top, oldest)?;
    Ok(changed.map(|inode| format!("the old system was changed since (inode {inode})")))
}

/// Notes the failure first, so that a cut while it is taken back does not try again.
fn give_up(top: &Root, migration: &mut Migration, cause: Error) -> Error {
    let step = migration
        .state()
        .open
        .clone()
        .unwrap_or_else(|| "validation".to_owned());
    let failed = Record::Failed {
        step,
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

fn prepare(top: &Root, migration: &mut Migration, context: &CheckContext) -> Result<(), Error> {
    let plan = migration.plan().clone();
    for phase in plan
        .phases
        .iter()
        .filter(|phase| phase.stage == viscript::Stage::Initramfs)
    {
        for script in &phase.viscripts {
            run_steps(top, migration, script)?;
            let findings = look_at(migration, script, context)?;
            stop_at_failures(&plan.failure_handling, phase, &findings)?;
        }
        if phase.checkpoint_after {
            migration.record(Record::Checkpoint {
                phase: phase.name.clone(),
            })?;
        }
    }
    Ok(())
}

fn run_steps(top: &Root, migration: &mut Migration, script: &PlannedViScript) -> Result<(), Error> {
    for step in script
        .steps
        .iter()
        .filter(|step| !step.action.runs_after_commit())
    {
        run_step(top, migration, step)?;
    }
    Ok(())
}

fn look_at(
    migration: &mut Migration,
    script: &PlannedViScript,
    context: &CheckContext,
) -> Result<Vec<Finding>, Error> {
    if script.checks.is_empty() {
        return Ok(Vec::new());
    }
    let meter = Meter::start(Scope::Process);
    let look = |check| look(check, Some(&script.name), context);
    let findings: Vec<Finding> = script.checks.iter().map(look).collect();
    let cost = meter.read();
    migration.record(tally(&script.name, &script.checks, &findings, cost))?;
    Ok(findings)
}

/// A check that a phase can't do without ends the run, unless the batch says `continue`.
fn stop_at_failures(
    handling: &FailureHandling,
    phase: &PlannedPhase,
    findings: &[Finding],
) -> Result<(), Error> {
    let stops = match handling {
        FailureHandling::StopOnCritical => phase.critical,
        FailureHandling::Continue => false,
        FailureHandling::Rollback => phase.required,
    };
    let problems: Vec<String> = findings
        .iter()
        .filter(|finding| finding.blocks())
        .map(Finding::line)
        .collect();
    for problem in &problems {
        log::warn!("{problem}");
    }
    if stops && !problems.is_empty() {
        Err(Error::Checks { problems })
    } else {
        Ok(())
    }
}

/// One step, from whatever a cut has left of it.
fn run_step(top: &Root, migration: &mut Migration, step: &PlannedStep) -> Result<(), Error> {
    if migration.state().done.contains(&step.id) {
        return Ok(());
    }
    let meter = Meter::start(Scope::Process);
    let was_open = migration.state().open.as_deref() == Some(&step.id);
    if !was_open {
        migration.record(Record::Begun {
            step: step.id.clone(),
        })?;
    }
    migration.announce(&step.id);
    fault::reached("step-begun");
    let plan = migration.plan();
    let found = carry_out(&StepContext { top, plan }, step)?;
    fault::reached("step-applied");
    top.sync_filesystem()?;
    fault::reached("step-synced");
    let (milliseconds, usage) = meter.read();
    migration.record(Record::Done {
        step: step.id.clone(),
        milliseconds,
        found_done: was_open && found == Probe::Done,
        usage: Some(usage.into()),
    })?;
    fault::reached("step-done");
    Ok(())
}

fn carry_out(context: &StepContext, step: &PlannedStep) -> Result<Probe, Error> {
    let code = steps::of(&step.action);
    let work = || {
        let found = code.probe(context)?;
        if found == Probe::Open {
            code.apply(context)?;
        }
        code.verify(context)?;
        Ok(found)
    };
    work().map_err(|cause| Error::Step {
        step: step.id.clone(),
        cause,
    })
}

/// The one point after which the new system is root.
fn commit(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    top.sync_filesystem()?;
    fault::reached("before-commit");
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
    debug_assert!(migration.state().stage != Stage::Preparing);
    let plan = migration.plan().clone();
    for step in plan
        .steps()
        .into_iter()
        .filter(|step| step.action.runs_after_commit())
    {
        run_step(top, migration, step)?;
    }
    fault::reached("commit-complete");
    Ok(())
}
