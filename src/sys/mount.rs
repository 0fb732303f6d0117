//! The mount table.
use super::{Error, Result};
use std::path::{Path, PathBuf};
/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Field 1: unique number of the mount.
    pub id: u64,
    /// Field 2: the mount it is mounted on.
    pub parent_id: u64,
    /// Field 3: `major:minor` of the file system.
    pub device: String,
    /// Field 4: the directory of the file system that is shown, on btrfs the subvolume's path.
    pub root: PathBuf,
    /// Field 5: where.
    pub mount_point: PathBuf,
    /// Field 6: options of this mount.
    pub options: String,
    /// File system type.
    pub fstype: String,
    /// The device or another word.
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
}
/// skeleton
#[must_use]
pub fn parse_mountinfo(_text: &str) -> Vec<Mount> {
    Vec::new()
}
/// skeleton
pub fn mount_top_level(device: &Path, _target: &Path) -> Result<()> {
    Err(Error::malformed("call", device, "not written yet"))
}
/// skeleton
pub fn mount_top_level_read_only(device: &Path, _target: &Path) -> Result<()> {
    Err(Error::malformed("call", device, "not written yet"))
}
/// skeleton
pub fn unmount(target: &Path) -> Result<()> {
    Err(Error::malformed("call", target, "not written yet"))
}
/// skeleton
pub fn private_namespace() -> Result<()> {
    Err(Error::malformed("call", Path::new("/"), "not written yet"))
}
