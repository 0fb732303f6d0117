//! The execution log: what ran, how long it took, what it cost, what its checks came to. Made of
//! plan and journal alone, so that it covers the work before the boot and after it.

mod collect;
pub mod form;
pub mod table;

use collect::{Cost, Journaled, belongs, of_phase, rate};
use form::{ExecutionLog, Failure, Report, Totals, ViScriptLog};

use super::{Stage, State};
use crate::documents::Plan;
use crate::documents::plan::PlannedPhase;
use crate::documents::viscript::Stage as Moment;
use crate::journal::{Entry, Record};
use crate::report::time::utc;

/// The version of what is added to the seed's form.
const VERSION: u32 = 1;

/// The report of a migration.
#[must_use]
pub fn report(plan: &Plan, state: &State, entries: &[Entry]) -> Report {
    let all = Cost::of(entries, |_| true);
    let journal = Journaled { state, entries };
    let of_phase = |phase| of_phase(phase, plan, &journal);
    let mut report = Report {
        report_version: VERSION,
        execution_log: ExecutionLog {
            batch_id: plan.batch_id.clone(),
            start_time: start_time(&plan.batch_id),
            end_time: end_time(entries),
            ended: ended(state.stage),
            duration: duration(all.milliseconds),
            phases: plan.phases.iter().map(of_phase).collect(),
        },
        totals: Totals {
            attempts: count(entries, |record| matches!(record, Record::Attempt { .. })),
            trials: count(entries, |record| matches!(record, Record::Trial { .. })),
            success_rate: 0,
            checks_passed: 0,
            checks_failed: 0,
            checks_skipped: 0,
            pre_boot_milliseconds: Some(pre_boot(plan, entries).milliseconds),
            performance: Some(all.performance()),
        },
        errors: Some(errors(entries)),
        state: state.clone(),
    };
    add_up(&mut report);
    let monitoring = plan.monitoring();
    if !monitoring.performance_monitoring {
        leave_out_performance(&mut report);
    }
    if !monitoring.error_reporting {
        report.errors = None;
    }
    report
}

fn add_up(report: &mut Report) {
    let totals = &mut report.totals;
    let phases = &report.execution_log.phases;
    for phase in phases {
        totals.checks_passed += phase.checks_passed;
        totals.checks_failed += phase.checks_failed;
        totals.checks_skipped += phase.checks_skipped;
    }
    let all = phases.iter().flat_map(|phase| phase.viscripts.clone());
    totals.success_rate = rate(&all.collect::<Vec<ViScriptLog>>());
}

fn leave_out_performance(report: &mut Report) {
    report.totals.performance = None;
    report.totals.pre_boot_milliseconds = None;
    for phase in &mut report.execution_log.phases {
        phase.performance = None;
        for script in &mut phase.viscripts {
            script.performance = None;
        }
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

fn end_time(entries: &[Entry]) -> Option<String> {
    let at = entries.iter().rev().find_map(|entry| match entry.record {
        Record::Validated { at, .. } => Some(at),
        _ => None,
    });
    at.flatten().map(utc)
}

fn ended(stage: Stage) -> bool {
    use Stage::{Disarmed, Failed, Finalized, Finalizing, RolledBack};
    stage.is_validated()
        || matches!(
            stage,
            Finalizing | Finalized | Failed | RolledBack | Disarmed
        )
}

fn duration(milliseconds: u64) -> String {
    format!("{}s", milliseconds / 1000)
}

fn percent(part: usize, all: usize) -> u64 {
    (part * 100).checked_div(all).unwrap_or(0) as u64
}

fn with_status(viscripts: &[ViScriptLog], status: &str) -> usize {
    let having = viscripts.iter().filter(|script| script.status == status);
    having.count()
}

fn count(entries: &[Entry], is_meant: fn(&Record) -> bool) -> u64 {
    let meant = entries.iter().filter(|entry| is_meant(&entry.record));
    meant.count() as u64
}

fn errors(entries: &[Entry]) -> Vec<Failure> {
    let mut errors = Vec::new();
    for entry in entries {
        let (step, messages) = match &entry.record {
            Record::Failed { step, error } | Record::Tolerated { step, error } => {
                (step.as_str(), std::slice::from_ref(error))
            }
            Record::NotValidated { problems } => ("validation", problems.as_slice()),
            Record::RehearsalFailed { reason } => ("rehearsal", std::slice::from_ref(reason)),
            Record::Refused { reason } => ("boot", std::slice::from_ref(reason)),
            Record::RollbackBegun { reason } => ("rollback", std::slice::from_ref(reason)),
            _ => continue,
        };
        errors.extend(messages.iter().map(|message| Failure {
            sequence: entry.sequence,
            step: step.to_owned(),
            message: message.clone(),
        }));
    }
    errors
}

fn pre_boot(plan: &Plan, entries: &[Entry]) -> Cost {
    let before_root = |phase: &&PlannedPhase| phase.stage == Moment::Initramfs;
    Cost::of(entries, |name| {
        let mut phases = plan.phases.iter().filter(before_root);
        phases.any(|phase| phase.viscripts.iter().any(|script| belongs(name, script)))
    })
}

#[cfg(test)]
mod tests;
