//! `rootshift rollback`.

use serde_json::json;

use super::{Error, emergency, session};
use crate::cli::{Exit, Rollback};
use crate::engine::home::Migration;
use crate::engine::rollback::{self, WayBack};
use crate::engine::{self, Stage, arming};
use crate::journal::Record;
use crate::report::print;
use crate::sys::Root;

pub(super) fn run(options: &Rollback) -> Result<Exit, Error> {
    if let Some(seconds) = options.emergency {
        return emergency::run(seconds);
    }
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration_with_others(top)?;
    if let Some(phase) = &options.to
        && let Some(what) = to_checkpoint(top, &mut migration, phase)?
    {
        say(options, what);
        return Ok(Exit::Success);
    }
    match migration.state().stage {
        Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => {}
        Stage::RollbackRequested => {
            say(
                options,
                "asked for already: the next boot goes back to the old system",
            );
            return Ok(Exit::Success);
        }
        Stage::Finalizing | Stage::Finalized => {
            let why = "the old system was given up by `rootshift finalize`: there is no way back";
            return Err(engine::Error::NotNow(why.into()).into());
        }
        Stage::RolledBack => {
            let why = "the old system is root already; `rootshift disarm` tidies up";
            return Err(engine::Error::NotNow(why.into()).into());
        }
        _ => {
            arming::disarm(&survey.system, top, &mut migration)?;
            say(
                options,
                "the old system was root all along; what was prepared is taken back",
            );
            return Ok(Exit::Success);
        }
    }
    let question = "Go back to the old system at the next boot? What was changed since stays, in \
                    subvolumes named *.rolled-back-N.";
    if !options.yes && !print::confirmed(question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    migration.record(Record::RollbackRequested {
        reason: match &options.to {
            Some(phase) => format!("asked for by hand, to the checkpoint {phase}"),
            None => "asked for by hand".into(),
        },
    })?;
    say(
        options,
        "the next boot goes back to the old system; reboot now",
    );
    Ok(Exit::Success)
}

/// What came of it, where the checkpoint does not lead back to the whole old system.
fn to_checkpoint(
    top: &Root,
    migration: &mut Migration,
    phase: &str,
) -> Result<Option<&'static str>, Error> {
    Ok(match rollback::return_to(top, migration, phase)? {
        WayBack::Whole => None,
        WayBack::TakenBack => {
            Some("what came after the checkpoint is taken back; the next boot goes on from there")
        }
        WayBack::Nothing => Some("nothing was changed since that checkpoint"),
    })
}

fn say(options: &Rollback, what: &str) {
    if options.json {
        print::json(&json!({ "rollback": what }));
    } else {
        print::line(&format!("Rollback: {what}."));
    }
}
