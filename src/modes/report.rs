//! `rootshift report`.

use super::{Error, session};
use crate::cli::{Exit, Report};
use crate::engine::report::{report, table};
use crate::report::print;

pub(super) fn run(options: &Report) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let migration = session::look(session::top(&survey)?)?;
    let entries = migration.journal().entries();
    let report = report(migration.plan(), migration.state(), entries);
    if options.json {
        print::json(&session::json(&report)?);
        return Ok(Exit::Success);
    }
    for line in table::lines(&report) {
        print::line(&line);
    }
    Ok(Exit::Success)
}
