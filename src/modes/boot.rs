//! `rootshift boot`: only in the initramfs.
//!
//! Two processes: the first watches over the second (see `guard`), which does the work that is
//! written down here. Whatever fails, the boot goes on, or the machine restarts where nobody can know
//! which root the journal names: the exit status of the first is 0, and nothing is written to
//! param.conf that was not asked for by a readable journal.

use std::path::Path;

use super::site::Site;
use super::{Error, image};
use crate::bootchain::boot_id;
use crate::checks::{hibernated_device, twin_devices};
use crate::cli::{Boot, Exit};
use crate::engine::boot::{BrokenOff, Found, Next, after_breaking_off, after_trial, boot};
use crate::engine::home::Migration;
use crate::engine::occasion::Occasion;
use crate::engine::transition::{Named, named};
use crate::report::log_file;
use crate::report::signs::{self, Sign};
use crate::sys::{Root, block, clock, supervise};

/// Where the exit status says that the machine has to restart.
pub(super) const RESTART: i32 = 10;

/// Watches over the work, or does it.
pub(super) fn run(options: &Boot) -> Result<Exit, Error> {
    log_file::to_kernel_log(Path::new(&options.log));
    if occasion()? == Occasion::Crash {
        log::warn!("this kernel saves what is left of a crashed one: nothing is done");
        return Ok(Exit::Success);
    }
    if options.worker {
        work(options)
    } else {
        super::guard::run(options)
    }
}

/// What this boot is for.
fn occasion() -> Result<Occasion, Error> {
    let system = Root::open(Path::new("/"))?;
    let vmcore = system.exists(Path::new("proc/vmcore"))?;
    let bytes = system.read(Path::new("proc/cmdline"));
    // Where it can't be read nobody can have asked for anything by it.
    let line = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    Ok(Occasion::of(&line, vmcore))
}

fn work(options: &Boot) -> Result<Exit, Error> {
    supervise::be_worker();
    signs::begin();
    let began = clock::monotonic_milliseconds();
    let decided = decide(options, broken_off(options));
    let next = match decided.or_else(|error| look_again(options, error)) {
        Ok(next) => next,
        // Which root the journal names is not known; who watches sees to what follows.
        Err(error) => {
            signs::give(Sign::Failed(&error.to_string()));
            return Ok(Exit::Failure);
        }
    };
    let took = clock::monotonic_milliseconds().saturating_sub(began);
    log::info!("pre-boot work took {}.{:03} s", took / 1000, took % 1000);
    match next {
        Next::Ordinary | Next::Trial(_) => {}
        Next::RootFlags(flags) => {
            log::info!("root is mounted with {flags}");
            signs::give(Sign::Root(&flags));
        }
        Next::NewRoot(roots) | Next::Rehearsal(roots) => {
            signs::give(Sign::Root(&roots.as_journalled()));
        }
        Next::Reboot => {
            log::info!("the machine restarts");
            std::process::exit(RESTART);
        }
    }
    Ok(Exit::Success)
}

/// After an error the disk itself is asked: a record that could not be made durable may be there
/// all the same, and what could not be noted before may be noted now. Nothing else is done.
fn look_again(options: &Boot, error: Error) -> Result<Next, Error> {
    if options.ended.is_some() {
        return Err(error);
    }
    let reason = error.to_string();
    log::error!("{reason}; looking at the journal once more");
    let broken_off = BrokenOff {
        reason: &reason,
        counted: true,
    };
    decide(options, Some(broken_off)).map_err(|second| Error::Twice {
        first: Box::new(error),
        second: Box::new(second),
    })
}

fn broken_off(options: &Boot) -> Option<BrokenOff<'_>> {
    options.ended.as_deref().map(|reason| BrokenOff {
        reason,
        counted: !options.uncounted,
    })
}

/// Does what the journal asks for; after a worker that broke off nothing but to note that.
pub(super) fn decide(options: &Boot, broken_off: Option<BrokenOff>) -> Result<Next, Error> {
    let system = Root::open(Path::new("/"))?;
    let mount_at = Path::new(&options.mount_at);
    if broken_off.is_some() {
        super::site::unmount_left_over(&system, mount_at);
    }
    let plans = image::plans(Path::new(&options.plans))?;
    if plans.is_empty() {
        return Ok(Next::Ordinary);
    }
    // Not even the top level is mounted while another kernel believes to own the file system.
    if let Some(device) = hibernated_device(&system).map_err(crate::engine::Error::from)? {
        log::warn!(
            "{} holds a hibernated system: nothing is done",
            device.display()
        );
        return Ok(Next::Ordinary);
    }
    let device = Path::new(&options.device);
    let Some(uuid) = the_only_btrfs(&system, device)? else {
        return Ok(Next::Ordinary);
    };
    let chosen = image::choose(plans, &uuid);
    let wrong = chosen.as_ref().err().map(|reason| BrokenOff {
        reason,
        counted: true,
    });
    let release = system.read_text(Path::new("proc/sys/kernel/osrelease"));
    let release = release.as_deref().ok().map(str::trim);
    let site = Site {
        release,
        system: &system,
        device,
        mount_at,
        uuid: &uuid,
        broken_off: broken_off.is_some(),
    };
    let root_flags = std::env::var("ROOTFLAGS").unwrap_or_default();
    let this_boot = boot_id(&system);
    let found = Found {
        boot: this_boot.as_deref(),
        release,
        image_plan: chosen.as_ref().map_or("", |frozen| &frozen.digest),
        root_flags: root_flags.trim_start_matches("-o").trim(),
        console: Path::new(&options.console),
        occasion: occasion()?,
    };
    let next = site.at_top_level(None, &mut |top, migration, context| match broken_off
        .or(in_the_way(wrong, migration))
    {
        Some(broken_off) => after_breaking_off(top, migration, found, broken_off),
        None => boot(top, migration, context, found),
    })?;
    follow(&site, found, next, Path::new(&options.param_conf))
}

/// What can only be done while nothing of the disk is mounted.
fn follow(site: &Site, found: Found, next: Next, param_conf: &Path) -> Result<Next, Error> {
    let next = match next {
        Next::Trial(lines) => {
            let trial = site.tried(&lines);
            site.at_top_level(None, &mut |top, migration, _| {
                after_trial(top, migration, found, trial.clone())
            })?
        }
        next => next,
    };
    Ok(match next {
        Next::NewRoot(roots) => site.seen(&roots),
        Next::Rehearsal(roots) => site.rehearsed(roots, found.boot, param_conf),
        next => next,
    })
}

/// The UUID of the btrfs on the device; none where there is no btrfs, or a copy of it.
fn the_only_btrfs(system: &Root, device: &Path) -> Result<Option<String>, Error> {
    let Some(uuid) = block::btrfs_uuid(device)? else {
        log::warn!("{} is no btrfs: nothing is done", device.display());
        return Ok(None);
    };
    let twins = twin_devices(system, &uuid).map_err(crate::engine::Error::from)?;
    if let Some(twins) = twins {
        log::warn!("{twins}: nothing is done to either; detach the copy");
        return Ok(None);
    }
    Ok(Some(uuid))
}

/// Without a sound plan in the image nothing is begun nor gone on with. Once the new system is root
/// the image's plan is not asked any more: trials are counted, and a rollback is carried out.
fn in_the_way<'a>(wrong: Option<BrokenOff<'a>>, migration: &Migration) -> Option<BrokenOff<'a>> {
    let wrong = wrong?;
    if named(migration.state().stage) != Named::AsGiven {
        log::warn!("{}", wrong.reason);
        return None;
    }
    Some(wrong)
}
