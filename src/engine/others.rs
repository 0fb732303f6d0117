//! The layout's other file systems: found by UUID, and mounted beside the root's top level.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::home::{self, Migration};
use super::transition::{Act, Book, Event, Images, Known, Seen, Situation, answer};
use crate::checks::MountedFilesystem;
use crate::documents::Plan;
use crate::documents::plan::{FilesystemIdentity, HOME, PlannedStep, STAGING};
use crate::steps::StepContext;
use crate::sys::{Root, block, btrfs, clock, mount};

/// How long the initramfs waits for a disk that has not answered yet.
pub const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// How long an initramfs has to look for them; none when this boot does nothing to them.
#[must_use]
pub fn patience_at_boot(migration: &Migration) -> Option<Duration> {
    let now = Situation {
        book: Book::Sound(Known::of(migration.state(), Some(migration.plan()))),
        images: Images::Armed,
        offered: true,
        running: Seen::Initramfs,
        loader_agrees: true,
        old_is_there: true,
    };
    let event = Event::Boot {
        loader_names_new: false,
    };
    let acts = answer(&now, event).unwrap_or_default();
    if [Act::Migrate, Act::GiveUp, Act::RollBack]
        .iter()
        .any(|act| acts.contains(act))
    {
        return Some(PATIENCE);
    }
    acts.contains(&Act::TakeBack).then_some(Duration::ZERO)
}

/// Mounts those of the plan's other file systems that are there, each at `base` with a number. One
/// that can't be mounted is as one that is missing; the log says why.
#[must_use]
pub fn mount_of_plan(
    system: &Root,
    plan: &Plan,
    base: &Path,
    patience: Duration,
) -> Vec<MountedFilesystem> {
    let mut mounted = Vec::new();
    for (index, other) in plan.other_filesystems.iter().enumerate() {
        let place = other.mounted_at.clone();
        let found = wait_for(system, &other.identity.uuid, patience).and_then(|device| {
            let at = numbered(base, index + 1);
            device
                .map(|device| mount_one(system, &device, &at, place, other.identity.clone()))
                .transpose()
        });
        match found {
            Ok(Some(there)) => mounted.push(there),
            Ok(None) => log::warn!(
                "{} is missing",
                in_words(&other.mounted_at, &other.identity)
            ),
            Err(cause) => log::warn!("{cause}"),
        }
    }
    mounted
}

/// Lets go of what [`mount_of_plan`] mounted.
pub fn unmount_all(system: &Root, plan: &Plan, base: &Path) {
    for number in 1..=plan.other_filesystems.len() {
        let at = numbered(base, number);
        if let Ok(true) = system.exists(&at)
            && let Err(error) = mount::unmount(&at)
        {
            log::warn!("{error}"); // what matters is durable
        }
    }
}

/// The place for the top level of the file system of this number, beside the root's.
#[must_use]
pub fn numbered(base: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number}", base.display()))
}

/// Mounts the top level of a device that was found.
///
/// # Errors
/// When that fails.
pub fn mount_one(
    system: &Root,
    device: &Path,
    at: &Path,
    mounted_at: String,
    identity: FilesystemIdentity,
) -> Result<MountedFilesystem, Error> {
    system.create_directories(at, 0o700)?;
    mount::mount_top_level(device, at)?;
    let top = Root::open(at)?;
    Ok(MountedFilesystem {
        mounted_at,
        identity,
        top,
    })
}

fn wait_for(system: &Root, uuid: &str, patience: Duration) -> Result<Option<PathBuf>, Error> {
    let mut waited = Duration::ZERO;
    loop {
        let found = find(system, uuid);
        // Of several paths to one disk all but one may still go, as a mirror is put together.
        if matches!(found, Ok(Some(_))) || waited >= patience {
            return found;
        }
        clock::pause(PAUSE);
        waited += PAUSE;
    }
}

