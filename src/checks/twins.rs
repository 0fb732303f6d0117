//! Two devices that hold one file system: a disk and its copy made with `dd`, an LVM snapshot. Both
//! have the UUID that root is found by, and which of them is mounted is chance (facts boot.md T43;
//! fs/btrfs/volumes.c, `device_list_add`): nothing is done to either.

use std::path::PathBuf;

use super::Error;
use crate::sys::{Root, block};

/// Says so when more than one device holds the btrfs of this UUID.
///
/// # Errors
/// When the devices can't be listed. A device that can't be read holds nothing.
pub fn twin_devices(system: &Root, uuid: &str) -> Result<Option<String>, Error> {
    let holding = block::btrfs_devices(system, uuid)?;
    let [one, other, ..] = holding.as_slice() else {
        return Ok(None);
    };
    // On several devices of one file system each has a number of its own.
    let number = |device: &PathBuf| block::btrfs_device_number(device).ok().flatten();
    let rest = |index: usize| holding.get(index + 1..).unwrap_or_default();
    let mut all = holding.iter().enumerate();
    if !all.any(|(index, one)| rest(index).iter().any(|other| number(one) == number(other))) {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} and {} both hold the file system {uuid}",
        one.display(),
        other.display()
    )))
}
