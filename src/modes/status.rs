//! `rootshift status`.

use serde_json::json;

use super::{Error, session};
use crate::cli::{Exit, Status};
use crate::engine::home::Migration;
use crate::engine::{Stage, State};
use crate::report::print;

pub(super) fn run(options: &Status) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let found = match survey.top.as_ref() {
        Some(top) => Migration::open(top)?,
        None => None,
    };
    let Some(migration) = found else {
        if options.json {
            print::json(&json!({ "stage": "idle" }));
        } else {
            print::line("Nothing is armed. `rootshift check` looks whether this machine is ready.");
        }
        return Ok(Exit::Success);
    };
    if options.json {
        print::json(&session::json(migration.state())?);
    } else {
        show(&migration);
    }
    Ok(Exit::Success)
}

/// Where it stands, why, and what comes next.
pub(super) fn show(migration: &Migration) {
    let state = migration.state();
    let (stands, next) = in_words(state.stage);
    print::line(&format!("{}: {stands}", state.batch_id));
    print::line(&format!(
        "Layout: {}",
        session::layout_in_words(&migration.plan().layout)
    ));
    print_details(state, migration.plan().steps().len());
    print::line(&format!("Next: {next}"));
}

fn print_details(state: &State, steps: usize) {
    print::line(&format!("Steps done: {} of {steps}", state.done.len()));
    for open in &state.open {
        print::line(&format!("Open step: {open}"));
    }
    for step in &state.tolerated {
        print::line(&format!("Failed, and done without: {step}"));
    }
    if !state.checkpoints.is_empty() {
        print::line(&format!("Checkpoints: {}", state.checkpoints.join(", ")));
    }
    if let Some(reason) = &state.reason {
        print::line(&format!("Why: {reason}"));
    }
    if !state.kept.is_empty() {
        print::line(&format!("Kept aside: {}", state.kept.join(", ")));
    }
}

fn in_words(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Planned => (
            "arming was cut off; the old system is root",
            "`rootshift arm` again",
        ),
        Stage::Armed => (
            "armed; the old system is root",
            "reboot to migrate, or `rootshift disarm`",
        ),
        Stage::Preparing => (
            "being prepared; the old system is root",
            "reboot: the migration goes on by itself",
        ),
        Stage::Committed => (
            "the new system is root, on trial",
            "`rootshift validate`, or `rootshift rollback`",
        ),
        Stage::Validated => (
            "the new system is root and validated; the old one is still whole",
            "`rootshift finalize` gives its space back; `rootshift rollback` goes back to it",
        ),
        Stage::RollbackRequested => ("the next boot goes back to the old system", "reboot"),
        Stage::RollingBack => (
            "going back to the old system",
            "reboot: it goes on by itself",
        ),
        Stage::RolledBack => (
            "rolled back; the old system is root",
            "`rootshift disarm`; look at what was kept aside, then delete it",
        ),
        Stage::Failed => (
            "the migration failed; the old system is root and whole",
            "mend the cause, then `rootshift disarm` and `rootshift arm`",
        ),
        Stage::Disarmed => (
            "disarmed; the old system is root",
            "`rootshift arm` to try again",
        ),
        Stage::Finalizing => (
            "the old system is being deleted",
            "`rootshift finalize` goes on with it",
        ),
        Stage::Finalized => ("finalized: the new system is the only one", "nothing"),
    }
}
