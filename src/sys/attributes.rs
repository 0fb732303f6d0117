//! Owner, mode, extended attributes, flags and times.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;

use super::{Directory, Error, InodeFlags, Result, Root, Time};

fn todo_error(path: &Path) -> Error {
    Error::malformed("call", path, "not written yet")
}
/// skeleton
pub fn copy_directory_attributes(
    _from: &Root,
    from_path: &Path,
    _to: &Root,
    _to_path: &Path,
) -> Result<()> {
    Err(todo_error(from_path))
}
/// skeleton
pub fn set_times(_root: &Root, path: &Path, _accessed: Time, _modified: Time) -> Result<()> {
    Err(todo_error(path))
}
/// skeleton
pub fn extended_attributes(_root: &Root, path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    Err(todo_error(path))
}
/// skeleton
pub fn extended_attributes_of(_file: &File, shown: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    Err(todo_error(shown))
}
/// skeleton
pub fn extended_attributes_at(
    _directory: &Directory,
    name: &OsStr,
) -> Result<BTreeMap<OsString, Vec<u8>>> {
    Err(todo_error(Path::new(name)))
}
/// skeleton
pub fn flags_of(_file: &File, shown: &Path) -> Result<InodeFlags> {
    Err(todo_error(shown))
}
pub(in crate::sys) fn copy_extended(
    _from: &File,
    from_shown: &Path,
    _to: &File,
    _to_shown: &Path,
) -> Result<()> {
    Err(todo_error(from_shown))
}
