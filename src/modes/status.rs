//! `rootshift status`.

use std::path::Path;

use serde_json::{Value, json};

use super::{Error, session};
use crate::cli::{Exit, Status};
use crate::documents::plan::JOURNAL;
use crate::engine::home::Migration;
use crate::engine::survey::Survey;
use crate::engine::{Stage, State};
use crate::journal::Journal;
use crate::report::print;
use crate::report::progress::{Part, amount, noted};

pub(super) fn run(options: &Status) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let found = match survey.top.as_ref() {
        Some(top) => Migration::look(top)?,
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
    let deletion = Deletion::of(&survey, migration.state());
    if options.json {
        let mut told = session::json(migration.state())?;
        if let (Value::Object(fields), Some(deletion)) = (&mut told, &deletion) {
            fields.insert("deletion".to_owned(), deletion.json());
        }
        print::json(&told);
        return Ok(Exit::Success);
    }
    show(&migration);
    if let Some(deletion) = deletion {
        print::line(&deletion.in_words());
    }
    Ok(Exit::Success)
}

/// A deletion of the old system that is not at its end.
struct Deletion {
    is_running: bool,
    part: Option<Part>,
}

impl Deletion {
    fn of(survey: &Survey, state: &State) -> Option<Self> {
        let top = survey.top.as_ref()?;
        (state.stage == Stage::Finalizing).then(|| Self {
            is_running: Journal::is_busy(top, Path::new(JOURNAL)),
            part: noted(&survey.system),
        })
    }

    fn json(&self) -> Value {
        let done = self.part.map(|part| part.done);
        let of = self.part.and_then(|part| part.of);
        json!({ "running": self.is_running, "entries": done, "of": of })
    }

    fn in_words(&self) -> String {
        let amount = self.part.map(amount).unwrap_or_default();
        match (self.is_running, self.part) {
            (true, None) => "Deleting: at work now".to_owned(),
            (true, Some(_)) => format!("Deleting: at work now, {amount}"),
            (false, None) => "Deleting: nobody is at work".to_owned(),
            (false, Some(_)) => format!("Deleting: nobody is at work; stopped at {amount}"),
        }
    }
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
            "nothing: a systemd unit goes on with it, now or after the next boot; `rootshift finalize` \
             does at once",
        ),
        Stage::Finalized => ("finalized: the new system is the only one", "nothing"),
    }
}
