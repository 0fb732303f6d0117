//! Whether the new system would be validated: a boot that nobody validates counts as a bad one, and
//! the fourth takes a good system away.

use std::path::{Path, PathBuf};

use super::services::UNIT_FOLDERS;
use super::{CheckContext, Error, Outcome};
use crate::sys::{FileKind, Root};

const INIT: &str = "sbin/init";
const SYSTEMD: &str = "systemd";
const UNIT: &str = "rootshift-validate.service";
/// validate waits for it.
const COMPLETE: &str = "boot-complete.target";
const DEFAULT: &str = "default.target";
/// What makes systemd start another unit with one (systemd.unit(5)).
const PULLS: [&str; 4] = ["Wants", "Requires", "BindsTo", "Upholds"];
const PULLED_IN: [&str; 3] = ["wants", "requires", "upholds"];
/// More links than that lead in a circle.
const LINKS: usize = 8;

/// Looks at the old system, without what is mounted over it: the new one starts as it does.
///
/// # Errors
/// When it could not look.
pub fn validation_starts(context: &CheckContext) -> Result<Outcome, Error> {
    let old = context.old()?;
    if let Some(init) = other_init(&old)? {
        return Ok(Outcome::fail(
            format!("/{INIT} is {init}, not systemd: nothing would validate the new system"),
            "not supported yet; nothing was changed",
        ));
    }
    if is_masked(&old, COMPLETE)? || fragment(&old, COMPLETE)?.is_none() {
        return Ok(Outcome::fail(
            format!("{COMPLETE} is masked or missing, and {UNIT} waits for it"),
            format!("run `systemctl unmask {COMPLETE}`; it is a part of systemd"),
        ));
    }
    let target = default_target(context.system)?;
    if is_pulled_in(&old, &target)? {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("{target}, which this machine starts, does not start {UNIT}"),
        format!(
            "run `systemctl add-wants {} {UNIT}`",
            final_name(&old, &target)?
        ),
    ))
}

/// What the link of init leads to, where that is not systemd.
fn other_init(old: &Root) -> Result<Option<String>, Error> {
    let mut path = PathBuf::from(INIT);
    for _ in 0..LINKS {
        match old.status(&path)? {
            Some(found) if found.kind == FileKind::Symlink => {
                let target = old.read_link(&path)?;
                let folder = path.parent().unwrap_or(Path::new(""));
                path = folder.join(target);
            }
            Some(_) if path.file_name().is_some_and(|name| name == SYSTEMD) => return Ok(None),
            Some(_) => return Ok(Some(format!("/{}", path.display()))),
            None => return Ok(Some("missing".into())),
        }
    }
    Ok(Some("a link in a circle".into()))
}

/// What the kernel's command line says of this boot it says of the next one, as a rule.
fn default_target(system: &Root) -> Result<String, Error> {
    let bytes = match system.read(Path::new("proc/cmdline")) {
        Err(error) if error.is_not_found() => Vec::new(),
        read => read?,
    };
    let words = String::from_utf8_lossy(&bytes).into_owned();
    let mut words = words.split_ascii_whitespace();
    let named = words.find_map(|word| word.strip_prefix("systemd.unit="));
    Ok(named.unwrap_or(DEFAULT).to_owned())
}

/// A unit's file, in the first folder that has one.
fn fragment(old: &Root, unit: &str) -> Result<Option<PathBuf>, Error> {
    for folder in UNIT_FOLDERS.map(Path::new) {
        let path = folder.join(unit);
        if old.status(&path)?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn is_masked(old: &Root, unit: &str) -> Result<bool, Error> {
    let Some(path) = fragment(old, unit)? else {
        return Ok(false);
    };
    let link = old
        .status(&path)?
        .is_some_and(|found| found.kind == FileKind::Symlink);
    Ok(link && old.read_link(&path)? == Path::new("/dev/null"))
}

/// The unit that this name is a link to, as `graphical.target` for `default.target`.
fn alias(old: &Root, unit: &str) -> Result<Option<String>, Error> {
    let Some(path) = fragment(old, unit)? else {
        return Ok(None);
    };
    let link = old
        .status(&path)?
        .is_some_and(|found| found.kind == FileKind::Symlink);
    if !link {
        return Ok(None);
    }
    let target = old.read_link(&path)?;
    let name = target.file_name().and_then(|name| name.to_str());
    Ok(name.filter(|name| *name != unit).map(str::to_owned))
}

fn final_name(old: &Root, unit: &str) -> Result<String, Error> {
    let mut name = unit.to_owned();
    for _ in 0..LINKS {
        match alias(old, &name)? {
            Some(other) => name = other,
            None => break,
        }
    }
    Ok(name)
}

/// Whether starting this unit starts the one that validates.
fn is_pulled_in(old: &Root, unit: &str) -> Result<bool, Error> {
    let mut to_visit = vec![unit.to_owned()];
    let mut visited: Vec<String> = Vec::new();
    while let Some(unit) = to_visit.pop() {
        if unit == UNIT {
            return Ok(true);
        }
        if visited.contains(&unit) || is_masked(old, &unit)? {
            continue;
        }
        to_visit.extend(alias(old, &unit)?);
        let pulled = pulled_in_by(old, &unit)?.into_iter();
        to_visit.extend(pulled.filter(|name| name == UNIT || name.ends_with(".target")));
        visited.push(unit);
    }
    Ok(false)
}

fn pulled_in_by(old: &Root, unit: &str) -> Result<Vec<String>, Error> {
    let mut files: Vec<PathBuf> = fragment(old, unit)?.into_iter().collect();
    let mut names = Vec::new();
    for folder in UNIT_FOLDERS.map(Path::new) {
        for kind in PULLED_IN {
            names.extend(list(old, &folder.join(format!("{unit}.{kind}")))?);
        }
        let drop_ins = folder.join(format!("{unit}.d"));
        let inside = list(old, &drop_ins)?.into_iter();
        files.extend(inside.map(|name| drop_ins.join(name)));
    }
    for file in files {
        let is_file = old
            .resolved_status(&file)?
            .is_some_and(|found| found.is_file());
        if is_file {
            let bytes = old.read(&file)?;
            names.extend(named_in(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(names)
}

fn named_in(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let assignments = joined
        .lines()
        .filter_map(|line| line.trim().split_once('='));
    let pulling = assignments.filter(|(key, _)| PULLS.contains(&key.trim_end()));
    let names = pulling.flat_map(|(_, names)| names.split_whitespace());
    names.map(str::to_owned).collect()
}

fn list(old: &Root, folder: &Path) -> Result<Vec<String>, Error> {
    match old.list(folder) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        names => {
            let names = names?.into_iter();
            Ok(names.filter_map(|name| name.into_string().ok()).collect())
        }
    }
}
