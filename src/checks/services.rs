//! `service`, `no-failed-units`, `socket`: what systemd and services say.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{CheckContext, Error, Looker, Outcome};
use crate::documents::check::{ServiceParameters, SocketParameters};
use crate::sys::process::run_within;
use crate::sys::{self, Root};

/// Where systemd finds units, generated ones too (systemd.unit(5)).
pub(super) const UNIT_FOLDERS: [&str; 9] = [
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "run/systemd/generator",
    "run/systemd/generator.late",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
const ANSWER: Duration = Duration::from_secs(10);

pub(super) fn service(looker: &Looker, wanted: &ServiceParameters) -> Result<Outcome, Error> {
    let unit = &wanted.unit;
    if !is_installed(looker, unit)? {
        let problem = format!("{unit} is not installed");
        return Ok(if wanted.optional {
            Outcome::Skip(problem)
        } else {
            Outcome::fail(problem, "install the package that holds it")
        });
    }
    if wanted.active.is_none() && wanted.enabled.is_none() {
        return Ok(Outcome::Pass);
    }
    let text = ask_systemd(
        looker.context.system,
        &["show", "--property=ActiveState,UnitFileState", "--", unit],
    )?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .ok_or_else(|| Error::Malformed(format!("systemctl does not tell {key} of {unit}")))
    };
    let (active, starts) = (value("ActiveState")?, value("UnitFileState")?);
    let problem = if wanted
        .active
        .is_some_and(|wanted| wanted != is_active(active))
    {
        format!("{unit} is {active}")
    } else if wanted
        .enabled
        .is_some_and(|wanted| wanted != is_enabled(starts))
    {
        format!("{unit} is {starts}")
    } else {
        return Ok(Outcome::Pass);
    };
    Ok(Outcome::fail(
        problem,
        format!("run `systemctl status {unit}`"),
    ))
}

/// As `systemctl is-active` answers.
fn is_active(state: &str) -> bool {
    matches!(state, "active" | "reloading")
}

/// As `systemctl is-enabled` answers.
fn is_enabled(state: &str) -> bool {
    matches!(
        state,
        "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated"
    )
}

fn ask_systemd(system: &Root, arguments: &[&str]) -> Result<String, Error> {
    let said = run_within(system, "systemctl", arguments, ANSWER)?;
    if said.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let why = said.stderr_tail;
    Err(Error::Malformed(format!("systemctl failed: {why}")))
}

pub(super) fn no_failed_units(context: &CheckContext) -> Result<Outcome, Error> {
    let arguments = ["list-units", "--failed", "--plain", "--no-legend"];
    let text = ask_systemd(context.system, &arguments)?;
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

pub(super) fn socket(looker: &Looker, wanted: &SocketParameters) -> Result<Outcome, Error> {
    if let Some(unit) = &wanted.unit
        && !is_installed(looker, unit)?
    {
        return Ok(Outcome::Skip(format!("{unit} is not installed")));
    }
    let remedy = match &wanted.unit {
        Some(unit) => format!("run `systemctl status {unit}`"),
        None => format!("look at `ss -xlp src {}`", wanted.path),
    };
    Ok(match connect(looker.context.system, &wanted.path)? {
        Ok(_) => Outcome::Pass,
        Err(problem) => Outcome::fail(problem, remedy),
    })
}

/// A connection to a Unix socket, or what is wrong with the socket; an error when it could not be
/// tried. (A full queue makes connect(2) wait; the kernel knows no limit for it.)
pub(super) fn connect(system: &Root, path: &str) -> Result<Result<UnixStream, String>, sys::Error> {
    match system.connect(Path::new(path)) {
        Ok(stream) => Ok(Ok(stream)),
        Err(cause) if cause.is_not_permitted() => Err(cause),
        Err(cause) => Ok(Err(format!("{path} does not answer: {cause}"))),
    }
}

/// Is there a unit of this name? One of a template is there when its template is.
pub(super) fn is_installed(looker: &Looker, unit: &str) -> Result<bool, Error> {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        let (_, kind) = rest.rsplit_once('.')?;
        Some(format!("{name}@.{kind}"))
    });
    let template = template.as_deref().unwrap_or(unit);
    let mut units = looker.units()?.iter();
    Ok(units.any(|known| known == unit || known == template))
}

/// The names in all folders of units.
pub(super) fn units(system: &Root) -> Result<Vec<OsString>, Error> {
    let mut units = Vec::new();
    for folder in UNIT_FOLDERS {
        match system.list(Path::new(folder)) {
            Ok(mut names) => units.append(&mut names),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(units)
}
