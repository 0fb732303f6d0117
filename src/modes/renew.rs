//! `rootshift arm --renew`: what the hooks of kernel packages and of update-initramfs run.

use std::sync::Arc;

use serde_json::json;

use super::{Error, session};
use crate::checks::CheckContext;
use crate::cli::{Arm, Exit};
use crate::engine::renew::{Renewal, renew};
use crate::report::print;

pub(super) fn run(options: &Arm) -> Result<Exit, Error> {
    if options.batch.is_some() || options.after.is_some() {
        let why = "--renew keeps the plan that is armed: it takes neither --batch nor --after";
        return Err(Error::Usage(why.into()));
    }
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration_with_others(top)?;
    let plan = migration.plan().clone();
    let others = Arc::clone(&migration.others);
    let context = CheckContext {
        others: &others,
        ..survey.context(&plan.layout)
    };
    let renewal = renew(top, &mut migration, &context)?;
    if options.json {
        print::json(&json!({ "renewed": renewal == Renewal::Renewed }));
        return Ok(Exit::Success);
    }
    print::line(match renewal {
        Renewal::Renewed => "Renewed: the next boot migrates, with whichever kernel.",
        Renewal::Fits => "The armed plan fits: nothing to renew.",
        Renewal::NotNeeded => "No migration is about to begin: nothing to renew.",
    });
    Ok(Exit::Success)
}
