//! Quota groups.

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::{BTRFS_IOC_QGROUP_CREATE, BTRFS_IOC_SYNC};
use rustix::io::Errno;

use super::call::{Numbers, call};
use crate::sys::{Error, Result, Root};

/// Removes the quota group `0/ID` of a subvolume that was deleted. True once there is none, or
/// quotas are off; false as long as the kernel still needs it to count what it deletes in the
/// background. From Linux 6.11 on the kernel then removes it by itself (fs/btrfs/qgroup.c,
/// `btrfs_qgroup_cleanup_dropped_subvolume`), before it never does. Not durable before a sync.
pub fn remove_qgroup(root: &Root, subvolume: u64) -> Result<bool> {
    let directory = root.directory(std::path::Path::new(""))?;
    // Unlike syncfs(2) this also wakes the thread that deletes (fs/btrfs/ioctl.c).
    call::<BTRFS_IOC_SYNC, u64>(&directory, &mut 0)
        .map_err(|cause| Error::call("sync", directory.path(), cause))?;
    let mut argument = raw::btrfs_ioctl_qgroup_create_args::zeroed();
    argument.qgroupid = subvolume;
    match call::<BTRFS_IOC_QGROUP_CREATE, _>(&directory, &mut argument) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTCONN) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(cause) => Err(Error::call(
            "remove a quota group of",
            directory.path(),
            cause,
        )),
    }
}
