//! What the table says is done here, act by act. Each is durable before the next one begins.

use std::path::Path;

use super::home::Migration;
use super::rollback::{discard, roll_back};
use super::situation::images;
use super::transition::{Act, Images};
use super::{Error, Stage, initramfs};
use crate::documents::plan::PLAN;
use crate::fault;
use crate::journal::Record;
use crate::sys::{Root, btrfs};

/// What the acts work on.
#[derive(Debug)]
pub struct Hands<'a> {
    /// The running system.
    pub system: &'a Root,
    /// The top level of its disk.
    pub top: &'a Root,
    /// The migration, its journal held.
    pub migration: &'a mut Migration,
    /// Why a rollback is done.
    pub reason: &'a str,
}

/// Carries acts out, in order. Those that a command does by itself are not handed in.
///
/// # Errors
/// The first act that failed: those after it are not done. All may be repeated.
pub fn carry_out(acts: &[Act], hands: &mut Hands) -> Result<(), Error> {
    acts.iter().try_for_each(|act| one(*act, hands))
}

fn one(act: Act, hands: &mut Hands) -> Result<(), Error> {
    let (system, top) = (hands.system, hands.top);
    match act {
        Act::Offer => {
            let plan = top.read(Path::new(PLAN))?;
            initramfs::offer(system, &hands.migration.frozen.digest, &plan)?;
            fault::reached("plan-offered");
        }
        Act::Withdraw => {
            default_is_old(top, hands.migration)?;
            initramfs::withdraw(system)?;
            fault::reached("plan-withdrawn");
        }
        Act::MakeImages => {
            initramfs::rebuild()?;
            fault::reached("images-made");
        }
        Act::RecordArmed | Act::RecordRearmed => record_armed(act, hands)?,
        Act::RecordDisarmed => {
            initramfs::verify(system, None, &[])?;
            system.sync_filesystem()?;
            hands.migration.record(Record::Disarmed)?;
            fault::reached("images-recorded");
        }
        Act::GiveUpPlan => hands.migration.record(Record::Disarmed)?,
        Act::LookOrdinary => {
            initramfs::verify(system, None, &[])?;
            system.sync_filesystem()?;
        }
        Act::TakeBack => discard(top, hands.migration)?,
        Act::RequestRollback => hands.migration.record(Record::RollbackRequested {
            reason: hands.reason.to_owned(),
        })?,
        Act::RollBack => roll_back(top, hands.migration, hands.reason)?,
        Act::BeginFinalize => hands.migration.record(Record::FinalizeBegun)?,
        Act::Freeze
        | Act::ReturnTo
        | Act::RecordRenewed
        | Act::Delete
        | Act::PutJournalAside
        | Act::RecordVerdict
        | Act::AwaitRehearsal
        | Act::Migrate
        | Act::GiveUp
        | Act::CountTrial
        | Act::CompleteCommit
        | Act::BeginRehearsal
        | Act::FailRehearsal
        | Act::CallOffRollback => {
            return Err(Error::NotNow(format!("{act:?} is no act of this command")));
        }
    }
    Ok(())
}

/// A flat system's kernel line names no subvolume: without an image that does, the default one is
/// root.
fn default_is_old(top: &Root, migration: &Migration) -> Result<(), Error> {
    let is_flat = migration.plan().old_system.root.is_empty();
    if migration.state().stage != Stage::RolledBack || !is_flat {
        return Ok(());
    }
    let default = btrfs::default_subvolume(top)?;
    if default == btrfs::TOP_LEVEL {
        return Ok(());
    }
    Err(Error::NotNow(format!(
        "the default subvolume has the id {default}, and the boots to come would mount it as root: \
         run `btrfs subvolume set-default {} /` first",
        btrfs::TOP_LEVEL
    )))
}

/// Only what was looked into is recorded, and what the boot loader loads is looked into.
fn record_armed(act: Act, hands: &mut Hands) -> Result<(), Error> {
    let migration = &mut *hands.migration;
    let digest = migration.frozen.digest.clone();
    let made = initramfs::verify(hands.system, Some(&digest), &[])?;
    let along = Some((hands.top, &**migration.plan()));
    if images(hands.system, along, Some(&digest), &made) != Images::Armed {
        return Err(Error::NotNow(
            "the images that the boot loader loads are not those that update-initramfs makes in \
             this system: reboot, and run it in the system that starts"
                .into(),
        ));
    }
    hands.top.sync_filesystem()?;
    hands.system.sync_filesystem()?;
    let record = match act {
        Act::RecordArmed => Record::Armed { images: made },
        _ => Record::Renewed {
            images: made,
            fingerprints: migration.state().fingerprints.clone(),
        },
    };
    migration.record(record)?;
    fault::reached("images-recorded");
    Ok(())
}
