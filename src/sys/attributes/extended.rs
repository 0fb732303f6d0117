//! Extended attributes: `user.*`, `security.*`, `trusted.*`, ACLs and btrfs properties.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, XattrFlags};
use rustix::io::Errno;

use crate::sys::{Directory, Error, Result, Root, sorted};

/// Extended attributes, sorted by name: `user.*`, `security.*`, `trusted.*`, ACLs (`system.posix_acl_*`)
/// and btrfs properties (`btrfs.*`).
pub type ExtendedAttributes = Vec<(OsString, Vec<u8>)>;

/// The kernel's limits for a list of names and for one value (linux/limits.h).
const ATTRIBUTE_LIMIT: usize = 64 << 10;
/// Enough for nearly every file's list of names.
const SHORT_LIST: usize = 1 << 10;

/// All extended attributes of the entry itself, also of a symlink (needs /proc).
pub fn extended_attributes(root: &Root, path: &Path) -> Result<ExtendedAttributes> {
    const ACT: &str = "read the extended attributes of";
    let shown = root.shown(path);
    if path.file_name().is_none() {
        return extended_attributes_of(&root.open_entry(ACT, path, OFlags::RDONLY)?, &shown);
    }
    let (parent, name) = root.place(ACT, path)?;
    at_descriptor(&parent, name).map_err(|cause| Error::call(ACT, &shown, cause))
}

/// Sets one extended attribute of the entry itself, also of a symlink (needs /proc).
pub fn set_extended_attribute(root: &Root, path: &Path, name: &OsStr, value: &[u8]) -> Result<()> {
    const ACT: &str = "set the extended attributes of";
    let (parent, last) = root.place(ACT, path)?;
    rustix::fs::lsetxattr(
        by_descriptor(&parent, last),
        name,
        value,
        XattrFlags::empty(),
    )
    .map_err(|cause| Error::call(ACT, &root.shown(path), cause))
}

/// All extended attributes of an open file or directory; `shown` is its path for messages.
pub fn extended_attributes_of(file: impl AsFd, shown: &Path) -> Result<ExtendedAttributes> {
    let file = file.as_fd();
    collect(
        |list| rustix::fs::flistxattr(file, list),
        |name, value| rustix::fs::fgetxattr(file, name, value),
    )
    .map_err(|cause| Error::call("read the extended attributes of", shown, cause))
}

/// All extended attributes of an entry that cannot be opened: a symlink, a device (needs /proc).
pub fn extended_attributes_at(directory: &Directory, name: &OsStr) -> Result<ExtendedAttributes> {
    at_descriptor(directory, name)
        .map_err(|cause| directory.failed("read the extended attributes of", name, cause))
}

/// Gives `to` exactly the extended attributes of `from`.
pub(in crate::sys) fn copy_extended(
    from: impl AsFd,
    from_shown: &Path,
    to: impl AsFd,
    to_shown: &Path,
) -> Result<()> {
    let to = to.as_fd();
    let wanted = extended_attributes_of(from, from_shown)?;
    let there = extended_attributes_of(to, to_shown)?;
    let failed = |cause| Error::call("set the extended attributes of", to_shown, cause);
    let is_wanted = |name: &OsString| wanted.iter().any(|(own, _)| own == name);
    for (name, _) in there.iter().filter(|(name, _)| !is_wanted(name)) {
        rustix::fs::fremovexattr(to, name.as_os_str()).map_err(failed)?;
    }
    for (name, value) in wanted.iter().filter(|own| !there.contains(own)) {
        rustix::fs::fsetxattr(to, name.as_os_str(), value, XattrFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

fn at_descriptor(directory: impl AsFd, name: &OsStr) -> rustix::io::Result<ExtendedAttributes> {
    let path = by_descriptor(directory, name);
    collect(
        |list| rustix::fs::llistxattr(&path, list),
        |name, value| rustix::fs::lgetxattr(&path, name, value),
    )
}

/// There is no getxattrat before Linux 6.13; the descriptor's link in /proc stands in for it.
fn by_descriptor(directory: impl AsFd, name: &OsStr) -> PathBuf {
    let descriptor = directory.as_fd().as_raw_fd();
    PathBuf::from(format!("/proc/self/fd/{descriptor}")).join(name)
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&OsStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<ExtendedAttributes> {
    let mut short = [0; SHORT_LIST];
    match list(&mut short) {
        Ok(length) => collect_values(short.get(..length).unwrap_or_default(), get),
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(Errno::RANGE) => {
            let mut long = vec![0; ATTRIBUTE_LIMIT];
            let length = list(&mut long)?;
            collect_values(long.get(..length).unwrap_or_default(), get)
        }
        Err(cause) => Err(cause),
    }
}

fn collect_values(
    names: &[u8],
    get: impl Fn(&OsStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<ExtendedAttributes> {
    let mut attributes = Vec::new();
    if names.is_empty() {
        return Ok(attributes);
    }
    let mut value = vec![0; ATTRIBUTE_LIMIT];
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = OsStr::from_bytes(name);
        match get(name, &mut value) {
            Ok(length) => {
                let content = value.get(..length).unwrap_or_default().to_vec();
                attributes.push((name.to_os_string(), content));
            }
            // Gone since it was listed.
            Err(Errno::NODATA) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(sorted(attributes))
}
