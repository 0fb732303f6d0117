//! Owner, mode, extended attributes, flags and times. No change here is durable before a sync.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::{Directory, Error, InodeFlags, Result, Root, Status, Time};

/// Extended attributes by name: `user.*`, `security.*`, `trusted.*`, ACLs (`system.posix_acl_*`)
/// and btrfs properties (`btrfs.*`).
pub type ExtendedAttributes = BTreeMap<OsString, Vec<u8>>;

/// The kernel's limits for a list of names and for one value (linux/limits.h).
const ATTRIBUTE_LIMIT: usize = 64 << 10;
/// Enough for nearly every file's list of names.
const SHORT_LIST: usize = 1 << 10;

/// The flags that can be set; the others only describe how a file is stored (btrfs ioctl.c).
const SETTABLE: IFlags = IFlags::SYNC
    .union(IFlags::DIRSYNC)
    .union(IFlags::IMMUTABLE)
    .union(IFlags::APPEND)
    .union(IFlags::NODUMP)
    .union(IFlags::NOATIME)
    .union(IFlags::COMPRESSED)
    .union(IFlags::from_bits_retain(
        linux_raw_sys::general::FS_NOCOMP_FL,
    ))
    .union(IFlags::NOCOW);
const LOCKS: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Makes one directory look like another: owner, mode, flags, extended attributes, times.
///
/// Attributes that only the target has are removed. Entries are not touched. Not atomic: after a
/// cut it is to be done again.
pub fn copy_directory_attributes(
    from: &Root,
    from_path: &Path,
    to: &Root,
    to_path: &Path,
) -> Result<()> {
    let source = from.directory(from_path)?;
    let target = to.directory(to_path)?;
    let status = source.status()?;
    let flags = settable_flags(&source, source.path())?;
    let act = "copy attributes to";
    let failed = |cause: Errno| Error::call(act, target.path(), cause);

    // Order: a locked directory takes nothing; chown drops set-ID bits and capabilities; setting
    // flags drops btrfs.compression, which the attributes then bring; any of them moves times.
    write_flags(&target, target.path(), flags.difference(LOCKS))?;
    let (owner, group) = (Uid::from_raw(status.uid), Gid::from_raw(status.gid));
    rustix::fs::fchown(&target, Some(owner), Some(group)).map_err(failed)?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(status.mode)).map_err(failed)?;
    copy_extended(&source, source.path(), &target, target.path())?;
    rustix::fs::futimens(&target, &timestamps(&status)).map_err(failed)?;
    if flags.intersects(LOCKS) {
        // Last, since times of a locked directory cannot be set; this moves only ctime.
        write_flags(&target, target.path(), flags)?;
    }
    Ok(())
}

/// Sets the times of the entry itself, also of a symlink.
pub fn set_times(root: &Root, path: &Path, accessed: Time, modified: Time) -> Result<()> {
    const ACT: &str = "set the times of";
    let times = Timestamps {
        last_access: timespec(accessed),
        last_modification: timespec(modified),
    };
    let done = if path.file_name().is_none() {
        let directory = root.open_entry(ACT, path, OFlags::RDONLY)?;
        rustix::fs::futimens(directory, &times)
    } else {
        let (parent, name) = root.place(ACT, path)?;
        rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
    };
    done.map_err(|cause| Error::call(ACT, &root.shown(path), cause))
}

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

/// The flags of an open file or directory; none where the file system has no flags.
pub fn flags_of(file: impl AsFd, shown: &Path) -> Result<InodeFlags> {
    match rustix::fs::ioctl_getflags(file) {
        Ok(flags) => Ok(InodeFlags::from_bits(flags.bits())),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(InodeFlags::default()),
        Err(cause) => Err(Error::call("read the flags of", shown, cause)),
    }
}

/// Sets the flags of an open file or directory, all at once.
pub fn set_flags_of(file: impl AsFd, shown: &Path, bits: u32) -> Result<()> {
    rustix::fs::ioctl_setflags(file, IFlags::from_bits_retain(bits))
        .map_err(|cause| Error::call("set the flags of", shown, cause))
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
    for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
        rustix::fs::fremovexattr(to, name.as_os_str()).map_err(failed)?;
    }
    for (name, value) in wanted
        .iter()
        .filter(|(name, value)| there.get(*name) != Some(*value))
    {
        rustix::fs::fsetxattr(to, name.as_os_str(), value, XattrFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

fn settable_flags(file: impl AsFd, shown: &Path) -> Result<IFlags> {
    let bits = flags_of(file, shown)?.bits;
    Ok(IFlags::from_bits_retain(bits).intersection(SETTABLE))
}

/// Nothing is asked of a file system without flags as long as none is wanted.
fn write_flags(file: impl AsFd, shown: &Path, wanted: IFlags) -> Result<()> {
    let file = file.as_fd();
    if settable_flags(file, shown)? == wanted {
        return Ok(());
    }
    set_flags_of(file, shown, wanted.bits())
}

fn timestamps(status: &Status) -> Timestamps {
    Timestamps {
        last_access: timespec(status.accessed),
        last_modification: timespec(status.modified),
    }
}

fn timespec(time: Time) -> Timespec {
    Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    }
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
        Err(Errno::OPNOTSUPP) => Ok(BTreeMap::new()),
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
    let mut attributes = BTreeMap::new();
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
                attributes.insert(name.to_os_string(), content);
            }
            // Gone since it was listed.
            Err(Errno::NODATA) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(attributes)
}

/// A stretch of a file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

/// The first stretch of data at or after `offset`; `None` when only a hole follows.
///
/// Moves the descriptor's position.
pub fn next_data(file: &File, offset: u64, shown: &Path) -> Result<Option<Segment>> {
    use rustix::fs::{SeekFrom, seek};
    let failed = |cause| Error::call("look for holes in", shown, cause);
    let start = match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let end = seek(file, SeekFrom::Hole(start)).map_err(failed)?;
    Ok(Some(Segment { start, end }))
}
