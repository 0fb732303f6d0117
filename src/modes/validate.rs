//! `rootshift validate`.

use serde_json::json;

use super::{Error, check, session};
use crate::cli::{Exit, Validate};
use crate::engine::preflight::Finding;
use crate::engine::validate::{conclude, findings};
use crate::engine::{self, Stage};
use crate::report::print;
use crate::sys::usage::{Meter, Scope};

pub(super) fn run(options: &Validate) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let top = session::top(&survey)?;
    let mut migration = session::migration(top)?;
    if !migration.state().stage.new_system_is_root() {
        let why = "the old system is root: there is nothing to validate; see `rootshift status`";
        return Err(engine::Error::NotNow(why.into()).into());
    }
    let plan = migration.plan().clone();
    let meter = Meter::start(Scope::Process);
    let findings = findings(&plan, &survey.context(&plan.layout));
    let cost = meter.read();
    conclude(&mut migration, &findings, cost)?;
    let well = !findings.iter().any(Finding::blocks);
    let validated = migration.state().stage == Stage::Validated;
    if options.json {
        let stage = migration.state().stage;
        let stage = session::json(&stage)?;
        let findings = session::json(&findings)?;
        print::json(&json!({ "well": well, "stage": stage, "findings": findings }));
    } else {
        check::print_findings(&findings);
        print::line(match (well, validated) {
            (true, true) => "Validated: this is the new system, as planned.",
            (true, false) => "All is well.",
            (false, _) => "Not as planned. `rootshift rollback` goes back to the old system.",
        });
    }
    Ok(if well { Exit::Success } else { Exit::NotWell })
}
