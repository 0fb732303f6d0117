//! `rootshift finalize`.

use std::sync::Arc;

use serde_json::json;

use super::{Error, session};
use crate::checks::CheckContext;
use crate::cli::{Exit, Finalize};
use crate::engine::finalize::{Changed, Deleted, begin, delete, may_finalize, pending, weights};
use crate::engine::home::Migration;
use crate::engine::rehearsal::can_be_concluded;
use crate::engine::survey::Survey;
use crate::engine::validate::{conclude, look_around};
use crate::engine::{self, Stage};
use crate::report::print;
use crate::report::progress::{Progress, for_long_work};
use crate::sys::process::lower_priority;
use crate::sys::{Root, signal};

pub(super) fn run(options: &Finalize) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let (system, top) = (&survey.system, session::top(&survey)?);
    let mut migration = session::migration_with_others(top)?;
    if options.resume && migration.state().stage != Stage::Finalizing {
        pending::forget(system)?;
        print::line("Nothing is being finalized.");
        return Ok(Exit::Success);
    }
    if !options.resume && can_be_concluded(migration.state(), system) {
        conclude_rehearsal(&survey, &mut migration)?;
    }
    let changed = changed(options)?;
    if let Err(why) = may_finalize(system, top, &migration, changed) {
        return Err(noted(options, &mut migration, why)?.into());
    }
    let question = "Delete the old system? This can't be undone.";
    if !options.yes && !options.resume && !print::confirmed(question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    lower_priority()?;
    pending::remember(system)?;
    if options.background {
        begin(system, top, &mut migration, changed)?;
        drop(migration); // the service needs the journal
        pending::hand_over(system)?;
        let said = "The old system is being deleted in the background; see `rootshift status`.";
        return Ok(say(options, json!({ "finalized": false }), said));
    }
    signal::note_requests_to_stop()?;
    let done = match deleted(options, changed, system, top, &mut migration) {
        Err(_) if signal::asked_to_stop() => {
            print::error("stopped; `rootshift finalize` goes on with it, or the next boot does");
            signal::end_as_asked();
            return Ok(Exit::NotNow);
        }
        done => done?,
    };
    pending::forget(system)?;
    let entries = done.entries;
    let mut said = vec![format!(
        "Finalized: {entries} entries of the old system deleted."
    )];
    let left = done.left.iter();
    said.extend(left.map(|left| format!("Left where it is: {left}.")));
    let told = json!({ "finalized": true, "entries": entries, "left": done.left });
    Ok(say(options, told, &said.join("\n")))
}

/// What is done with what changed since the commit.
fn changed(options: &Finalize) -> Result<Changed, Error> {
    match (options.also_changed, options.keep_changed) {
        (Some(_), true) => Err(Error::Usage(
            "--also-changed deletes what changed, --keep-changed leaves it: give one of them"
                .into(),
        )),
        (Some(count), false) => Ok(Changed::Delete(count)),
        (None, true) => Ok(Changed::Keep),
        (None, false) => Ok(Changed::Refuse),
    }
}

/// This boot may tell already how the boot loader by itself does: then it is not asked for another.
fn conclude_rehearsal(survey: &Survey, migration: &mut Migration) -> Result<(), Error> {
    let (plan, others) = (migration.plan().clone(), Arc::clone(&migration.others));
    let context = CheckContext {
        others: &others,
        ..survey.context(&plan.layout)
    };
    Ok(conclude(
        migration,
        &look_around(&plan, &context),
        &context,
    )?)
}

fn say(options: &Finalize, told: serde_json::Value, said: &str) -> Exit {
    if options.json {
        print::json(&told);
    } else {
        print::line(said);
    }
    Exit::Success
}

/// Nobody looks at what a service says: `rootshift status` tells it.
fn noted(
    options: &Finalize,
    migration: &mut Migration,
    why: engine::Error,
) -> Result<engine::Error, engine::Error> {
    if options.resume {
        migration.refuse(&why.to_string())?;
    }
    Ok(why)
}

fn deleted(
    options: &Finalize,
    changed: Changed,
    system: &Root,
    top: &Root,
    migration: &mut Migration,
) -> Result<Deleted, engine::Error> {
    begin(system, top, migration, changed)?;
    let mut progress = if migration.plan().monitoring().progress_tracking {
        Progress::new(weights(), for_long_work(system, options.resume))
    } else {
        Progress::hidden()
    };
    delete(top, migration, &mut progress)
}
