//! Removing whole trees.
use super::Error;
use crate::sys::Root;
use std::path::Path;
/// skeleton
pub fn remove_tree(
    _root: &Root,
    _path: &Path,
    _on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    Ok(0)
}
