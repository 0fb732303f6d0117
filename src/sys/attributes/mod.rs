//! Owner, mode, extended attributes, flags and times. No change here is durable before a sync.

mod extended;
mod storage;

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

pub(in crate::sys) use extended::copy_extended;
pub use extended::{
    ExtendedAttributes, extended_attributes, extended_attributes_at, extended_attributes_of,
    set_extended_attribute,
};

pub use storage::Storage;

use super::{Error, InodeFlags, ReadOnly, Result, Root, Status, Time};

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
    from: &ReadOnly,
    from_path: &Path,
    to: &Root,
    to_path: &Path,
) -> Result<()> {
    let source = from.root().directory(from_path)?;
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

/// The flags of an open file or directory; none where the file system has no flags.
pub fn flags_of(file: impl AsFd, shown: &Path) -> Result<InodeFlags> {
    match rustix::fs::ioctl_getflags(file) {
        Ok(flags) => Ok(InodeFlags::from_bits(flags.bits())),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(InodeFlags::default()),
        Err(cause) => Err(Error::call("read the flags of", shown, cause)),
    }
}

/// How what is written to a file or directory is stored: its flags, and btrfs's own property
/// `compression` where it has one.
pub fn storage_of(root: &Root, path: &Path) -> Result<(InodeFlags, Option<String>)> {
    const ACT: &str = "read the properties of";
    const LONGEST: usize = 32;
    let shown = root.shown(path);
    let file = root.open_entry(ACT, path, OFlags::RDONLY)?;
    let mut value = [0; LONGEST];
    let compression = match rustix::fs::fgetxattr(&file, "btrfs.compression", &mut value) {
        Ok(length) => value.get(..length),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        Err(cause) => return Err(Error::call(ACT, &shown, cause)),
    };
    let compression = compression.map(|value| String::from_utf8_lossy(value).into_owned());
    Ok((flags_of(&file, &shown)?, compression))
}

/// Sets the flags of an open file or directory, all at once.
pub fn set_flags_of(file: impl AsFd, shown: &Path, bits: u32) -> Result<()> {
    rustix::fs::ioctl_setflags(file, IFlags::from_bits_retain(bits))
        .map_err(|cause| Error::call("set the flags of", shown, cause))
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

pub(in crate::sys) fn timestamps(status: &Status) -> Timestamps {
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
