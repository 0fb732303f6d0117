//! `rootshift boot`: only in the initramfs.
//!
//! Whatever fails here, the boot goes on: the exit status is 0, and nothing is written to
//! param.conf that was not asked for by a readable journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::checks::{CheckContext, hibernated_device};
use crate::cli::{Boot, Exit};
use crate::documents::plan::FilesystemIdentity;
use crate::engine::boot::{Found, Next, boot};
use crate::engine::home::{FrozenPlan, Migration};
use crate::engine::others::{mount_of_plan, patience_at_boot, unmount_all};
use crate::report::progress::for_boot;
use crate::report::{boot_log, log_file};
use crate::sys::{Root, block, clock, mount, power};

/// Where the exit status says what a machine would have done (`--no-reboot`).
const WOULD_REBOOT: i32 = 10;

pub(super) fn run(options: &Boot) -> Result<Exit, Error> {
    log_file::to_kernel_log(Path::new("/"));
    let began = clock::monotonic_milliseconds();
    let next = match decide(options) {
        Ok(next) => next,
        Err(error) => {
            log::error!("{error}; the boot goes on as it would without rootshift");
            Next::Ordinary
        }
    };
    let took = clock::monotonic_milliseconds().saturating_sub(began);
    log::info!("pre-boot work took {}.{:03} s", took / 1000, took % 1000);
    if let Err(error) = carry_out(options, &next) {
        log::error!("{error}; the boot goes on as the kernel command line says");
    }
    Ok(Exit::Success)
}

fn decide(options: &Boot) -> Result<Next, Error> {
    let system = Root::open(Path::new("/"))?;
    let Some(frozen) = plan_of_image(&options.plans)? else {
        return Ok(Next::Ordinary);
    };
    // Not even the top level is mounted while another kernel believes to own the file system.
    if let Some(device) = hibernated_device(&system).map_err(crate::engine::Error::from)? {
        log::warn!(
            "{} holds a hibernated system: nothing is done",
            device.display()
        );
        return Ok(Next::Ordinary);
    }
    let device = Path::new(&options.device);
    let uuid = block::btrfs_uuid(device)?;
    if uuid.as_deref() != Some(&frozen.plan.filesystem.uuid) {
        log::warn!(
            "{} is not the file system of the plan: nothing is done",
            device.display()
        );
        return Ok(Next::Ordinary);
    }
    let mount_at = Path::new(&options.mount_at);
    system.create_directories(mount_at, 0o700)?;
    mount::mount_top_level(device, mount_at)?;
    let next = with_top_level(&system, mount_at, &frozen, &options.console);
    boot_log::keep(
        mount_at,
        next.as_ref().err().map(ToString::to_string).as_deref(),
    );
    unmount_all(&system, &frozen.plan, mount_at);
    if let Err(error) = mount::unmount(mount_at) {
        log::warn!("{error}"); // all that matters is durable; the root is still the one to boot
    }
    next
}

fn with_top_level(
    system: &Root,
    mount_at: &Path,
    image: &FrozenPlan,
    console: &str,
) -> Result<Next, Error> {
    let top = Root::open(mount_at)?;
    let Some(mut migration) = Migration::open(&top)? else {
        log::warn!("the image is armed and the disk has no journal: nothing is done");
        return Ok(Next::Ordinary);
    };
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
    let root_flags = std::env::var("ROOTFLAGS").unwrap_or_default();
    let root_flags = root_flags.trim_start_matches("-o").trim();
    let found = Found {
        image_plan: &image.digest,
        root_flags,
        console: Path::new(console),
    };
    let next = boot(&top, &mut migration, &context, found);
    migration.progress().finish();
    Ok(next)
}

fn tell_as_wanted(migration: &mut Migration) {
    let monitoring = migration.plan().monitoring();
    log_file::set_level(monitoring.log_level);
    if monitoring.progress_tracking {
        migration.show_progress(for_boot());
    }
}

/// The plan of this image; its name holds the digest of its bytes.
fn plan_of_image(folder: &str) -> Result<Option<FrozenPlan>, Error> {
    let folder = PathBuf::from(folder);
    let root = match Root::open(&folder) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    for name in root.list(Path::new("."))? {
        let name = name.to_string_lossy().into_owned();
        let Some(digest) = name
            .strip_prefix("plan-")
            .and_then(|rest| rest.strip_suffix(".json"))
        else {
            continue;
        };
        let frozen = FrozenPlan::from_bytes(&name, &root.read(Path::new(&name))?)?;
        if frozen.digest == digest {
            return Ok(Some(frozen));
        }
        log::warn!("{name} in this image is damaged: nothing is done");
    }
    Ok(None)
}

fn carry_out(options: &Boot, next: &Next) -> Result<(), Error> {
    match next {
        Next::Ordinary => Ok(()),
        Next::RootFlags(flags) => set_root_flags(Path::new(&options.param_conf), flags),
        Next::Reboot if options.no_reboot => std::process::exit(WOULD_REBOOT),
        Next::Reboot => {
            log::info!("restarting into the new system");
            Ok(power::reboot()?)
        }
    }
}

/// initramfs-tools reads the file into its own shell after every script (facts boot.md 1.2).
fn set_root_flags(param_conf: &Path, flags: &str) -> Result<(), Error> {
    let parent = param_conf.parent().unwrap_or(Path::new("/"));
    let name = Path::new(param_conf.file_name().unwrap_or_default());
    let root = Root::open(parent)?;
    let mut text = if root.exists(name)? {
        root.read_text(name)?
    } else {
        String::new()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let quoted = format!("-o {flags}").replace('\'', "'\\''");
    text.push_str(&format!("ROOTFLAGS='{quoted}'\n"));
    log::info!("root is mounted with {flags}");
    Ok(root.replace_file(name, text.as_bytes())?)
}
