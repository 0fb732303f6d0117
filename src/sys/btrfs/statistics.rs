//! The errors that a btrfs has counted on its devices, since they were made or last reset.

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::{BTRFS_IOC_DEV_INFO, BTRFS_IOC_GET_DEV_STATS};
use rustix::io::Errno;

use super::call::{Numbers, call};
use super::space::information;
use crate::sys::{Error, Result, Root};

/// What the counters of one device count (linux/btrfs.h, `btrfs_dev_stat_values`).
pub const ERROR_KINDS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];

/// The counters of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceErrors {
    /// The device's number in the file system.
    pub id: u64,
    /// Errors of each of [`ERROR_KINDS`].
    pub counters: [u64; 5],
}

/// The counters of every device of the btrfs that `root` lies on; an error on another file system.
pub fn device_errors(root: &Root) -> Result<Vec<DeviceErrors>> {
    counters(root).map_err(|cause| match cause {
        Errno::NOTTY | Errno::OPNOTSUPP => {
            Error::malformed("file system of", root.path(), "not btrfs")
        }
        cause => Error::call("read the error counters of", root.path(), cause),
    })
}

fn counters(root: &Root) -> rustix::io::Result<Vec<DeviceErrors>> {
    let mut devices = Vec::new();
    for id in 1..=information(root)?.max_id {
        let mut known = raw::btrfs_ioctl_dev_info_args::zeroed();
        known.devid = id;
        match call::<BTRFS_IOC_DEV_INFO, _>(root, &mut known) {
            // Ids of removed devices are not given again.
            Err(Errno::NODEV) => continue,
            done => done?,
        }
        let mut statistics = raw::btrfs_ioctl_get_dev_stats::zeroed();
        statistics.devid = id;
        statistics.nr_items = ERROR_KINDS.len() as u64;
        call::<BTRFS_IOC_GET_DEV_STATS, _>(root, &mut statistics)?;
        let counters = statistics.values;
        devices.push(DeviceErrors { id, counters });
    }
    Ok(devices)
}
