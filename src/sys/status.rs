//! What the kernel says about one file: kind, owner, times, flags.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{IFlags, Statx, StatxFlags, StatxTimestamp};

use super::root::status_at;
use super::{Error, Result};

/// A point in time: seconds since 1970 (negative before) and nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory, which may be the root of a subvolume or of a mount.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

/// The answer of statx(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 0o7777 at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Inode number: 256 at the root of a btrfs subvolume, 2 at the stub of one in a snapshot.
    pub inode: u64,
    /// Number of names (hard links).
    pub links: u64,
    /// Size in bytes.
    pub size: u64,
    /// Allocated 512-byte blocks.
    pub blocks: u64,
    /// The device it lies on; each btrfs subvolume has its own.
    pub device: u64,
    /// The device that it is, when it is a device node.
    pub special_device: u64,
    /// The mount it was reached through (Linux 5.8); 0 when the kernel does not tell.
    pub mount: u64,
    /// Last read.
    pub accessed: Time,
    /// Last change of the content.
    pub modified: Time,
    /// Last change of the inode.
    pub changed: Time,
}

impl Status {
    /// Is it a directory?
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Is it a regular file?
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Do both describe the same inode?
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// What is asked of the kernel.
    pub(in crate::sys) fn wanted() -> StatxFlags {
        StatxFlags::BASIC_STATS | StatxFlags::MNT_ID
    }
}

/// What an open file or directory is; `shown` names it in messages.
pub fn status_of(file: impl AsFd, shown: &Path) -> Result<Status> {
    status_at(file, OsStr::new("")).map_err(|cause| Error::call("look at", shown, cause))
}

impl From<&Statx> for Status {
    fn from(raw: &Statx) -> Self {
        let told_mount = raw.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Self {
            kind: kind_of(u32::from(raw.stx_mode)),
            mode: u32::from(raw.stx_mode) & 0o7777,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            inode: raw.stx_ino,
            links: u64::from(raw.stx_nlink),
            size: raw.stx_size,
            blocks: raw.stx_blocks,
            device: rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor),
            special_device: rustix::fs::makedev(raw.stx_rdev_major, raw.stx_rdev_minor),
            mount: if told_mount { raw.stx_mnt_id } else { 0 },
            accessed: Time::from(&raw.stx_atime),
            modified: Time::from(&raw.stx_mtime),
            changed: Time::from(&raw.stx_ctime),
        }
    }
}

impl From<&StatxTimestamp> for Time {
    fn from(raw: &StatxTimestamp) -> Self {
        Self {
            seconds: raw.tv_sec,
            nanoseconds: raw.tv_nsec,
        }
    }
}

fn kind_of(mode: u32) -> FileKind {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::Symlink,
        libc::S_IFCHR => FileKind::CharacterDevice,
        libc::S_IFBLK => FileKind::BlockDevice,
        libc::S_IFIFO => FileKind::Fifo,
        libc::S_IFSOCK => FileKind::Socket,
        _ => FileKind::File,
    }
}

/// The flags that `lsattr` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InodeFlags {
    /// `+i`: no change at all.
    pub immutable: bool,
    /// `+a`: a file only grows, nothing in a directory is removed or renamed.
    pub append_only: bool,
    /// `+C`: written in place, without checksums (btrfs).
    pub no_copy_on_write: bool,
    /// All of them, as FS_IOC_GETFLAGS gives them.
    pub bits: u32,
}

impl InodeFlags {
    /// The bits that forbid changes: immutable and append-only.
    pub const LOCKS: u32 = IFlags::IMMUTABLE.bits() | IFlags::APPEND.bits();

    /// From the bits of FS_IOC_GETFLAGS.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        let flags = IFlags::from_bits_retain(bits);
        Self {
            immutable: flags.contains(IFlags::IMMUTABLE),
            append_only: flags.contains(IFlags::APPEND),
            no_copy_on_write: flags.contains(IFlags::NOCOW),
            bits,
        }
    }
}

/// What statvfs(3) says about a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Size in bytes.
    pub total_bytes: u64,
    /// Free for everybody, in bytes.
    pub available_bytes: u64,
    /// Free for root, in bytes.
    pub free_bytes: u64,
    /// Free inodes; 0 on btrfs, which has no limit.
    pub free_inodes: u64,
    /// Mounted read-only.
    pub read_only: bool,
}
