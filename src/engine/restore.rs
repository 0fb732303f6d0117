//! `restore`: a backup of one file is put back in the running system.
//!
//! Going back as a whole is `rollback`; a single file that contradicts the root that is mounted is
//! therefore refused.

use std::path::Path;
use std::time::Duration;

use super::{Error, State};
use crate::bootcfg::grub_defaults::set_subvolume;
use crate::checks::{CheckContext, Outcome, fstab_names_layout};
use crate::documents::Plan;
use crate::documents::batch::RollbackConfiguration;
use crate::documents::restore::{FollowUp, Restore};
use crate::sys::process::run_told_within;
use crate::sys::{Root, sorted};

/// Images of several kernels take minutes on a slow machine; more than this is no work.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A file that can be put back, and the backups of it that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restorable {
    /// How.
    pub restore: Restore,
    /// Paths of its backups, newest first by the time of their content, as `ls -t` shows them.
    pub backups: Vec<String>,
}

/// What can be put back. Changes nothing.
///
/// # Errors
/// When a directory can't be read, or the configuration makes no sense.
pub fn restorables(
    system: &Root,
    configuration: &RollbackConfiguration,
) -> Result<Vec<Restorable>, Error> {
    let restores = configuration.restores("batch").map_err(|problems| {
        let lines = problems.iter().map(ToString::to_string);
        Error::Unresolved(lines.collect::<Vec<_>>().join("\n"))
    })?;
    let mut restorables = Vec::new();
    for restore in restores {
        let backups = backups(system, &restore)?;
        restorables.push(Restorable { restore, backups });
    }
    Ok(restorables)
}

fn backups(system: &Root, restore: &Restore) -> Result<Vec<String>, Error> {
    let directory = Path::new(&restore.pattern.directory);
    if system.resolved_status(directory)?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in system.list(directory)? {
        let path = directory.join(&name);
        let matches = name
            .to_str()
            .is_some_and(|name| restore.pattern.matches(name));
        match system.status(&path)? {
            Some(status) if matches && status.is_file() => {
                found.push((status.modified, path.to_string_lossy().into_owned()));
            }
            _ => {}
        }
    }
    Ok(sorted(found)
        .into_iter()
        .rev()
        .map(|(_, path)| path)
        .collect())
}

/// Refuses a backup that does not fit the root that is mounted now.
///
/// # Errors
/// [`Error::NotNow`] with one line that says why; or when the backup can't be read.
pub fn may_restore(
    restore: &Restore,
    backup: &str,
    state: &State,
    plan: &Plan,
    context: &CheckContext,
) -> Result<(), Error> {
    let text = context.system.read(Path::new(backup))?;
    let text = String::from_utf8_lossy(&text);
    let new_is_root = state.stage.new_system_is_root();
    let problem = match restore.file.as_str() {
        "/etc/fstab" => wrong_fstab(context, &text, new_is_root),
        "/etc/default/grub" if new_is_root => wrong_grub_defaults(plan, &text),
        _ => None,
    };
    let Some(problem) = problem else {
        return Ok(());
    };
    let remedy = if new_is_root && state.armed {
        "`rootshift rollback` goes back whole"
    } else {
        "edit the file by hand"
    };
    Err(Error::NotNow(format!(
        "{backup} does not fit the system that is root now: {problem}; {remedy}"
    )))
}

fn wrong_fstab(context: &CheckContext, text: &str, new_is_root: bool) -> Option<String> {
    match (fstab_names_layout(context, text), new_is_root) {
        (Outcome::Fail { problem, remedy }, true) => Some(format!("{problem}, and {remedy}")),
        (Outcome::Pass, false) => Some("it names the subvolumes of the new one".to_owned()),
        _ => None,
    }
}

fn wrong_grub_defaults(plan: &Plan, text: &str) -> Option<String> {
    match set_subvolume(text, plan.root_subvolume()) {
        Ok(None) => None,
        Ok(Some(_)) => Some("it gives the kernel another root".to_owned()),
        Err(cause) => Some(cause.to_string()),
    }
}

/// Puts a backup back, whole, by one rename. Durable when it returns.
///
/// # Errors
/// The act that failed; the file is the old one or the new one then.
pub fn put_back(system: &Root, restore: &Restore, backup: &str) -> Result<(), Error> {
    let (from, to) = (Path::new(backup), Path::new(&restore.file));
    if restore.preserve {
        system.copy_file(from, to)?;
    } else {
        system.replace_file(to, &system.read(from)?)?;
    }
    Ok(system
        .within(Path::new(&restore.pattern.directory))?
        .sync_filesystem()?)
}

/// Runs a program that makes a restored file count; what it prints goes to standard error.
///
/// # Errors
/// When it fails, or does not end.
pub fn follow_up(follow_up: &FollowUp) -> Result<(), Error> {
    let (program, arguments) = follow_up.arguments();
    let system = Root::open(Path::new("/"))?;
    let ended = run_told_within(&system, program, &arguments, LIMIT)?;
    if ended.success() {
        return Ok(());
    }
    Err(Error::FollowUp {
        command: follow_up.to_string(),
        status: ended.status,
    })
}

#[cfg(test)]
mod tests;
