//! `unit-active`, `no-failed-units`, `socket`: what systemd and services say.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::sys::Root;
use crate::sys::process::run;

const UNIT_FOLDERS: [&str; 4] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

pub(super) fn unit_active(context: &CheckContext, unit: &str) -> Result<Outcome, Error> {
    if !is_installed(context.system, unit)? {
        return Ok(Outcome::Skip(format!("{unit} is not installed")));
    }
    if run("systemctl", &["is-active", "--quiet", unit], false)?.status == 0 {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("{unit} is not active"),
        format!("run `systemctl status {unit}`"),
    ))
}

pub(super) fn no_failed_units() -> Result<Outcome, Error> {
    let listed = run(
        "systemctl",
        &["list-units", "--failed", "--plain", "--no-legend"],
        false,
    )?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if failed.is_empty() {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("failed units: {}", failed.join(", ")),
        "run `systemctl --failed` and `journalctl -b -u UNIT`",
    ))
}

pub(super) fn socket(context: &CheckContext, path: &str, unit: &str) -> Result<Outcome, Error> {
    if !is_installed(context.system, unit)? {
        return Ok(Outcome::Skip(format!("{unit} is not installed")));
    }
    match context.system.connect(Path::new(path)) {
        Ok(_) => Ok(Outcome::Pass),
        Err(cause) => Ok(Outcome::fail(
            format!("{path} does not answer: {cause}"),
            format!("run `systemctl status {unit}`"),
        )),
    }
}

fn is_installed(system: &Root, unit: &str) -> Result<bool, Error> {
    for folder in UNIT_FOLDERS {
        if system.exists(&Path::new(folder).join(unit))? {
            return Ok(true);
        }
    }
    Ok(false)
}
