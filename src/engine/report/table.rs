//! The report as people read it, at most 80 columns wide.

use super::form::{Failure, Performance, PhaseLog, Report, Totals, ViScriptLog};
use crate::report::print::fit;
use crate::report::units::{bytes, seconds};

const WIDTH: usize = 80;
const NAME: usize = 35;

/// The lines of the table.
#[must_use]
pub fn lines(report: &Report) -> Vec<String> {
    let log = &report.execution_log;
    let stage = in_words(&format!("{:?}", report.state.stage));
    let mut lines = vec![
        fit(&log.batch_id, WIDTH),
        match &log.end_time {
            Some(end) => format!("from {} to {end}, now {stage}", log.start_time),
            None => format!("from {}, now {stage}", log.start_time),
        },
        String::new(),
        row([
            "phase and viScript",
            "result",
            "steps",
            "checks",
            "time",
            "cpu",
        ]),
    ];
    for phase in &log.phases {
        lines.push(of_phase(phase));
        lines.extend(phase.viscripts.iter().map(of_viscript));
    }
    lines.push(String::new());
    lines.extend(of_totals(&report.totals, &log.duration));
    for error in report.errors.iter().flatten() {
        lines.push(String::new());
        lines.extend(of_error(error));
    }
    lines
}

/// `RolledBack` as `rolled back`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// A cell of each column, in no more than the width.
fn row([name, result, steps, checks, time, cpu]: [&str; 6]) -> String {
    let name = fit(name, NAME);
    let text = format!("{name:<NAME$} {result:<9} {steps:>5} {checks:>6} {time:>10} {cpu:>10}");
    text.trim_end().to_owned()
}

fn of_phase(phase: &PhaseLog) -> String {
    let sum = |of: fn(&ViScriptLog) -> usize| phase.viscripts.iter().map(of).sum::<usize>();
    let steps = share(sum(|script| script.steps_done), sum(|script| script.steps));
    let checks = of_checks(phase.checks_passed, phase.checks_failed);
    let [time, cpu] = times(phase.performance, phase.status);
    let time = if phase.performance.is_some() {
        &time
    } else {
        &phase.duration
    };
    row([&phase.name, phase.status, &steps, &checks, time, &cpu])
}

fn of_viscript(script: &ViScriptLog) -> String {
    let name = script.name.strip_suffix(".json").unwrap_or(&script.name);
    let name = format!("  {}", name.strip_suffix("_viScript").unwrap_or(name));
    let steps = share(script.steps_done, script.steps);
    let checks = of_checks(script.checks_passed, script.checks_failed);
    let [time, cpu] = times(script.performance, script.status);
    row([&name, script.status, &steps, &checks, &time, &cpu])
}

fn times(performance: Option<Performance>, status: &str) -> [String; 2] {
    if status == "pending" {
        return Default::default();
    }
    performance.map_or_else(Default::default, |cost| {
        [cost.milliseconds, cost.cpu_milliseconds].map(seconds)
    })
}

/// Passed of all that had something to look at.
fn of_checks(passed: u32, failed: u32) -> String {
    share(passed as usize, (passed + failed) as usize)
}

fn share(part: usize, all: usize) -> String {
    match all {
        0 => "-".to_owned(),
        _ => format!("{part}/{all}"),
    }
}

fn of_totals(totals: &Totals, duration: &str) -> Vec<String> {
    let checks = format!(
        "checks: {} passed, {} failed, {} skipped; {} % of the viScripts succeeded",
        totals.checks_passed, totals.checks_failed, totals.checks_skipped, totals.success_rate
    );
    let boots =
        |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let [attempts, trials] = [
        boots(totals.attempts, "attempt"),
        boots(totals.trials, "trial"),
    ];
    let Some(cost) = totals.performance else {
        return vec![
            checks,
            format!("boots: {attempts}, {trials}; work: {duration}"),
        ];
    };
    let before_root = seconds(totals.pre_boot_milliseconds.unwrap_or(0));
    vec![
        checks,
        format!("boots: {attempts}, {trials}; {before_root} of work before root was mounted"),
        format!(
            "cost: {} of work, {} of processor time, memory up to {},",
            seconds(cost.milliseconds),
            seconds(cost.cpu_milliseconds),
            bytes(cost.peak_memory_bytes)
        ),
        format!(
            "      {} read, {} written",
            bytes(cost.bytes_read),
            bytes(cost.bytes_written)
        ),
    ]
}

/// Whole, however long it is: `error, record 27, step: message`.
fn of_error(error: &Failure) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = format!("error in record {}, {}:", error.sequence, error.step);
    for word in error.message.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
    lines.iter().map(|line| fit(line, usize::MAX)).collect()
}
