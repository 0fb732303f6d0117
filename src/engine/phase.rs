//! One phase in the initramfs: its viScripts one after the other or side by side, and what a
//! failure leads to.

use super::Error;
use super::examine::{Examiner, Looked, look_at};
use super::preflight::Finding;
use super::rollback::{take_back, with_what_goes_along};
use super::schedule::{Job, side_by_side};
use super::step::{Run, run_step};
use crate::checks::CheckContext;
use crate::documents::Plan;
use crate::documents::batch::FailureHandling;
use crate::documents::plan::{PlannedPhase, PlannedStep, PlannedViScript};
use crate::journal::Record;
use crate::sys::usage::Scope;

/// How a viScript ended.
enum Ended {
    /// Its steps are done; this is what its checks found.
    Looked(Looked),
    /// A step failed and the run goes on without the viScript.
    LeftOut,
    /// The run can't go on.
    Failed(Error),
}

/// Runs a phase.
///
/// # Errors
/// The first failure in the batch's order that the batch does not let pass.
pub(super) fn run_phase(
    run: &Run,
    checks: &CheckContext,
    phase: &PlannedPhase,
) -> Result<(), Error> {
    let scripts: Vec<&PlannedViScript> = phase.viscripts.iter().collect();
    let work = |index: usize| match scripts.get(index) {
        Some(script) => run_script(run, checks, phase, script),
        None => Ended::LeftOut,
    };
    let goes_on = |ended: &Ended| match ended {
        Ended::Failed(_) => false,
        Ended::Looked(looked) => !stops(run.plan, phase, &looked.findings),
        Ended::LeftOut => true,
    };
    let limit = usize::try_from(phase.at_once).unwrap_or(1);
    conclude(
        run,
        phase,
        side_by_side(&jobs(phase), limit, &work, &goes_on),
    )
}

/// Says and records what came of each viScript, in the batch's order, whatever ended first.
fn conclude(run: &Run, phase: &PlannedPhase, ended: Vec<Option<Ended>>) -> Result<(), Error> {
    let mut problems = Vec::new();
    let mut failure = None;
    for (script, ended) in phase.viscripts.iter().zip(ended) {
        match ended {
            Some(Ended::Looked(looked)) => {
                if !script.checks.is_empty() {
                    run.record(looked.record())?;
                }
                problems.extend(say_problems(
                    &looked.findings,
                    stops(run.plan, phase, &looked.findings),
                ));
            }
            Some(Ended::Failed(cause)) => failure = failure.or(Some(cause)),
            Some(Ended::LeftOut) | None => {}
        }
    }
    match failure {
        Some(cause) => Err(cause),
        None if problems.is_empty() => Ok(()),
        None => Err(Error::Checks { problems }),
    }
}

/// All problems are told; those that stop the run are returned.
fn say_problems(findings: &[Finding], stops: bool) -> Vec<String> {
    let blocking = findings.iter().filter(|finding| finding.blocks());
    let problems: Vec<String> = blocking.map(Finding::line).collect();
    for problem in &problems {
        log::warn!("{problem}");
    }
    if stops { problems } else { Vec::new() }
}

/// Whether failed checks of this phase end the run.
fn stops(plan: &Plan, phase: &PlannedPhase, findings: &[Finding]) -> bool {
    let matters = match plan.failure_handling {
        FailureHandling::StopOnCritical => phase.critical,
        FailureHandling::Continue => false,
        FailureHandling::Rollback => phase.required,
    };
    matters && findings.iter().any(Finding::blocks)
}

/// Whether the run goes on when a step of this phase fails.
pub(super) fn tolerates(plan: &Plan, phase: &PlannedPhase) -> bool {
    !phase.required
        && match plan.failure_handling {
            FailureHandling::StopOnCritical => !phase.critical,
            FailureHandling::Continue => true,
            FailureHandling::Rollback => false,
        }
}

fn jobs(phase: &PlannedPhase) -> Vec<Job> {
    let position = |name: &String| phase.viscripts.iter().position(|other| other.name == *name);
    let job = |script: &PlannedViScript| {
        let mut job = Job {
            after: script.requires.iter().filter_map(position).collect(),
            ..Job::default()
        };
        for step in before_commit(script) {
            let places = if step.shares_filesystem {
                &mut job.shares
            } else {
                &mut job.changes
            };
            places.push(step.filesystem.clone());
        }
        job
    };
    phase.viscripts.iter().map(job).collect()
}

/// Costs are counted for a viScript alone where others run beside it.
fn scope(phase: &PlannedPhase) -> Scope {
    if phase.at_once > 1 {
        Scope::Thread
    } else {
        Scope::Process
    }
}

fn before_commit(script: &PlannedViScript) -> impl Iterator<Item = &PlannedStep> {
    script
        .steps
        .iter()
        .filter(|step| !step.action.runs_after_commit())
}

fn run_script(
    run: &Run,
    checks: &CheckContext,
    phase: &PlannedPhase,
    script: &PlannedViScript,
) -> Ended {
    if left_out(run.plan, &run.migration().state().tolerated).contains(&script.name.as_str()) {
        log::warn!(
            "{} is left out: it failed, or what it requires did",
            script.name
        );
        return taken_back(run, script); // a cut may have come in between
    }
    for step in before_commit(script) {
        match run_step(run, step, scope(phase)) {
            Ok(()) => {}
            Err(cause) if tolerates(run.plan, phase) => return leave_out(run, script, cause),
            Err(cause) => return Ended::Failed(cause),
        }
    }
    let by = Examiner {
        context: checks,
        known: &[],
        handling: run.plan.failure_handling,
    };
    Ended::Looked(look_at(&script.name, &script.checks, scope(phase), &by))
}

/// Takes back what the viScript did, newest first, and notes why.
fn leave_out(run: &Run, script: &PlannedViScript, cause: Error) -> Ended {
    let steps: Vec<&PlannedStep> = before_commit(script).collect();
    let own = |step: &&PlannedStep| steps.iter().any(|own| own.id == step.id);
    let state = run.migration().state().clone();
    if !with_what_goes_along(run.plan, &state, steps.clone())
        .iter()
        .all(own)
    {
        return Ended::Failed(cause); // it worked on what others made: not to be had back alone
    }
    log::warn!("{cause}; the run goes on without {}", script.name);
    let noted = Record::Tolerated {
        step: cause.step().unwrap_or_default().to_owned(),
        error: cause.to_string(),
    };
    match run.record(noted) {
        Ok(()) => taken_back(run, script),
        Err(error) => Ended::Failed(error),
    }
}

/// May be repeated: what was not begun, or is undone already, is passed over.
fn taken_back(run: &Run, script: &PlannedViScript) -> Ended {
    let steps = before_commit(script).collect();
    match take_back(run.top, &mut run.migration(), steps) {
        Ok(()) => Ended::LeftOut,
        Err(error) => Ended::Failed(error),
    }
}

/// viScripts with a step that failed, and all that require one of them.
pub(super) fn left_out<'a>(plan: &'a Plan, tolerated: &[String]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for script in plan.phases.iter().flat_map(|phase| &phase.viscripts) {
        let failed = script.steps.iter().any(|step| tolerated.contains(&step.id));
        let lacks = script
            .requires
            .iter()
            .any(|one| names.contains(&one.as_str()));
        if failed || lacks {
            names.push(&script.name);
        }
    }
    names
}
