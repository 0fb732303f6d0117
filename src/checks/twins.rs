//! Two devices that hold one file system: a disk and its copy made with `dd`, an LVM snapshot. Both
//! have the UUID that root is found by, and which of them is mounted is chance (facts boot.md T43;
//! fs/btrfs/volumes.c, `device_list_add`): nothing is done to either.

use std::path::Path;

use super::Error;
use crate::sys::{Root, block};

/// Says so when more than one device holds the btrfs of this UUID.
///
/// # Errors
/// When the devices can't be listed. A device that can't be read holds nothing.
pub fn twin_devices(system: &Root, uuid: &str) -> Result<Option<String>, Error> {
    let holding = block::btrfs_devices(system, uuid)?;
    // On several devices of one file system each has a number of its own, and no more are there.
    let mut seen: Vec<(&Path, Option<(u64, u64)>)> = Vec::new();
    for device in &holding {
        let own = block::btrfs_device_number(device).ok().flatten();
        let is_full = own.is_none_or(|(_, devices)| seen.len() as u64 >= devices);
        let known = |(_, known): &&(&Path, Option<(u64, u64)>)| is_full || *known == own;
        if let Some((other, _)) = seen.iter().find(known) {
            let (one, other) = (other.display(), device.display());
            return Ok(Some(format!(
                "{one} and {other} both hold the file system {uuid}"
            )));
        }
        seen.push((device, own));
    }
    Ok(None)
}
