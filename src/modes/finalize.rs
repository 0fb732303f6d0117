//! `rootshift finalize`.

use serde_json::json;

use super::{Error, session};
use crate::cli::{Exit, Finalize};
use crate::engine;
use crate::report::print;
use crate::report::progress::{Progress, for_terminal};
use crate::sys::process::lower_priority;

pub(super) fn run(options: &Finalize) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration_with_others(top)?;
    let question = "Delete the old system? This can't be undone.";
    if !options.yes && !print::confirmed(question) {
        print::error("nothing was changed");
        return Ok(Exit::NotNow);
    }
    lower_priority()?;
    let mut progress = if migration.plan().monitoring().progress_tracking {
        Progress::new(engine::finalize::weights(), for_terminal())
    } else {
        Progress::hidden()
    };
    let entries = engine::finalize::finalize(&survey.system, top, &mut migration, &mut progress)?;
    if options.json {
        print::json(&json!({ "finalized": true, "entries": entries }));
    } else {
        print::line(&format!(
            "Finalized: {entries} entries of the old system deleted."
        ));
    }
    Ok(Exit::Success)
}
