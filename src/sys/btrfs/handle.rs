//! Opening a directory by what it is: subvolume, inode and the transaction that made it. No name is
//! looked up, so nobody who may rename can lead this elsewhere.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};

use super::inode::born_in;
use crate::sys::{Error, Result, Root};

/// FILEID_BTRFS_WITHOUT_PARENT (linux/exportfs.h).
const WITHOUT_PARENT: i32 = 0x4d;
/// BTRFS_FID_SIZE_NON_CONNECTABLE (fs/btrfs/export.h): two u64 and a u32.
const SIZE: u32 = 20;

/// `struct file_handle` with `struct btrfs_fid` behind it.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    objectid: u64,
    root: u64,
    /// The lower half: that is all the kernel compares.
    generation: u32,
}

/// Opens the directory of this number, made in this transaction (`born`, any when 0), in the
/// subvolume of this id; `None` when it is gone. `top` is any directory of a mount of the top
/// level; `shown` names it in messages.
pub fn open_inode(
    top: &Root,
    subvolume: u64,
    inode: u64,
    born: u64,
    shown: &std::path::Path,
) -> Result<Option<Root>> {
    // Linux 6.1 takes no 0 for any (fs/btrfs/export.c, `check_generation`); 6.18 does.
    let born = match born {
        0 => born_in(top, subvolume, inode)?,
        born => Some(born),
    };
    let Some(born) = born else {
        return Ok(None);
    };
    let mut handle = Handle {
        bytes: SIZE,
        kind: WITHOUT_PARENT,
        objectid: inode,
        root: subvolume,
        generation: u32::try_from(born & u64::from(u32::MAX)).unwrap_or_default(),
    };
    let shown = top.shown(shown);
    match retry_on_intr(|| open(top, &mut handle)) {
        Ok(descriptor) => Ok(Some(Root::from_parts(descriptor, shown))),
        Err(Errno::STALE | Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(cause) => Err(Error::call("open", &shown, cause)),
    }
}

fn open(top: &Root, handle: &mut Handle) -> rustix::io::Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NOATIME;
    let mount = top.as_fd().as_raw_fd();
    let handle: *mut Handle = handle;
    // SAFETY: the pointer is to a `file_handle` whose `handle_bytes` says how much follows, and so
    // much does follow within `Handle`; the kernel only reads it.
    let opened = unsafe { libc::open_by_handle_at(mount, handle.cast(), flags) };
    if opened < 0 {
        let cause = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&cause).unwrap_or(Errno::IO));
    }
    // SAFETY: the descriptor was opened just now and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}
