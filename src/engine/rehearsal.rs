//! The dress rehearsal: one boot in which the initramfs looks on and overrides nothing. The old
//! system is deleted only after the boot loader by itself has booted the new one, and that boot has
//! passed its validation.
//!
//! It needs no command: once the new system is validated, every boot whose kernel command line
//! names the new root is one. A rehearsal that comes to nothing leaves the old system whole, and
//! the boot after it is overridden as before.

use std::path::Path;

use super::home::Migration;
use super::transition::REHEARSALS as LIMIT;
use super::{Error, Stage, State};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootchain::{self, Produced, boot_id, chosen_subvolume, command_line};
use crate::checks::CheckContext;
use crate::documents::Plan;
use crate::journal::Record;
use crate::journal::record::Left;
use crate::report::boot_log::BOOT_LOG;
use crate::sys::block::uuid_text;
use crate::sys::{Root, btrfs};

const GRUB_CONFIG: &str = "boot/grub/grub.cfg";

/// Whether the boot that is in its initramfs shall be a rehearsal.
#[must_use]
pub fn is_due(state: &State, plan: &Plan, root_flags: &str) -> bool {
    matches!(state.stage, Stage::Validated | Stage::Rehearsed)
        && state.rehearsals < LIMIT
        && chosen_subvolume(root_flags) == Some(plan.root_subvolume())
}

/// Whether the rehearsal that was begun is the boot of this id.
#[must_use]
pub fn is_under_way(state: &State, boot: Option<&str>) -> bool {
    state.stage == Stage::Rehearsing && boot.is_some() && boot == state.rehearsal_boot.as_deref()
}

/// Records that this boot is a rehearsal. To be called once nothing overrides the root. Durable
/// when it returns.
///
/// # Errors
/// When the kernel does not tell the boot's id, or the record could not be made durable.
pub fn begin(migration: &mut Migration, boot: Option<&str>) -> Result<(), Error> {
    let Some(boot) = boot else {
        return Err(Error::NotNow("this boot has no id".into()));
    };
    let number = migration.state().rehearsals + 1;
    log::info!("rehearsal {number}: the boot loader alone names the root");
    migration.record(Record::RehearsalBegun {
        number,
        boot: Some(boot.to_owned()),
    })
}

/// Records why a rehearsal came to nothing, once. Durable when it returns.
///
/// # Errors
/// When the record could not be made durable.
pub fn fail(migration: &mut Migration, reason: &str) -> Result<(), Error> {
    let state = migration.state();
    if state.stage == Stage::Validated && state.reason.as_deref() == Some(reason) {
        return Ok(());
    }
    log::warn!("the rehearsal failed: {reason}");
    migration.record(Record::RehearsalFailed {
        reason: reason.to_owned(),
    })
}

/// Whether no boot is made a rehearsal any more, until a validation passes by hand.
#[must_use]
pub fn came_to_nothing(state: &State) -> bool {
    state.stage == Stage::Validated && state.rehearsals >= LIMIT
}

/// Whether a validation can tell now how the boot loader alone does: this boot is a rehearsal, or
/// no rootshift was in its image.
#[must_use]
pub fn can_be_concluded(state: &State, system: &Root) -> bool {
    let boot = boot_id(system);
    state.stage.is_validated()
        && boot.is_some()
        && (is_under_way(state, boot.as_deref()) || image_took_no_part(system))
}

/// An image with rootshift writes its log before anything else.
fn image_took_no_part(system: &Root) -> bool {
    matches!(system.exists(Path::new(BOOT_LOG)), Ok(false))
}

/// Records what the validation of this boot means for the rehearsal. `problems` are those of the
/// validation. Durable when it returns.
///
/// # Errors
/// When the boot chain can't be read, or a record could not be made durable.
pub fn conclude(
    migration: &mut Migration,
    context: &CheckContext,
    problems: Vec<String>,
) -> Result<(), Error> {
    let boot = boot_id(context.system);
    let state = migration.state();
    if !can_be_concluded(state, context.system) {
        return Ok(());
    }
    let under_way = is_under_way(state, boot.as_deref());
    // Also where the validation fails: what is mended later this boot has not read.
    let looked = bootchain::chain(context.system).and_then(|chain| {
        let later = bootchain::changed_in_this_boot(context.system, &chain)?;
        Ok((chain, later))
    });
    if !problems.is_empty() {
        let last = migration.journal().entries().last();
        let verdict = Record::NotValidated { problems };
        return match under_way && last.is_none_or(|last| last.record != verdict) {
            true => migration.record(verdict),
            false => Ok(()),
        };
    }
    let (chain, later) = looked.map_err(looking)?;
    let why = match later {
        Some(path) => Some(format!("{path} has changed since that boot began")),
        None => why_not_by_itself(migration.plan(), context)?,
    };
    let is_known = migration.state().chain == chain;
    match why {
        Some(reason) if under_way => fail(migration, &reason),
        Some(_) => Ok(()),
        None if !under_way && is_known && is_rehearsed(migration) => Ok(()),
        None => {
            if !under_way {
                begin(migration, boot.as_deref())?;
            }
            // Every boot proves it anew, and the journal has only so much room.
            let chain = if is_known { Vec::new() } else { chain };
            let root = root_of(context.system);
            migration.record(Record::Rehearsed { chain, root })
        }
    }
}

