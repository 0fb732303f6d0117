//! btrfs: subvolumes, the trees, space.
use super::{Error, Result, Root};
use std::path::{Path, PathBuf};
fn todo_error(root: &Root) -> Error {
    Error::malformed("call", root.path(), "not written yet")
}
/// skeleton
pub fn snapshot(from: &Root, _from_path: &Path, _to: &Root, _to_path: &Path) -> Result<()> {
    Err(todo_error(from))
}
/// skeleton
pub fn create_subvolume(root: &Root, _path: &Path) -> Result<()> {
    Err(todo_error(root))
}
/// skeleton
pub fn delete_subvolume(root: &Root, _path: &Path) -> Result<()> {
    Err(todo_error(root))
}
/// skeleton
pub fn is_subvolume(root: &Root, _path: &Path) -> Result<bool> {
    Err(todo_error(root))
}
/// skeleton
pub fn subvolume_info(root: &Root, _path: &Path) -> Result<SubvolumeInfo> {
    Err(todo_error(root))
}
/// skeleton
pub fn list_subvolumes(top_level: &Root) -> Result<Vec<Subvolume>> {
    Err(todo_error(top_level))
}
/// skeleton
pub fn first_change_since(subvolume: &Root, _generation: u64) -> Result<Option<u64>> {
    Err(todo_error(subvolume))
}
/// skeleton
pub fn space(root: &Root) -> Result<Space> {
    Err(todo_error(root))
}
/// skeleton
pub fn filesystem(root: &Root) -> Result<Filesystem> {
    Err(todo_error(root))
}
/// skeleton
pub fn quotas_enabled(root: &Root) -> Result<bool> {
    Err(todo_error(root))
}

/// What the kernel knows about one subvolume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubvolumeInfo {
    /// Its id; 5 is the top level.
    pub id: u64,
    /// The subvolume in which its name lies; 0 for the top level.
    pub parent_id: u64,
    /// The directory (inode in the parent subvolume) in which its name lies.
    pub directory_id: u64,
    /// The transaction of the last change.
    pub generation: u64,
    /// The transaction in which it was made (otransid); 0 for the top level.
    pub created_generation: u64,
    /// Its own UUID; zero for the top level of old file systems.
    pub uuid: [u8; 16],
    /// The subvolume it is a snapshot of; zero when it is none.
    pub parent_uuid: [u8; 16],
    /// Set by `btrfs receive`; zero else.
    pub received_uuid: [u8; 16],
    /// Nothing can be changed in it.
    pub read_only: bool,
}

/// A subvolume and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subvolume {
    /// Its id.
    pub id: u64,
    /// The subvolume in which its name lies.
    pub parent_id: u64,
    /// Relative to the top level.
    pub path: PathBuf,
}

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
}
