//! `rootshift boot`: only in the initramfs.
//!
//! Two processes: the first watches over the second (see `guard`), which does the work that is
//! written down here. Whatever fails, the boot goes on: the exit status is 0, and nothing is written
//! to param.conf that was not asked for by a readable journal.

use std::path::Path;
use std::sync::Arc;

use super::{Error, image};
use crate::checks::{CheckContext, hibernated_device};
use crate::cli::{Boot, Exit};
use crate::documents::plan::FilesystemIdentity;
use crate::engine::boot::{BrokenOff, Found, Next, after_breaking_off, boot};
use crate::engine::home::Migration;
use crate::engine::others::{mount_of_plan, numbered, patience_at_boot, unmount_all};
use crate::report::log_file;
use crate::report::progress::for_boot;
use crate::report::signs::{self, Sign};
use crate::sys::{Root, block, clock, mount, supervise};

/// Where the exit status says that the machine has to restart.
pub(super) const RESTART: i32 = 10;

/// Watches over the work, or does it.
pub(super) fn run(options: &Boot) -> Result<Exit, Error> {
    log_file::to_kernel_log(Path::new("/"));
    if options.worker {
        work(options)
    } else {
        super::guard::run(options)
    }
}

fn work(options: &Boot) -> Result<Exit, Error> {
    supervise::be_worker();
    signs::begin();
    let began = clock::monotonic_milliseconds();
    let decided = decide(options, broken_off(options));
    let next = decided.or_else(|error| look_again(options, error));
    let next = next.unwrap_or_else(|error| {
        log::error!("{error}; the boot goes on as it would without rootshift");
        Next::Ordinary
    });
    let took = clock::monotonic_milliseconds().saturating_sub(began);
    log::info!("pre-boot work took {}.{:03} s", took / 1000, took % 1000);
    match next {
        Next::Ordinary => {}
        Next::RootFlags(flags) => {
            log::info!("root is mounted with {flags}");
            signs::give(Sign::Root(&flags));
        }
        Next::Reboot => {
            log::info!("restarting into the new system");
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
    decide(options, Some(broken_off))
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
        unmount_left_over(&system, mount_at);
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
    let Some(uuid) = block::btrfs_uuid(device)? else {
        log::warn!("{} is no btrfs: nothing is done", device.display());
        return Ok(Next::Ordinary);
    };
    // Without a plan that is sound nothing is done, and yet the journal names the root.
    let chosen = image::choose(plans, &uuid);
    let wrong = chosen.as_ref().err().map(|reason| BrokenOff {
        reason,
        counted: true,
    });
    let broken_off = broken_off.or(wrong);
    system.create_directories(mount_at, 0o700)?;
    let mounted = mount::mount_top_level(device, mount_at);
    match broken_off {
        None => mounted?,
        // The root can be named from what can only be read.
        Some(_) => mounted.or_else(|_| mount::mount_top_level_read_only(device, mount_at))?,
    }
    let boot = ThisBoot {
        uuid: &uuid,
        image_plan: chosen.as_ref().map_or("", |frozen| &frozen.digest),
        console: Path::new(&options.console),
    };
    let next = with_top_level(&system, mount_at, boot, broken_off);
    if let (None, Ok(frozen)) = (broken_off, &chosen) {
        unmount_all(&system, &frozen.plan, mount_at);
    }
    if let Err(error) = mount::unmount(mount_at) {
        log::warn!("{error}"); // all that matters is durable; the root is still the one to boot
    }
    next
}

/// A mount over the same mount is refused.
fn unmount_left_over(system: &Root, mount_at: &Path) {
    let numbers = (1..).map(|number| numbered(mount_at, number));
    let others = numbers.take_while(|at| matches!(system.exists(at), Ok(true)));
    for at in others.chain([mount_at.to_path_buf()]) {
        if let Err(error) = mount::unmount_left_over(&at) {
            log::warn!("{error}");
        }
    }
}

/// What is known before the journal is open.
struct ThisBoot<'a> {
    uuid: &'a str,
    /// Digest of the image's plan; empty when it has none that is sound.
    image_plan: &'a str,
    console: &'a Path,
}

fn with_top_level(
    system: &Root,
    mount_at: &Path,
    this_boot: ThisBoot,
    broken_off: Option<BrokenOff>,
) -> Result<Next, Error> {
    let top = Root::open(mount_at)?;
    let opened = match Migration::open(&top) {
        // Who holds it goes on; the root can be named all the same.
        Err(error) if broken_off.is_some() && error.is_busy() => Migration::look(&top),
        opened => opened,
    };
    let Some(mut migration) = opened? else {
        log::warn!("the image is armed and the disk has no journal: nothing is done");
        return Ok(Next::Ordinary);
    };
    if migration.plan().filesystem.uuid != this_boot.uuid {
        log::warn!("the journal is another file system's: nothing is done");
        return Ok(Next::Ordinary);
    }
    let root_flags = std::env::var("ROOTFLAGS").unwrap_or_default();
    let root_flags = root_flags.trim_start_matches("-o").trim();
    let found = Found {
        image_plan: this_boot.image_plan,
        root_flags,
        console: this_boot.console,
    };
    if let Some(broken_off) = broken_off {
        return Ok(after_breaking_off(&top, &mut migration, found, broken_off));
    }
    let plan = migration.plan().clone();
    if let Some(patience) = patience_at_boot(&migration) {
        migration.others = Arc::new(mount_of_plan(system, &plan, mount_at, patience));
    }
    let others = Arc::clone(&migration.others);
    tell_as_wanted(&mut migration);
    let FilesystemIdentity { uuid, aliases } = plan.filesystem.clone();
    let identity = FilesystemIdentity { uuid, aliases };
    let context = CheckContext {
        system,
        mounts: &[],
        top: Some(&top),
        old_root: &plan.old_system.root,
        layout: &plan.layout,
        identity: Some(&identity),
        others: &others,
    };
    let next = boot(&top, &mut migration, &context, found);
    migration.progress().finish();
    match migration.unnoted.take() {
        Some(reason) => Err(Error::Unnoted(reason)),
        None => Ok(next),
    }
}

fn tell_as_wanted(migration: &mut Migration) {
    let monitoring = migration.plan().monitoring();
    log_file::set_level(monitoring.log_level);
    migration.show_progress(for_boot(monitoring.progress_tracking));
}
