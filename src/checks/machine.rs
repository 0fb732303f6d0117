//! `memory`, `kernel-parameter`, `network`: what the machine has and how its kernel is set.

use std::path::Path;

use super::known::Source;
use super::{CheckContext, Error, Looker, Outcome};
use crate::documents::check::{KernelParameter, Size};

pub(super) fn memory(looker: &Looker, minimum: Size) -> Result<Outcome, Error> {
    let total = looker
        .text(Source::Memory)?
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

pub(super) fn parameter(
    context: &CheckContext,
    wanted: &KernelParameter,
) -> Result<Outcome, Error> {
    let name = &wanted.name;
    let path = Path::new("proc/sys").join(path_of(name));
    let text = match context.system.read_text(&path) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => {
            return Ok(Outcome::fail(
                format!("the running kernel has no parameter {name}"),
                "look at `sysctl -a`; a module may be missing",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let found = one_blank_each(&text);
    if found == one_blank_each(&wanted.value) {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("{name} is {found}, not {}", wanted.value),
        format!(
            "run `sysctl -w {name}=\"{}\"`, and write it to a file in /etc/sysctl.d",
            wanted.value
        ),
    ))
}

/// Where the first separator is a slash, dots belong to the names (sysctl.d(5)).
fn path_of(name: &str) -> String {
    let separator = name.find(['.', '/']).and_then(|at| name.get(at..));
    if separator.is_some_and(|rest| rest.starts_with('/')) {
        return name.to_owned();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

fn one_blank_each(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

pub(super) fn network(looker: &Looker) -> Result<Outcome, Error> {
    if looker.has_default_route()? {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        "there is no default route: no network",
        "look at `ip route`; start the network",
    ))
}
