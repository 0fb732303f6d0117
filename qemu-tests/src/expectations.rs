//! What rootshift says, in one place: console lines, JSON fields, names. When the tool changes
//! its words, this is the file to change.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::machine::Outcome;

/// The console says this when a boot takes up work that a cut left open.
pub const RESUMING: &str = "rootshift: resuming";
/// The console says this right before the restart through the new boot path.
pub const RESTARTING: &str = "the machine restarts";
/// The console and `status` say this when a new system on trial came to nothing.
pub const EMERGENCY: &str = "ended in systemd's emergency mode";
/// `status --json` says this while the new system is on trial.
pub const COMMITTED: &str = "committed";
/// `status --json` says this once the new system has proved itself.
pub const VALIDATED: &str = "validated";
/// `status --json` says this once a boot without an override passed its validation.
pub const REHEARSED: &str = "rehearsed";
/// `status --json` says this once the old system is root again.
pub const ROLLED_BACK: &str = "rolled-back";
/// The unit that validates after the boot.
pub const VALIDATE_UNIT: &str = "rootshift-validate.service";

const TOOK: &str = "pre-boot work took ";

/// The console line of step `number` of `total`, as far as its name.
pub fn step_line(number: usize, total: usize) -> String {
    format!("[{number:>2}/{total}] ")
}

/// Seconds that the tool worked before root was mounted, by its own clock in the guest.
pub fn seconds_before_root(outcome: &Outcome) -> Result<f64> {
    let line = outcome
        .line(TOOK)
        .with_context(|| format!("{}: the console never said \"{TOOK}…\"", outcome.name))?;
    let (_, after) = line.text.split_once(TOOK).unwrap_or_default();
    let number = after.split_whitespace().next().unwrap_or_default();
    number
        .parse()
        .with_context(|| format!("no number of seconds in \"{}\"", line.text))
}

/// The step ids of `plan --json`, in order.
pub fn planned_steps(plan: &str) -> Result<Vec<String>> {
    let plan: Value = serde_json::from_str(plan).context("`plan --json` is not JSON")?;
    let steps = plan["steps"]
        .as_array()
        .context("`plan --json` has no steps")?;
    steps.iter().map(|step| text(&step["id"])).collect()
}

/// The steps that `log --json` reports as done, in order.
pub fn done_steps(log: &str) -> Result<Vec<String>> {
    records(log, "done")?
        .iter()
        .map(|done| text(&done["step"]))
        .collect()
}

/// How many boots took the migration up.
pub fn attempts(log: &str) -> Result<usize> {
    Ok(records(log, "attempt")?.len())
}

/// The step that a cut left open, as the resuming boot names it.
pub fn open_step(outcome: &Outcome) -> Option<&str> {
    let line = outcome.line(RESUMING)?;
    line.text
        .split_once("the step ")?
        .1
        .strip_suffix(" was open")
}

/// The stage of `status --json`.
pub fn stage(status: &str) -> Result<String> {
    let status: Value = serde_json::from_str(status).context("`status --json` is not JSON")?;
    text(&status["stage"])
}

/// Why it stands where it stands, by `status --json`.
pub fn reason(status: &str) -> Result<String> {
    let status: Value = serde_json::from_str(status).context("`status --json` is not JSON")?;
    text(&status["reason"])
}

/// The same with what is told besides, as the last warning of this boot.
pub fn why(status: &str) -> Result<String> {
    let status: Value = serde_json::from_str(status).context("`status --json` is not JSON")?;
    let told = status["why"].as_array().context("`why` is no list")?;
    let told: Vec<_> = told.iter().map(text).collect::<Result<_>>()?;
    Ok(told.join(" "))
}

/// The plan and the journal agree step by step.
pub fn ensure_plan_was_carried_out(plan: &str, log: &str) -> Result<usize> {
    let (planned, done) = (planned_steps(plan)?, done_steps(log)?);
    ensure!(!planned.is_empty(), "the plan has no steps");
    ensure!(
        planned == done,
        "planned and done differ\n  planned: {planned:?}\n  done:    {done:?}"
    );
    Ok(done.len())
}

/// What `findmnt --output TARGET,FSROOT` lists is a flat root, and nothing else.
pub fn ensure_old_layout(layout: &str) -> Result<()> {
    let is_flat = layout.split_whitespace().eq(["/", "/"]);
    ensure!(is_flat, "not the old system:\n{layout}");
    Ok(())
}

/// The records of one kind.
fn records(log: &str, kind: &str) -> Result<Vec<Value>> {
    let log: Value = serde_json::from_str(log).context("`log --json` is not JSON")?;
    let entries = log.as_array().context("`log --json` is not a list")?;
    Ok(entries
        .iter()
        .filter(|entry| entry["record"] == kind)
        .cloned()
        .collect())
}

fn text(value: &Value) -> Result<String> {
    Ok(value
        .as_str()
        .with_context(|| format!("{value} is not a string"))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"{"steps": [{"id": "a"}, {"id": "b"}]}"#;

    fn log(done: &[&str]) -> String {
        let entry = |step: &&str| {
            format!(
                r#"{{"sequence": 1, "record": "begun", "step": "{step}"}},
                   {{"sequence": 2, "record": "done", "step": "{step}", "milliseconds": 3}}"#
            )
        };
        format!("[{}]", done.iter().map(entry).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn plan_and_journal_must_agree_one_for_one() {
        assert_eq!(
            ensure_plan_was_carried_out(PLAN, &log(&["a", "b"])).unwrap(),
            2
        );
        for wrong in [&["a"][..], &["b", "a"], &["a", "b", "b"]] {
            assert!(
                ensure_plan_was_carried_out(PLAN, &log(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