/// The device that holds this file system: as udev names it, else the only one that has the UUID.
/// Of two, one may be a stale copy or half of a mirror: neither is touched.
///
/// # Errors
/// When there are two, or the devices can't be listed.
pub fn find(system: &Root, uuid: &str) -> Result<Option<PathBuf>, Error> {
    let holds = |device: &Path| {
        let found = block::btrfs_uuid(device).ok().flatten();
        found.as_deref() == Some(uuid)
    };
    let link = Path::new("/dev/disk/by-uuid").join(uuid);
    if holds(&link) {
        return Ok(Some(link));
    }
    let mut devices = block::block_devices(system)?;
    devices.retain(|device| holds(device));
    match devices.as_slice() {
        [] => Ok(None),
        [device] => Ok(Some(device.clone())),
        [one, other, ..] => Err(Error::NotNow(format!(
            "{} and {} both hold the file system {uuid}; nothing is done",
            one.display(),
            other.display()
        ))),
    }
}

fn in_words(mounted_at: &str, identity: &FilesystemIdentity) -> String {
    format!("the file system of {mounted_at} (UUID={})", identity.uuid)
}

/// Nothing is begun while one is missing.
///
/// # Errors
/// Which one.
pub(super) fn all_there(migration: &Migration) -> Result<(), Error> {
    for other in &migration.plan().other_filesystems {
        if !migration
            .others
            .iter()
            .any(|there| there.mounted_at == other.mounted_at)
        {
            return Err(Error::NotNow(format!(
                "{} is missing: nothing is done without it",
                in_words(&other.mounted_at, &other.identity)
            )));
        }
    }
    Ok(())
}

/// The top level of the file system that is mounted here in the old system; none when it is missing.
#[must_use]
pub(super) fn top_at<'a>(
    top: &'a Root,
    others: &'a [MountedFilesystem],
    filesystem: &str,
) -> Option<&'a Root> {
    if filesystem == "/" {
        return Some(top);
    }
    let mut others = others.iter();
    let other = others.find(|other| other.mounted_at == filesystem)?;
    Some(&other.top)
}

/// What a step may look at and change.
///
/// # Errors
/// When its file system is missing.
pub(super) fn context_of<'a>(
    plan: &'a Plan,
    top: &'a Root,
    others: &'a [MountedFilesystem],
    step: &'a PlannedStep,
) -> Result<StepContext<'a>, Error> {
    let filesystem = step.filesystem.as_str();
    let top = top_at(top, others, filesystem).ok_or_else(|| {
        let step = &step.id;
        Error::NotNow(format!(
            "step {step}: the file system of {filesystem} is missing"
        ))
    })?;
    Ok(StepContext::new(top, plan, filesystem))
}

/// Makes rootshift's own place on each: a subvolume, so that nothing in it counts as a change of
/// what is there. Repeatable; not durable before a sync.
pub(super) fn make_homes(others: &[MountedFilesystem]) -> Result<(), Error> {
    for other in others {
        home::make(&other.top)?;
        other.top.create_directories(Path::new(STAGING), 0o700)?;
    }
    Ok(())
}

/// Takes it away again, where nothing is left in it. Durable when it returns.
pub(super) fn remove_homes(others: &[MountedFilesystem]) -> Result<(), Error> {
    for other in others {
        let (home, staging) = (Path::new(HOME), Path::new(STAGING));
        if other.top.exists(staging)? && other.top.list(staging)?.is_empty() {
            other.top.remove_directory(staging)?;
        }
        if btrfs::is_subvolume(&other.top, home)? && other.top.list(home)?.is_empty() {
            btrfs::delete_subvolume(&other.top, home)?;
        }
        other.top.sync_filesystem()?;
    }
    Ok(())
}

/// Makes what was done on them durable: before the journal says so.
pub(super) fn sync(others: &[MountedFilesystem]) -> Result<(), Error> {
    for other in others {
        other.top.sync_filesystem()?;
    }
    Ok(())
}
