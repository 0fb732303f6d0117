//! Block devices, read only.
use super::{Error, Result, Root};
use std::path::{Path, PathBuf};
/// skeleton
pub fn btrfs_uuid(device: &Path) -> Result<Option<String>> {
    Err(Error::malformed("call", device, "not written yet"))
}
/// skeleton
pub fn hibernation_image(device: &Path) -> Result<Option<&'static str>> {
    Err(Error::malformed("call", device, "not written yet"))
}
/// skeleton
pub fn hibernation_image_at(device: &Path, _page: u64) -> Result<Option<&'static str>> {
    Err(Error::malformed("call", device, "not written yet"))
}
/// skeleton
pub fn block_devices(root: &Root) -> Result<Vec<PathBuf>> {
    Err(Error::malformed("call", root.path(), "not written yet"))
}
