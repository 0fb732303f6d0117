//! How much room there is, and what the file system is.

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::{BTRFS_IOC_DEV_INFO, BTRFS_IOC_FS_INFO, BTRFS_IOC_SPACE_INFO};
use rustix::io::Errno;

use super::call::{Numbers, SPACE_SLOTS, Spaces, call};
use crate::sys::{Error, Result, Root, block};

/// How the space is used. Bytes; totals and used are of data, not of the copies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Size of all devices together.
    pub device_size: u64,
    /// Raw bytes of the devices in no chunk yet.
    pub unallocated: u64,
    /// In data chunks.
    pub data_total: u64,
    /// Thereof used.
    pub data_used: u64,
    /// In metadata chunks.
    pub metadata_total: u64,
    /// Thereof used.
    pub metadata_used: u64,
    /// Kept back by the kernel within metadata.
    pub global_reserve: u64,
    /// Raw bytes that one byte of metadata takes: 1 (single, RAID0) or more (DUP, RAID1: 2).
    pub metadata_copies: u64,
}

/// What a file system says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// 8-4-4-4-12, lower case.
    pub uuid: String,
    /// Number of devices.
    pub devices: u64,
    /// Size of a tree block in bytes.
    pub node_size: u32,
    /// Smallest piece of data in bytes.
    pub sector_size: u32,
    /// The transaction last committed; 0 when the kernel (before 5.10) does not tell.
    pub generation: u64,
}

/// How the space is used. Mixed block groups count as data and as metadata.
pub fn space(root: &Root) -> Result<Space> {
    let failed = |cause| Error::call("ask the space of", root.path(), cause);
    let mut space = Space {
        metadata_copies: 1,
        ..Space::default()
    };
    let mut argument = Spaces::zeroed();
    argument.slots = SPACE_SLOTS as u64;
    call::<BTRFS_IOC_SPACE_INFO, _>(root, &mut argument).map_err(failed)?;
    let count = usize::try_from(argument.total).unwrap_or(SPACE_SLOTS);
    for part in argument.spaces.iter().take(count) {
        add(&mut space, part);
    }
    add_devices(root, &mut space).map_err(failed)?;
    Ok(space)
}

fn add(space: &mut Space, part: &raw::btrfs_ioctl_space_info) {
    let is = |kind: u32| part.flags & u64::from(kind) != 0;
    if part.flags & raw::BTRFS_SPACE_INFO_GLOBAL_RSV != 0 {
        space.global_reserve = part.total_bytes;
        return;
    }
    if is(raw::BTRFS_BLOCK_GROUP_DATA) {
        space.data_total = space.data_total.saturating_add(part.total_bytes);
        space.data_used = space.data_used.saturating_add(part.used_bytes);
    }
    if is(raw::BTRFS_BLOCK_GROUP_METADATA) {
        space.metadata_total = space.metadata_total.saturating_add(part.total_bytes);
        space.metadata_used = space.metadata_used.saturating_add(part.used_bytes);
        space.metadata_copies = space.metadata_copies.max(copies(part.flags));
    }
}

fn copies(flags: u64) -> u64 {
    let is = |profile: u32| flags & u64::from(profile) != 0;
    if is(raw::BTRFS_BLOCK_GROUP_RAID1C4) {
        4
    } else if is(raw::BTRFS_BLOCK_GROUP_RAID1C3) {
        3
    } else if is(raw::BTRFS_BLOCK_GROUP_DUP)
        || is(raw::BTRFS_BLOCK_GROUP_RAID1)
        || is(raw::BTRFS_BLOCK_GROUP_RAID10)
    {
        2
    } else {
        1
    }
}

fn add_devices(root: &Root, space: &mut Space) -> rustix::io::Result<()> {
    let last = information(root)?.max_id;
    for id in 1..=last {
        let mut device = raw::btrfs_ioctl_dev_info_args::zeroed();
        device.devid = id;
        match call::<BTRFS_IOC_DEV_INFO, _>(root, &mut device) {
            // Ids of removed devices are not given again.
            Err(Errno::NODEV) => continue,
            done => done?,
        }
        let unallocated = device.total_bytes.saturating_sub(device.bytes_used);
        space.device_size = space.device_size.saturating_add(device.total_bytes);
        space.unallocated = space.unallocated.saturating_add(unallocated);
    }
    Ok(())
}

pub(super) fn information(root: &Root) -> rustix::io::Result<raw::btrfs_ioctl_fs_info_args> {
    let mut argument = raw::btrfs_ioctl_fs_info_args::zeroed();
    argument.flags = u64::from(raw::BTRFS_FS_INFO_FLAG_GENERATION);
    call::<BTRFS_IOC_FS_INFO, _>(root, &mut argument)?;
    Ok(argument)
}

/// What the file system says about itself; an error when it is no btrfs.
pub fn filesystem(root: &Root) -> Result<Filesystem> {
    let answer = information(root)
        .map_err(|cause| Error::call("ask the file system of", root.path(), cause))?;
    let told_generation = answer.flags & u64::from(raw::BTRFS_FS_INFO_FLAG_GENERATION) != 0;
    Ok(Filesystem {
        uuid: block::uuid_text(answer.fsid),
        devices: answer.num_devices,
        node_size: answer.nodesize,
        sector_size: answer.sectorsize,
        generation: if told_generation {
            answer.generation
        } else {
            0
        },
    })
}
