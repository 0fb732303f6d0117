//! `rootshift validate`.

use std::sync::Arc;

use serde_json::json;

use super::{Error, check, session};
use crate::checks::CheckContext;
use crate::cli::{Exit, Validate};
use crate::engine::Stage;
use crate::engine::situation;
use crate::engine::transition::{Event, answer, ask};
use crate::engine::validate::{conclude, look_around};
use crate::report::print;

pub(super) fn run(options: &Validate) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration_with_others(top)?;
    ask(
        &situation::without_images(&survey, top, &migration),
        Event::Validate,
    )?;
    let plan = migration.plan().clone();
    let others = Arc::clone(&migration.others);
    let context = CheckContext {
        others: &others,
        ..survey.context(&plan.layout)
    };
    let found = look_around(&plan, &context);
    conclude(&mut migration, &found, &context)?;
    let well = found.is_good();
    let now = situation::without_images(&survey, top, &migration);
    let goes_back = answer(&now, Event::Rollback).is_ok();
    let rehearsed = migration.state().stage == Stage::Rehearsed;
    let validated = migration.state().stage.is_validated();
    if options.json {
        let stage = migration.state().stage;
        let stage = session::json(&stage)?;
        let findings = session::json(&found.findings)?;
        print::json(&json!({ "well": well, "stage": stage, "findings": findings }));
    } else {
        check::print_findings(&found.findings);
        print::line(match (well, validated) {
            (true, true) if rehearsed => {
                "Validated: this is the new system, as planned, and the boot loader by itself \
                 boots it."
            }
            (true, true) => "Validated: this is the new system, as planned.",
            (true, false) => "All is well.",
            (false, _) if goes_back => {
                "Not as planned. `rootshift rollback` goes back to the old system."
            }
            (false, _) => {
                "Not as planned. There is no old system to go back to: mend what is named above."
            }
        });
    }
    Ok(if well { Exit::Success } else { Exit::NotWell })
}
