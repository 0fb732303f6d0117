//! What the journal says of each phase and viScript.

use super::form::{Performance, PhaseLog, ViScriptLog};
use super::{duration, percent, with_status};
use crate::documents::Plan;
use crate::documents::plan::{PlannedPhase, PlannedViScript};
use crate::engine::State;
use crate::engine::phase::left_out;
use crate::journal::record::Usage;
use crate::journal::{Entry, Record};

/// What the journal says.
#[derive(Clone, Copy)]
pub(super) struct Journaled<'a> {
    pub(super) state: &'a State,
    pub(super) entries: &'a [Entry],
}

/// What the records say that some work cost.
#[derive(Default)]
pub(super) struct Cost {
    pub(super) milliseconds: u64,
    usage: Usage,
}

impl Cost {
    /// Of the steps, by their ids, and viScripts, by their names, that are meant.
    pub(super) fn of(entries: &[Entry], is_meant: impl Fn(&str) -> bool) -> Self {
        let mut cost = Self::default();
        for entry in entries {
            if let Record::Done {
                step: name,
                milliseconds,
                usage,
                ..
            }
            | Record::Checked {
                script: name,
                milliseconds,
                usage,
                ..
            } = &entry.record
                && is_meant(name)
            {
                cost.milliseconds = cost.milliseconds.saturating_add(*milliseconds);
                cost.usage.add(&usage.unwrap_or_default());
            }
        }
        cost
    }

    pub(super) fn performance(&self) -> Performance {
        Performance {
            milliseconds: self.milliseconds,
            cpu_milliseconds: self.usage.cpu_microseconds / 1000,
            peak_memory_bytes: self.usage.peak_memory_bytes,
            bytes_read: self.usage.bytes_read,
            bytes_written: self.usage.bytes_written,
        }
    }
}

pub(super) fn belongs(name: &str, script: &PlannedViScript) -> bool {
    script.name == name || script.steps.iter().any(|step| step.id == name)
}

pub(super) fn of_phase(phase: &PlannedPhase, plan: &Plan, journal: &Journaled) -> PhaseLog {
    let left_out = left_out(plan, &journal.state.tolerated);
    let of = |script: &PlannedViScript| {
        let is_left_out = left_out.contains(&script.name.as_str());
        of_viscript(script, is_left_out, journal)
    };
    let viscripts: Vec<ViScriptLog> = phase.viscripts.iter().map(of).collect();
    let cost = Cost::of(journal.entries, |name| {
        phase.viscripts.iter().any(|script| belongs(name, script))
    });
    let sum = |of: fn(&ViScriptLog) -> u32| viscripts.iter().map(of).sum();
    PhaseLog {
        name: phase.name.clone(),
        status: of_all(&viscripts),
        duration: duration(cost.milliseconds),
        success_rate: rate(&viscripts),
        checks_passed: sum(|script| script.checks_passed),
        checks_failed: sum(|script| script.checks_failed),
        checks_skipped: sum(|script| script.checks_skipped),
        performance: Some(cost.performance()),
        viscripts,
    }
}

fn of_all(viscripts: &[ViScriptLog]) -> &'static str {
    let having = |status: &str| with_status(viscripts, status);
    let (succeeded, skipped) = (having("success"), having("skipped"));
    match having("failed") {
        1.. => "failed",
        0 if skipped == viscripts.len() => "skipped",
        0 if succeeded + skipped == viscripts.len() => "completed",
        0 if succeeded + having("running") == 0 => "pending",
        0 => "running",
    }
}

/// Share that succeeded of those that were not skipped.
pub(super) fn rate(viscripts: &[ViScriptLog]) -> u64 {
    let skipped = with_status(viscripts, "skipped");
    percent(with_status(viscripts, "success"), viscripts.len() - skipped)
}

fn of_viscript(
    script: &PlannedViScript,
    is_left_out: bool,
    &Journaled { state, entries }: &Journaled,
) -> ViScriptLog {
    let ours = |step: &str| script.steps.iter().any(|own| own.id == step);
    let mut log = ViScriptLog {
        name: script.name.clone(),
        status: "pending",
        checks_passed: 0,
        checks_failed: 0,
        checks_skipped: 0,
        steps_done: state.done.iter().filter(|step| ours(step)).count(),
        steps: script.steps.len(),
        success_rate: 0,
        performance: Some(Cost::of(entries, |name| belongs(name, script)).performance()),
    };
    let mut looked = script.checks.is_empty();
    let mut has_failed = false;
    for entry in entries {
        match &entry.record {
            Record::Failed { step, .. } | Record::Tolerated { step, .. } if ours(step) => {
                has_failed = true;
            }
            // What comes after begins anew.
            Record::Discarded { .. } | Record::ReturnedTo { .. } => has_failed = false,
            Record::Checked {
                script: name,
                passed,
                failed,
                skipped,
                ..
            } if *name == script.name => {
                looked = true;
                (log.checks_passed, log.checks_failed, log.checks_skipped) =
                    (*passed, *failed, *skipped);
            }
            _ => {}
        }
    }
    log.status = match status(&log, looked, has_failed) {
        "pending" if is_left_out => "skipped",
        status => status,
    };
    log.success_rate = success_rate(&log);
    log
}

fn status(log: &ViScriptLog, looked: bool, has_failed: bool) -> &'static str {
    let nothing_to_do = log.steps + log.checks_passed as usize == 0 && log.checks_skipped > 0;
    if has_failed || log.checks_failed > 0 {
        "failed"
    } else if nothing_to_do {
        "skipped"
    } else if log.steps_done == log.steps && looked {
        "success"
    } else if log.steps_done > 0 {
        "running"
    } else {
        "pending"
    }
}

fn success_rate(log: &ViScriptLog) -> u64 {
    let [passed, failed] = [log.checks_passed, log.checks_failed].map(|count| count as usize);
    match (log.steps + passed + failed, log.status) {
        (0, "success") => 100,
        (all, _) => percent(log.steps_done + passed, all),
    }
}
