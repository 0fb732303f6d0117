//! `rootshift arm`.

use serde_json::json;

use super::{Error, check, plan, session};
use crate::cli::{Arm, Exit};
use crate::documents::library::Bundle;
use crate::documents::plan::After;
use crate::documents::viscript::Stage;
use crate::engine::arming;
use crate::engine::preflight::{Finding, preflight};
use crate::engine::validate::record_tallies;
use crate::report::print;
use crate::sys::usage::{Meter, Scope};

pub(super) fn run(options: &Arm) -> Result<Exit, Error> {
    let after = after(options.after.as_deref())?;
    let survey = session::survey()?;
    let bundle = Bundle::load(&survey.system, options.batch.as_deref())?;
    let meter = Meter::start(Scope::Process);
    let findings = preflight(&bundle, &survey.context(&bundle.batch.layout));
    let cost = meter.read();
    if findings.iter().any(Finding::blocks) {
        check::print_findings(&findings);
        print::error("not armed: mend what is marked FAIL. Nothing was changed");
        return Ok(Exit::NotWell);
    }
    let planned = session::plan(&survey, &bundle, after)?;
    if !options.json {
        plan::print_plan(&planned);
    }
    if !options.yes && !print::confirmed("\nArm this plan? The next boot carries it out.") {
        print::error("not armed; nothing was changed");
        return Ok(Exit::NotNow);
    }
    let top = session::top(&survey)?;
    let mut migration = arming::arm(&survey.system, top, &planned, env!("CARGO_PKG_VERSION"))?;
    record_tallies(&mut migration, Stage::Arm, &findings, cost)?;
    let images: Vec<&str> = migration
        .state()
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    if options.json {
        let digest = &migration.frozen.digest;
        print::json(&json!({ "batch_id": planned.batch_id, "plan": digest, "images": images }));
    } else {
        print::line(&format!("\nArmed: {}.", images.join(", ")));
        print::line("Reboot to migrate; `rootshift disarm` takes it back.");
    }
    Ok(Exit::Success)
}

fn after(text: Option<&str>) -> Result<After, Error> {
    match text {
        None | Some("reboot") => Ok(After::Reboot),
        Some("continue") => Ok(After::Continue),
        Some(other) => Err(Error::Usage(format!(
            "--after {other}: there is only `reboot` and `continue`"
        ))),
    }
}
