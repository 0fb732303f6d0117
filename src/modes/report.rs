//! `rootshift report`.

use super::{Error, session};
use crate::cli::{Exit, Report};
use crate::engine::report::report;
use crate::journal::Record;
use crate::report::print;

pub(super) fn run(options: &Report) -> Result<Exit, Error> {
    let survey = session::survey()?;
    let migration = session::migration(session::top(&survey)?)?;
    let records: Vec<&Record> = migration
        .journal()
        .entries()
        .iter()
        .map(|entry| &entry.record)
        .collect();
    let report = report(migration.plan(), migration.state(), &records);
    if options.json {
        print::json(&session::json(&report)?);
        return Ok(Exit::Success);
    }
    print::line(&format!(
        "{} ({})",
        report.execution_log.batch_id, report.execution_log.start_time
    ));
    for phase in &report.execution_log.phases {
        print::line(&format!(
            "\n{} — {}, {} ms",
            phase.name, phase.status, phase.milliseconds
        ));
        for script in &phase.viscripts {
            print::line(&format!(
                "  {:<46} {:<8} {:>2}/{} steps, {} passed, {} failed, {} skipped, {} ms",
                script.name,
                script.status,
                script.steps_done,
                script.steps,
                script.checks_passed,
                script.checks_failed,
                script.checks_skipped,
                script.milliseconds
            ));
        }
    }
    Ok(Exit::Success)
}
