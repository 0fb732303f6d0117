//! `command-output`: what a program says. No shell; killed when it takes too long.

use std::time::Duration;

use super::{CheckContext, Error, Outcome};
use crate::documents::check::CommandOutput;
use crate::report::signs::{Sign, give};
use crate::sys::process::run_within;

const TIMEOUT_SECONDS: u32 = 10;

pub(super) fn look(context: &CheckContext, wanted: &CommandOutput) -> Result<Outcome, Error> {
    let words: Vec<&str> = wanted.argv.iter().map(String::as_str).collect();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::Malformed("argv names no program".into()));
    };
    let seconds = wanted.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
    let limit = Duration::from_secs(seconds.into());
    give(Sign::Waiting(seconds.into()));
    let output = run_within(context.system, program, arguments, limit)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let status = wanted.status.unwrap_or(0);
    let problem = if u32::try_from(output.status) != Ok(status) {
        let complaint = output.stderr_tail.lines().last().unwrap_or_default();
        format!("ended with {}, not {status}: {complaint}", output.status)
    } else if let Some(text) = wanted.contains.iter().find(|text| !said.contains(*text)) {
        format!("does not say \"{text}\"")
    } else if let Some(text) = wanted.lacks.iter().find(|text| said.contains(*text)) {
        format!("says \"{text}\"")
    } else {
        return Ok(Outcome::Pass);
    };
    let command = wanted.argv.join(" ");
    Ok(Outcome::fail(
        format!("`{command}` {}", problem.trim_end_matches([':', ' '])),
        "run it by hand and look at what it says",
    ))
}
