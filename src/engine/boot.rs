//! What an initramfs does: reads the journal, does what follows from it, names the root.
//!
//! Fail open: whatever goes wrong, the machine boots the root that the journal names, or without
//! a readable journal the one that the kernel command line names.

use super::fits::{look_again, still_fits};
use super::home::Migration;
use super::migrate::{complete_commit, migrate};
use super::others::all_there;
use super::rollback::{discard, present_root, roll_back};
use super::{Error, Stage};
use crate::bootcfg::cmdline::merge_root_flags;
use crate::checks::CheckContext;
use crate::documents::plan::After;
use crate::journal::Record;
use crate::sys::{Root, btrfs};
use std::path::Path;

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The boot goes on as the kernel command line says.
    Ordinary,
    /// The boot goes on with these mount options of the root.
    RootFlags(String),
    /// The machine restarts through its new boot path.
    Reboot,
}

/// What the initramfs found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Digest of the plan in the image.
    pub image_plan: &'a str,
    /// `rootflags=` of the kernel command line.
    pub root_flags: &'a str,
    /// Where a person is asked at a checkpoint.
    pub console: &'a Path,
}

/// Does what the journal asks for. Never fails: a failure is noted and the boot goes on.
pub fn boot(top: &Root, migration: &mut Migration, context: &CheckContext, found: Found) -> Next {
    let new_system_was_root = migration.state().stage.new_system_is_root();
    if let Err(error) = act(top, migration, context, found) {
        log::error!("{error}");
        if let Err(error) = note(migration, &error) {
            log::error!("{error}");
        }
    }
    // Only the boot that committed restarts: nothing here can loop.
    let committed_now = !new_system_was_root && migration.state().stage == Stage::Committed;
    if committed_now && migration.plan().after == After::Reboot {
        return Next::Reboot;
    }
    next(top, migration, found)
}

/// A failure that is in the journal already is not noted twice.
fn note(migration: &mut Migration, error: &Error) -> Result<(), Error> {
    match migration.state().stage {
        Stage::Failed => Ok(()),
        _ => migration.refuse(&error.to_string()),
    }
}

fn act(
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
    found: Found,
) -> Result<(), Error> {
    let stage = migration.state().stage;
    if stage != Stage::RollbackRequested
        && stage.new_system_is_root()
        && !new_root_is_there(top, migration)
    {
        return Err(Error::NotNow(format!(
            "the journal says that the subvolume {} is root, and it is missing: nothing is done",
            migration.plan().root_subvolume()
        )));
    }
    match stage {
        Stage::Armed | Stage::Preparing => {
            all_there(migration)?;
            still_fits(top, migration, found.image_plan)?;
            look_again(top, migration, context)?;
            migrate(top, migration, context, found.console)
        }
        Stage::Committed => on_trial(top, migration),
        Stage::RollbackRequested => {
            let reason = migration.state().reason.clone().unwrap_or_default();
            roll_back(top, migration, &reason)
        }
        Stage::RollingBack => roll_back(top, migration, "a rollback was cut off"),
        Stage::Failed if migration.plan().rollback_enabled => discard(top, migration),
        Stage::Validated => complete_commit(top, migration),
        _ => Ok(()),
    }
}

/// A new system that does not pass its validation within so many boots is rolled back by itself.
fn on_trial(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    let number = migration.state().trials + 1;
    let limit = migration.plan().trial_boots;
    if number > limit {
        let reason = format!("the new system did not pass its validation in {limit} boots");
        return roll_back(top, migration, &reason);
    }
    migration.record(Record::Trial { number })?;
    complete_commit(top, migration)
}

fn next(top: &Root, migration: &Migration, found: Found) -> Next {
    let existing = [found.root_flags];
    match migration.state().stage {
        stage if stage.new_system_is_root() && new_root_is_there(top, migration) => {
            let subvolume = migration.plan().root_subvolume();
            Next::RootFlags(merge_root_flags(&existing, subvolume))
        }
        stage if stage.new_system_is_root() => in_place_of_the_new(top, migration, found),
        Stage::RollingBack | Stage::RolledBack => {
            let subvolume = present_root(top, migration.plan());
            Next::RootFlags(merge_root_flags(&existing, &subvolume))
        }
        _ => Next::Ordinary,
    }
}

/// Whether the new system's root is where the journal says. It is not when somebody put an older
/// tree back: pointing the boot path at it, or root, would leave a machine that does not boot.
fn new_root_is_there(top: &Root, migration: &Migration) -> bool {
    let name = Path::new(migration.plan().root_subvolume());
    // What can't be seen is as the journal says.
    btrfs::is_subvolume(top, name).unwrap_or(true)
}

/// The old system where it is whole, else what the kernel command line says.
fn in_place_of_the_new(top: &Root, migration: &Migration, found: Found) -> Next {
    let old = present_root(top, migration.plan());
    let init = Path::new(old.trim_start_matches('/')).join("sbin/init");
    match top.resolved_status(&init) {
        Ok(Some(_)) => Next::RootFlags(merge_root_flags(&[found.root_flags], &old)),
        _ => Next::Ordinary,
    }
}