/// What is mounted as root, by what it is.
fn root_of(system: &Root) -> Option<Left> {
    let root = btrfs::subvolume_info(system, Path::new("")).ok()?;
    Some(Left {
        id: root.id,
        subvolume: uuid_text(root.uuid),
        generation: root.generation,
    })
}

fn is_rehearsed(migration: &Migration) -> bool {
    migration.state().stage == Stage::Rehearsed
}

/// Whether the boot loader itself named the new root in this boot; `None` where it can't be told.
#[must_use]
pub fn loader_named_root(plan: &Plan, context: &CheckContext) -> Option<bool> {
    match why_not_by_itself(plan, context) {
        Ok(None) => Some(true),
        Ok(Some(reason)) => {
            log::info!("without the initramfs: {reason}");
            Some(false)
        }
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}

/// Why the boot loader, without the initramfs' help, did not boot the new system.
fn why_not_by_itself(plan: &Plan, context: &CheckContext) -> Result<Option<String>, Error> {
    let system = context.system;
    let line = command_line(system).map_err(looking)?;
    let main = plan.root_subvolume();
    let why = bootchain::why_not_named(system, &line, &plan.filesystem, main).map_err(looking)?;
    if let Some(why) = why {
        return Ok(Some(format!(
            "the kernel command line does not name the new root: {why}; choose the first entry of \
             GRUB's menu, or run `update-grub`"
        )));
    }
    let config = system.read_text(Path::new(GRUB_CONFIG))?;
    let Produced::ByLines(_) = bootchain::produced_by(&line, &config) else {
        return Ok(Some(format!(
            "no entry of /{GRUB_CONFIG} gives this kernel command line; choose an entry of GRUB's \
             menu and leave it as it is"
        )));
    };
    kernel_elsewhere(&line, context, main)
}

/// A kernel that the loader took from outside of the new system is gone once the old one is.
fn kernel_elsewhere(
    line: &CommandLine,
    context: &CheckContext,
    main: &str,
) -> Result<Option<String>, Error> {
    let (Some(kernel), Some(top)) = (line.value("BOOT_IMAGE"), context.top) else {
        return Ok(None);
    };
    let kernel = bootchain::without_device(kernel);
    let found = top.resolved_status(Path::new(kernel))?;
    let root = top.resolved_status(Path::new(main))?;
    let inside = found.is_some_and(|kernel| root.is_some_and(|root| kernel.device == root.device));
    Ok((!inside).then(|| {
        format!("the boot loader took {kernel} from outside of the new system; run `update-grub`")
    }))
}

/// Why the old system can't be deleted yet, in one line with what to do; `None` when the rehearsal
/// stands.
///
/// # Errors
/// When the boot chain can't be read.
pub fn missing(system: &Root, state: &State, root: &str) -> Result<Option<String>, Error> {
    const WHY: &str = "before the old system goes, the boot loader has to boot the new one once \
                       by itself";
    if let Some(doubt) = bootchain::defaults_doubt(system, root, false).map_err(looking)? {
        return Ok(Some(format!("{}; {}", doubt.problem, doubt.remedy)));
    }
    if state.stage == Stage::Rehearsed {
        let now = bootchain::chain(system).map_err(looking)?;
        let changed = bootchain::changed(&state.chain, &now);
        return Ok(changed.map(|path| {
            format!("reboot once more: {path} has changed since the boot loader was tried")
        }));
    }
    let is_under_way = is_under_way(state, boot_id(system).as_deref());
    if !is_under_way && let Some(why) = none_will_come(system, root)? {
        return Ok(Some(why));
    }
    if is_under_way {
        return Ok(Some(
            "this boot is the rehearsal and has not passed its validation yet; see `rootshift \
             validate`"
                .into(),
        ));
    }
    if came_to_nothing(state) {
        let reason = state.reason.as_deref().unwrap_or("none was validated");
        return Ok(Some(format!(
            "{LIMIT} boots by the boot loader alone came to nothing ({reason}); run `rootshift \
             validate`, then reboot once more"
        )));
    }
    Ok(Some(match &state.reason {
        Some(reason) => format!("reboot once more: {WHY}; the last time {reason}"),
        None => format!("reboot once more: {WHY}; then run `rootshift finalize` again"),
    }))
}

/// Why the next boot will be no rehearsal either, as far as this one's command line tells.
fn none_will_come(system: &Root, root: &str) -> Result<Option<String>, Error> {
    let line = command_line(system).map_err(looking)?;
    let why = bootchain::why_not_chosen(&line, root);
    Ok(why.map(|why| {
        format!(
            "the boot loader has to name the new root itself, and the kernel command line does \
             not: {why}; let the loader say rootflags=subvol={root} (GRUB does: run \
             `update-grub`, then reboot by the first entry of its menu), and run `rootshift \
             finalize` again"
        )
    }))
}

fn looking(cause: bootchain::Error) -> Error {
    crate::checks::Error::from(cause).into()
}
