//! `commands`, `kernel-filesystems`, `memory`: what the machine has.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::documents::check::Size;
use crate::sys::process::find_program;

pub(super) fn commands(context: &CheckContext, names: &[String]) -> Result<Outcome, Error> {
    let mut missing = Vec::new();
    for name in names {
        if find_program(context.system, name)?.is_none() {
            missing.push(name.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("not installed: {}", missing.join(", ")),
        "install the packages that hold them (apt-file search bin/NAME)",
    ))
}

pub(super) fn filesystems(context: &CheckContext, names: &[String]) -> Result<Outcome, Error> {
    let text = context.system.read_text(Path::new("proc/filesystems"))?;
    let known: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let missing = names.iter().find(|name| !known.contains(&name.as_str()));
    let Some(missing) = missing else {
        return Ok(Outcome::Pass);
    };
    Ok(Outcome::fail(
        format!("the running kernel does not know the file system {missing}"),
        format!("run `modprobe {missing}`"),
    ))
}

pub(super) fn memory(context: &CheckContext, minimum: Size) -> Result<Outcome, Error> {
    let text = context.system.read_text(Path::new("proc/meminfo"))?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
        .ok_or_else(|| Error::Malformed("/proc/meminfo has no MemTotal line".into()))?
        * 1024;
    // The kernel keeps a part for itself: a machine sold as 4 GB shows up to a tenth less.
    if total.saturating_add(total / 10) >= minimum.0 {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!(
            "{} MiB of memory, {} MiB are required",
            total >> 20,
            minimum.0 >> 20
        ),
        "add memory, or ask for less in the batch (min_memory)",
    ))
}
