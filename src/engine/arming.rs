//! Arming: the plan is frozen, every image is made to hold it, and then looked into.

use super::home::Migration;
use super::rollback::discard;
use super::{Error, Stage, conversions, initramfs};
use crate::documents::Plan;
use crate::journal::Record;
use crate::sys::Root;

/// Freezes the plan and arms every image. When it fails nothing is armed.
///
/// # Errors
/// When another migration is under way, or an image does not hold the plan afterwards.
pub fn arm(system: &Root, top: &Root, plan: &Plan, program: &str) -> Result<Migration, Error> {
    conversions::refuse(&plan.layout)?;
    may_arm(top)?;
    let mut migration = Migration::begin(top, plan, program)?;
    let armed = initramfs::offer(system, &migration.frozen.digest, &plan.to_bytes()?)
        .and_then(|()| initramfs::rebuild())
        .and_then(|()| initramfs::verify(system, Some(&migration.frozen.digest), &[]))
        .and_then(|images| {
            top.sync_filesystem()?;
            migration.record(Record::Armed { images })
        });
    match armed {
        Ok(()) => Ok(migration),
        Err(cause) => {
            log::error!("{cause}");
            match make_ordinary(system, &mut migration) {
                Ok(()) => Err(cause),
                Err(undo) => {
                    let (cause, undo) = (Box::new(cause), Box::new(undo));
                    Err(Error::StepAndUndo { cause, undo })
                }
            }
        }
    }
}

fn may_arm(top: &Root) -> Result<(), Error> {
    let Some(migration) = Migration::open(top)? else {
        return Ok(());
    };
    let stage = migration.state().stage;
    if migration.state().armed {
        let what = if stage.new_system_is_root() {
            "the new system is root already; run `rootshift finalize` or `rootshift rollback`"
        } else {
            "a migration is armed; run `rootshift disarm` first"
        };
        return Err(Error::NotNow(what.into()));
    }
    Ok(())
}

/// Takes binary and plan out of every image, and what was prepared off the disk.
///
/// # Errors
/// When the new system is root, or an image still holds the plan afterwards.
pub fn disarm(system: &Root, top: &Root, migration: &mut Migration) -> Result<(), Error> {
    let stage = migration.state().stage;
    if stage.new_system_is_root() || stage == Stage::RollingBack {
        return Err(Error::NotNow(
            "the new system is root: the images must choose it until `rootshift finalize`; \
             to go back run `rootshift rollback`"
                .into(),
        ));
    }
    if migration.state().has_work() && stage != Stage::RolledBack {
        discard(top, migration)?;
    }
    make_ordinary(system, migration)
}

/// The images are made without rootshift; recorded once they are seen to be.
///
/// # Errors
/// When an image still holds the plan afterwards.
pub fn make_ordinary(system: &Root, migration: &mut Migration) -> Result<(), Error> {
    initramfs::withdraw(system)?;
    initramfs::rebuild()?;
    initramfs::verify(system, None, &[])?;
    system.sync_filesystem()?;
    migration.record(Record::Disarmed)
}
