//! The btrfs that takes a copy.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::source::Source;
use crate::engine::Error;
use crate::engine::others::find;
use crate::engine::survey::Survey;
use crate::sys::mount::{self, Mount};
use crate::sys::{FileKind, Root, block, btrfs, ext4};

/// Where one that is not mounted is looked at; in the mount table of this process alone.
const MOUNT_AT: &str = "/run/rootshift/target";

/// A btrfs that files could be copied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its device.
    pub device: PathBuf,
    /// Its UUID, lower case.
    pub uuid: String,
    /// Its size.
    pub size_bytes: u64,
    /// Thereof free.
    pub available_bytes: u64,
    /// Why it can't take them, whatever their size, with the remedy.
    #[serde(skip)]
    pub problem: Option<String>,
}

/// The one that a batch names.
pub(super) fn named(survey: &Survey, name: &str, source: &Source) -> Result<Target, Error> {
    let refuse = |why: String| Err(Error::Unresolved(format!("target {name}: {why}")));
    let found = match name.strip_prefix("UUID=") {
        Some(uuid) if uuid.eq_ignore_ascii_case(&source.superblock.uuid) => {
            Some(source.device.clone())
        }
        Some(uuid) => find(&survey.system, &uuid.to_ascii_lowercase())?,
        None => Some(PathBuf::from(name)),
    };
    let Some(device) = found else {
        return refuse(
            "no device holds a btrfs of this UUID; `lsblk -f` lists what there is".into(),
        );
    };
    let status = survey.system.resolved_status(&device)?;
    if status.is_none_or(|status| status.kind != FileKind::BlockDevice) {
        return refuse("there is no such block device; `lsblk` lists what there is".into());
    }
    let there = ext4::superblock(&device)?;
    if there.is_some_and(|there| there.uuid == source.superblock.uuid) {
        let place = &source.place;
        return refuse(format!("that is {place} itself; name another file system"));
    }
    match block::btrfs_uuid(&device)? {
        Some(uuid) => look(survey, device, uuid),
        None => {
            refuse("there is no btrfs on it; `mkfs.btrfs` makes one and deletes the rest".into())
        }
    }
}

/// All empty ones of this machine, in the order of their devices. What can't be looked at is
/// none of them.
///
/// # Errors
/// When the devices can't be listed.
pub fn candidates(survey: &Survey) -> Result<Vec<Target>, Error> {
    let mut found = Vec::new();
    for device in block::block_devices(&survey.system)? {
        let Ok(Some(uuid)) = block::btrfs_uuid(&device) else {
            continue;
        };
        match look(survey, device, uuid) {
            Ok(target) if target.problem.is_none() => found.push(target),
            Ok(target) => log::debug!("{target:?}"),
            Err(error) => log::debug!("{error}"),
        }
    }
    Ok(found)
}

fn look(survey: &Survey, device: PathBuf, uuid: String) -> Result<Target, Error> {
    let mut target = Target {
        device,
        uuid,
        size_bytes: 0,
        available_bytes: 0,
        problem: None,
    };
    match mounted(survey, &target.device)? {
        Some(mount) => {
            let top = survey.system.within(&mount.mount_point)?;
            measure(&mut target, &top)?;
            if mount.root != Path::new("/") {
                target.problem = Some(not_empty(&target));
            }
        }
        None => {
            let at = Path::new(MOUNT_AT);
            survey.system.create_directories(at, 0o700)?;
            mount::mount_top_level_read_only(&target.device, at)?;
            let measured = Root::open(at).and_then(|top| measure(&mut target, &top));
            mount::unmount(at)?;
            measured?;
        }
    }
    Ok(target)
}

/// Where it is mounted; as a whole, if it is.
fn mounted<'a>(survey: &'a Survey, device: &Path) -> Result<Option<&'a Mount>, Error> {
    let number = |path: &Path| -> Result<Option<u64>, Error> {
        let status = survey.system.resolved_status(path)?;
        Ok(status.map(|status| status.special_device))
    };
    let wanted = number(device)?;
    let mut found = None;
    for mount in &survey.mounts {
        if mount.fstype == "btrfs" && number(Path::new(&mount.source))? == wanted {
            found = Some(mount);
            if mount.root == Path::new("/") {
                break;
            }
        }
    }
    Ok(found)
}

fn measure(target: &mut Target, top: &Root) -> crate::sys::Result<()> {
    let space = top.free_space()?;
    target.size_bytes = space.total_bytes;
    target.available_bytes = space.available_bytes;
    let devices = btrfs::filesystem(top)?.devices;
    if devices > 1 {
        let device = target.device.display();
        target.problem = Some(format!("{device} is one of {devices} devices of its btrfs"));
    } else if !top.list(Path::new("."))?.is_empty() {
        target.problem = Some(not_empty(target));
    }
    Ok(())
}

fn not_empty(target: &Target) -> String {
    let device = target.device.display();
    format!("the target {device} is not empty; name one that is")
}
