//! One subvolume: make, snapshot, delete, ask.

use std::ffi::{OsStr, c_char};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::{
    BTRFS_IOC_GET_SUBVOL_INFO, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SNAP_DESTROY,
    BTRFS_IOC_SNAP_DESTROY_V2, BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SUBVOL_GETFLAGS,
    BTRFS_IOC_SUBVOL_SETFLAGS,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::call::{Numbers, call, name_argument};
use crate::sys::{Error, InodeFlags, ReadOnly, Result, Root};

/// BTRFS_FIRST_FREE_OBJECTID: the inode of every subvolume's root.
pub const ROOT_INODE: u64 = 256;
/// `f_type` of statfs(2).
const BTRFS_MAGIC: u64 = 0x9123_683e;
/// Longest name of an entry (linux/limits.h).
const NAME_LIMIT: usize = 255;

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

/// Makes a writable snapshot of the subvolume at `from_path`. Nested subvolumes become empty
/// stubs (inode 2). Do not rely on it being durable: sync (facts crash.md 3).
pub fn snapshot(from: &ReadOnly, from_path: &Path, to: &Root, to_path: &Path) -> Result<()> {
    snapshot_as(from, from_path, to, to_path, false)
}

/// The same, read-only if it is to be: then it keeps what `btrfs receive` has marked it with.
pub fn snapshot_as(
    from: &ReadOnly,
    from_path: &Path,
    to: &Root,
    to_path: &Path,
    read_only: bool,
) -> Result<()> {
    const ACT: &str = "snapshot";
    let source = from.root().directory(from_path)?;
    let (parent, name) = parent_for_ioctl(ACT, to, to_path)?;
    let failed = |cause| Error::pair(ACT, source.path(), &to.shown(to_path), cause);
    let mut argument = name_argument(name_field(name).map_err(failed)?);
    argument.fd = source.as_fd().as_raw_fd().into();
    if read_only {
        argument.flags = raw::BTRFS_SUBVOL_RDONLY.into();
    }
    call::<BTRFS_IOC_SNAP_CREATE_V2, _>(parent, &mut argument).map_err(failed)
}

/// Makes an empty subvolume that is its owner's alone (0700), whatever the umask. Not durable
/// before a sync.
pub fn create_subvolume(root: &Root, path: &Path) -> Result<()> {
    const ACT: &str = "create subvolume";
    let (parent, name) = parent_for_ioctl(ACT, root, path)?;
    // Beforehand: nobody can put anything in it in between. The kernel takes 0777 off the umask.
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let made = call_by_name::<BTRFS_IOC_SUBVOL_CREATE>(&parent, name);
    rustix::process::umask(before);
    made.map_err(|cause| Error::call(ACT, &root.shown(path), cause))
}

/// Deletes a subvolume with all files in it, also immutable and read-only ones; its name is gone
/// at once, its space in the background. One that holds subvolumes is refused
/// ([`Error::is_not_empty`]). Not durable before a sync.
pub fn delete_subvolume(root: &Root, path: &Path) -> Result<()> {
    const ACT: &str = "delete subvolume";
    let failed = |cause| Error::call(ACT, &root.shown(path), cause);
    if !is_subvolume(root, path)? {
        // The kernel says only "Invalid argument", for many reasons.
        let missing = !root.exists(path)?;
        let problem = || Error::malformed("subvolume", &root.shown(path), "not a subvolume");
        return Err(if missing {
            failed(Errno::NOENT)
        } else {
            problem()
        });
    }
    let (parent, name) = parent_for_ioctl(ACT, root, path)?;
    match call_by_name::<BTRFS_IOC_SNAP_DESTROY>(&parent, name) {
        Err(Errno::ROFS | Errno::PERM) if unlock(root, path)? => {
            call_by_name::<BTRFS_IOC_SNAP_DESTROY>(&parent, name).map_err(failed)
        }
        done => done.map_err(failed),
    }
}

/// Deletes the subvolume of this id, as [`delete_subvolume`] does, whatever its name is by now.
/// `top` is the top level; `path` is for kernels before 5.7, which know names only, and for
/// messages: there the caller has seen just now that it is the one.
pub fn delete_subvolume_of_id(top: &Root, id: u64, path: &Path) -> Result<()> {
    let directory = top.directory(Path::new(""))?;
    let mut argument = raw::btrfs_ioctl_vol_args_v2::zeroed();
    argument.flags = u64::from(raw::BTRFS_SUBVOL_SPEC_BY_ID);
    argument.__bindgen_anon_2.subvolid = id;
    match call::<BTRFS_IOC_SNAP_DESTROY_V2, _>(&directory, &mut argument) {
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => delete_subvolume(top, path),
        done => done.map_err(|cause| Error::call("delete subvolume", &top.shown(path), cause)),
    }
}

/// Is this the root of a subvolume (a directory with inode 256 on btrfs)? The stub of one in a
/// snapshot is none; `false` when it is missing.
pub fn is_subvolume(root: &Root, path: &Path) -> Result<bool> {
    let Some(status) = root.status(path)? else {
        return Ok(false);
    };
    if !status.is_directory() || status.inode != ROOT_INODE {
        return Ok(false);
    }
    let directory = root.directory(path)?;
    let raw = rustix::fs::fstatfs(&directory)
        .map_err(|cause| Error::call("ask the file system of", directory.path(), cause))?;
    Ok(u64::try_from(raw.f_type).is_ok_and(|kind| kind == BTRFS_MAGIC))
}

/// What the kernel knows about the subvolume in which `path` (a directory) lies.
pub fn subvolume_info(root: &Root, path: &Path) -> Result<SubvolumeInfo> {
    let directory = root.directory(path)?;
    let mut info = raw::btrfs_ioctl_get_subvol_info_args::zeroed();
    call::<BTRFS_IOC_GET_SUBVOL_INFO, _>(&directory, &mut info)
        .map_err(|cause| Error::call("ask about the subvolume", directory.path(), cause))?;
    Ok(SubvolumeInfo {
        id: info.treeid,
        parent_id: info.parent_id,
        directory_id: info.dirid,
        generation: info.generation,
        created_generation: info.otransid,
        uuid: info.uuid,
        parent_uuid: info.parent_uuid,
        received_uuid: info.received_uuid,
        read_only: info.flags & u64::from(raw::BTRFS_ROOT_SUBVOL_RDONLY) != 0,
    })
}

/// Makes the subvolume at `path` read-only or writable. Not durable before a sync.
pub fn set_read_only(root: &Root, path: &Path, read_only: bool) -> Result<()> {
    const BIT: u64 = raw::BTRFS_SUBVOL_RDONLY as u64;
    let directory = root.directory(path)?;
    let failed = |cause| Error::call("set the flags of subvolume", directory.path(), cause);
    let mut flags = 0_u64;
    call::<BTRFS_IOC_SUBVOL_GETFLAGS, _>(&directory, &mut flags).map_err(failed)?;
    flags = if read_only { flags | BIT } else { flags & !BIT };
    call::<BTRFS_IOC_SUBVOL_SETFLAGS, _>(&directory, &mut flags).map_err(failed)
}

/// Fails as a change in it would where the subvolume can only be read.
pub fn require_writable(root: &Root, path: &Path) -> Result<()> {
    match subvolume_info(root, path)?.read_only {
        true => Err(Error::call("change", &root.shown(path), Errno::ROFS)),
        false => Ok(()),
    }
}

/// Does this while a directory or subvolume is not locked, as it must not be when it gets another
/// name. Afterwards it is locked as it was, whatever its name is then; a power cut in between
/// loses the lock.
///
/// # Errors
/// When the lock can't be taken off or put on; what was done then is done.
pub fn unlocked<T>(root: &Root, path: &Path, act: impl FnOnce() -> T) -> Result<T> {
    let here = Path::new(".");
    let held = root.held(path)?;
    let bits = held.flags(here)?.bits;
    if bits & InodeFlags::LOCKS == 0 {
        return Ok(act());
    }
    let read_only = subvolume_info(&held, here)?.read_only;
    if read_only {
        set_read_only(&held, here, false)?;
    }
    held.set_flags(here, bits & !InodeFlags::LOCKS)?;
    let done = act();
    held.set_flags(here, bits)?;
    if read_only {
        set_read_only(&held, here, true)?;
    }
    Ok(done)
}

/// Takes away what forbids a deletion or a new name: the read-only flag of the subvolume, and the
/// locks of the directory. Was there any? Not durable before a sync.
pub fn unlock(root: &Root, path: &Path) -> Result<bool> {
    let read_only = subvolume_info(root, path)?.read_only;
    if read_only {
        set_read_only(root, path, false)?;
    }
    let bits = root.flags(path)?.bits;
    let locked = bits & InodeFlags::LOCKS != 0;
    if locked {
        root.set_flags(path, bits & !InodeFlags::LOCKS)?;
    }
    Ok(read_only || locked)
}

/// An ioctl needs a descriptor that is open for reading, not only for resolving.
fn parent_for_ioctl<'a>(
    act: &'static str,
    root: &'a Root,
    path: &'a Path,
) -> Result<(OwnedFd, &'a OsStr)> {
    let (held, name) = root.place(act, path)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat(&held, ".", flags, Mode::empty())
        .map_err(|cause| Error::call(act, &root.shown(path), cause))?;
    Ok((parent, name))
}

fn call_by_name<const OPCODE: rustix::ioctl::Opcode>(
    parent: &OwnedFd,
    name: &OsStr,
) -> rustix::io::Result<()> {
    let mut argument = raw::btrfs_ioctl_vol_args::zeroed();
    argument.name = name_field(name)?;
    call::<OPCODE, _>(parent, &mut argument)
}

/// A name as the kernel takes it: NUL-terminated in a fixed field.
fn name_field<const SIZE: usize>(name: &OsStr) -> rustix::io::Result<[c_char; SIZE]> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_LIMIT {
        return Err(Errno::NAMETOOLONG);
    }
    let mut field = [0; SIZE];
    for (place, byte) in field.iter_mut().zip(bytes) {
        *place = c_char::from_ne_bytes([*byte]);
    }
    Ok(field)
}
