//! The execution log: what ran, how long it took, what its checks came to. Made of plan and
//! journal alone, so that it covers the boot-time run as well.

use serde::Serialize;

use super::State;
use crate::documents::Plan;
use crate::documents::plan::{PlannedPhase, PlannedViScript};
use crate::journal::Record;

/// The version of what is added to the seed's form.
const VERSION: u32 = 1;

/// The whole report; the seed's form with additions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of the additions.
    #[cfg_attr(feature = "schema", schemars(extend("const" = VERSION)))]
    pub report_version: u32,
    /// The seed's part.
    pub execution_log: ExecutionLog,
    /// Where the migration stands.
    pub state: State,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionLog {
    /// The batch's name and the time of arming.
    pub batch_id: String,
    /// The time of arming, as `2023-12-18T14:30:22Z`.
    pub start_time: String,
    /// In the batch's order.
    pub phases: Vec<PhaseLog>,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseLog {
    /// Its name.
    pub name: String,
    /// `completed`, `failed`, `running` or `pending`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["completed", "failed", "running", "pending"])))]
    pub status: &'static str,
    /// Wall time in whole seconds, as `45s`.
    pub duration: String,
    /// The same in milliseconds.
    pub milliseconds: u64,
    /// Share of its viScripts that succeeded, in percent.
    pub success_rate: u64,
    /// Its viScripts.
    #[serde(rename = "viScripts")]
    pub viscripts: Vec<ViScriptLog>,
}

/// One viScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ViScriptLog {
    /// Its file name.
    pub name: String,
    /// `success`, `failed`, `running` or `pending`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["success", "failed", "running", "pending"])))]
    pub status: &'static str,
    /// Checks that are as they should be.
    pub checks_passed: u32,
    /// Checks that are not.
    pub checks_failed: u32,
    /// Checks with nothing to look at.
    pub checks_skipped: u32,
    /// Steps whose effect is durable.
    pub steps_done: usize,
    /// Steps in all.
    pub steps: usize,
    /// Wall time of steps and checks.
    pub milliseconds: u64,
}

/// The report of a migration.
#[must_use]
pub fn report(plan: &Plan, state: &State, records: &[&Record]) -> Report {
    let phases = plan
        .phases
        .iter()
        .map(|phase| of_phase(phase, state, records))
        .collect();
    Report {
        report_version: VERSION,
        execution_log: ExecutionLog {
            batch_id: plan.batch_id.clone(),
            start_time: start_time(&plan.batch_id),
            phases,
        },
        state: state.clone(),
    }
}

/// The batch id ends in `_20231218_143022`.
fn start_time(batch_id: &str) -> String {
    let digits: Vec<char> = batch_id
        .chars()
        .rev()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let digits: String = digits.into_iter().rev().collect();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    )
}

fn of_phase(phase: &PlannedPhase, state: &State, records: &[&Record]) -> PhaseLog {
    let of = |script| of_viscript(script, state, records);
    let viscripts: Vec<ViScriptLog> = phase.viscripts.iter().map(of).collect();
    let milliseconds = viscripts.iter().map(|script| script.milliseconds).sum();
    let having = |status: &str| {
        viscripts
            .iter()
            .filter(|script| script.status == status)
            .count()
    };
    let (succeeded, all) = (having("success"), viscripts.len());
    let status = match (having("failed"), succeeded) {
        (1.., _) => "failed",
        (0, done) if done == all => "completed",
        (0, 0) if having("running") == 0 => "pending",
        _ => "running",
    };
    PhaseLog {
        name: phase.name.clone(),
        status,
        duration: format!("{}s", milliseconds / 1000),
        milliseconds,
        success_rate: (succeeded * 100 / all.max(1)) as u64,
        viscripts,
    }
}

fn of_viscript(script: &PlannedViScript, state: &State, records: &[&Record]) -> ViScriptLog {
    let ours = |step: &str| script.steps.iter().any(|own| own.id == step);
    let mut log = ViScriptLog {
        name: script.name.clone(),
        status: "pending",
        checks_passed: 0,
        checks_failed: 0,
        checks_skipped: 0,
        steps_done: state.done.iter().filter(|step| ours(step)).count(),
        steps: script.steps.len(),
        milliseconds: 0,
    };
    let mut looked = script.checks.is_empty();
    let mut failed = false;
    for record in records {
        match record {
            Record::Done {
                step, milliseconds, ..
            } if ours(step) => log.milliseconds += milliseconds,
            Record::Failed { step, .. } if ours(step) => failed = true,
            Record::Checked {
                script: name,
                passed,
                failed,
                skipped,
                milliseconds,
                ..
            } if *name == script.name => {
                looked = true;
                log.milliseconds += milliseconds;
                (log.checks_passed, log.checks_failed, log.checks_skipped) =
                    (*passed, *failed, *skipped);
            }
            _ => {}
        }
    }
    log.status = status(&log, looked, failed);
    log
}

fn status(log: &ViScriptLog, looked: bool, failed: bool) -> &'static str {
    if failed || log.checks_failed > 0 {
        "failed"
    } else if log.steps_done == log.steps && looked {
        "success"
    } else if log.steps_done > 0 {
        "running"
    } else {
        "pending"
    }
}

#[cfg(test)]
mod tests {
    use super::start_time;

    #[test]
    fn the_start_is_read_from_the_batch_id() {
        assert_eq!(
            start_time("ubuntu_24_btrfs_20231218_143022"),
            "2023-12-18T14:30:22Z"
        );
    }
}
