//! `rootshift finalize`.

use std::sync::Arc;

use serde_json::json;

use super::{Error, session};
use crate::checks::CheckContext;
use crate::cli::{Exit, Finalize};
use crate::engine::finalize::{
    Changed, Deleted, begin, delete, forget, may_finalize, no_room, pending, still_boots, weights,
};
use crate::engine::home::Migration;
use crate::engine::rehearsal::{can_be_concluded, missing};
use crate::engine::situation;
use crate::engine::survey::Survey;
use crate::engine::transition::{Act, Event, Seen, Situation, ask};
use crate::engine::validate::{conclude, look_around};
use crate::engine::{self, Hands, Stage, carry_out};
use crate::report::print;
use crate::report::progress::{Progress, for_long_work};
use crate::sys::process::lower_priority;
use crate::sys::{Root, signal};

pub(super) fn run(options: &Finalize) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let (system, top) = (&survey.system, session::top(&survey)?);
    let mut migration = match session::migration_with_others(top) {
        Err(Error::NothingArmed) if options.resume => return nothing_to_resume(system),
        opened => opened?,
    };
    if !options.resume && can_be_concluded(migration.state(), system) {
        conclude_rehearsal(&survey, &mut migration)?;
    }
    let now = situation::of(&survey, top, &migration);
    let acts = acts(options, system, top, &migration, &now)?;
    if acts.is_empty() {
        if migration.state().stage == Stage::Finalized {
            forget(top)?; // a cut may have left it
        }
        return nothing_to_resume(system);
    }
    if acts.contains(&Act::AwaitRehearsal) {
        return arrange(options, system, top, &mut migration, &acts);
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
    pending::remember(system).map_err(|cause| no_room(top, &migration, cause))?;
    if options.background {
        begin(system, top, &mut migration, &acts, changed)?;
        drop(migration); // the service needs the journal
        pending::hand_over(system)?;
        let said = "The old system is being deleted in the background; see `rootshift status`.";
        return Ok(say(options, json!({ "finalized": false }), said));
    }
    signal::note_requests_to_stop()?;
    let done = match deleted(options, changed, system, top, &mut migration, &acts) {
        Err(_) if signal::asked_to_stop() => {
            print::error("stopped; `rootshift finalize` goes on with it, or the next boot does");
            signal::end_as_asked();
            return Ok(Exit::NotNow);
        }
        done => done?,
    };
    pending::forget(system)?;
    Ok(told(options, &done))
}

/// What the table says; what a rehearsal lacks is told where it can be had.
fn acts(
    options: &Finalize,
    system: &Root,
    top: &Root,
    migration: &Migration,
    now: &Situation,
) -> Result<Vec<Act>, Error> {
    let event = match options.resume {
        true => Event::Resume,
        false => Event::Finalize,
    };
    let acts = match ask(now, event) {
        Err(why) if now.running == Seen::New && now.loader_agrees => {
            return Err(rehearsal_first(system, migration)?.unwrap_or(why).into());
        }
        // One boot by another entry is no reason to go back.
        Err(why)
            if now.running == Seen::New
                && migration.state().stage == Stage::Validated
                && still_boots(top, migration.plan()).is_ok() =>
        {
            return Err(engine::Error::NotNow(format!(
                "this boot was not begun by an entry for the new system: reboot by the first entry \
                 of GRUB's menu. If this is said again, then {why}"
            ))
            .into());
        }
        asked => asked?,
    };
    if acts.contains(&Act::RecordVerdict)
        && let Some(why) = rehearsal_first(system, migration)?
    {
        return Err(why.into());
    }
    Ok(acts)
}

fn told(options: &Finalize, done: &Deleted) -> Exit {
    let entries = done.entries;
    let mut said = vec![format!(
        "Finalized: {entries} entries of the old system deleted."
    )];
    let left = done.left.iter();
    said.extend(left.map(|left| format!("Left where it is: {left}.")));
    let told = json!({ "finalized": true, "entries": entries, "left": done.left });
    say(options, told, &said.join("\n"))
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

/// The mark is a leftover: the service is not to be started for it again.
fn nothing_to_resume(system: &Root) -> Result<Exit, Error> {
    pending::forget(system)?;
    print::line("Nothing is being finalized.");
    Ok(Exit::Success)
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

/// What the rehearsal lacks, where that is what stands in the way.
fn rehearsal_first(
    system: &Root,
    migration: &Migration,
) -> Result<Option<engine::Error>, engine::Error> {
    if !migration.state().stage.is_validated() {
        return Ok(None);
    }
    let root = migration.plan().root_subvolume();
    Ok(missing(system, migration.state(), root)?.map(engine::Error::NotNow))
}

/// A boot has to come first, and its image has to be able to go back.
fn arrange(
    options: &Finalize,
    system: &Root,
    top: &Root,
    migration: &mut Migration,
    acts: &[Act],
) -> Result<Exit, Error> {
    let question = "The images can't go back any more. Make them anew, for one more boot before the \
                    old system is deleted?";
    if !options.yes && !print::confirmed(question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    let asked = acts.iter().copied();
    let before: Vec<Act> = asked.filter(|act| *act != Act::AwaitRehearsal).collect();
    let mut hands = Hands {
        system,
        top,
        migration,
        reason: "",
    };
    carry_out(&before, &mut hands)?;
    let why = "nothing is deleted yet: reboot once more, then run `rootshift finalize` again";
    Err(engine::Error::NotNow(why.into()).into())
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
    acts: &[Act],
) -> Result<Deleted, engine::Error> {
    begin(system, top, migration, acts, changed)?;
    let mut progress = if migration.plan().monitoring().progress_tracking {
        Progress::new(weights(), for_long_work(system, options.resume))
    } else {
        Progress::hidden()
    };
    delete(top, migration, &mut progress)
}
