//! A directory that no path leaves.
//!
//! Every path is resolved by openat2(2) with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`: `..` and
//! absolute symlinks stop at the root, as after chroot(2). A change is then made by an `*at` call
//! on the parent's descriptor, so that nothing can be slipped in between (DESIGN promise 8).

mod change;
mod read;
mod replace;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx};
use rustix::io::{Errno, retry_on_intr};

use super::directory::Directory;
use super::status::{FreeSpace, Status};
use super::{Error, Result};

/// Descriptors of directories that are only resolved against.
const REACH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Descriptors of directories that are also read, synced or asked by ioctl.
const READ_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// openat2 gives EAGAIN when a rename elsewhere disturbs the look at `..` (openat2(2)).
const ATTEMPTS: u32 = 1000;

/// A directory in which paths are resolved as if it were `/`.
///
/// Paths given to its methods are relative to it; a leading `/` means the root itself. Unless a
/// method says that it follows symlinks, it works on the entry itself.
#[derive(Debug)]
pub struct Root {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Root {
    /// Opens a directory by an ordinary path of this process.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || rustix::fs::openat(CWD, path, READ_DIRECTORY, Mode::empty());
        let descriptor =
            retry_on_intr(open).map_err(|cause| Error::call("open directory", path, cause))?;
        Ok(Self {
            descriptor,
            path: path.to_path_buf(),
        })
    }

    pub(in crate::sys) fn from_parts(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { descriptor, path }
    }

    /// The path it was opened by, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A root on a directory inside; symlinks on the way are followed inside this root.
    pub fn within(&self, dir: &Path) -> Result<Self> {
        let path = self.shown(dir);
        let descriptor = self
            .resolve(dir, READ_DIRECTORY)
            .map_err(|cause| Error::call("open directory", &path, cause))?;
        Ok(Self { descriptor, path })
    }

    /// A root on a directory inside that is reached by its very path: a symlink anywhere in it is
    /// refused.
    pub fn beneath(&self, dir: &Path) -> Result<Self> {
        let path = self.shown(dir);
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let open = || rustix::fs::openat2(self, dir, READ_DIRECTORY, Mode::empty(), strict);
        let descriptor =
            retry_on_intr(open).map_err(|cause| Error::call("open directory", &path, cause))?;
        Ok(Self { descriptor, path })
    }

    /// A handle on a directory inside, for walking; a symlink in the last place is refused.
    pub fn directory(&self, dir: &Path) -> Result<Directory> {
        let path = self.shown(dir);
        let flags = READ_DIRECTORY | OFlags::NOFOLLOW;
        let descriptor = self
            .resolve(dir, flags)
            .map_err(|cause| Error::call("open directory", &path, cause))?;
        Ok(Directory::from_parts(descriptor, path))
    }

    /// A root on a directory inside that is reached without any symlink and without leaving this
    /// mount, whoever renames what meanwhile. Subvolumes are no mounts.
    pub fn held(&self, dir: &Path) -> Result<Self> {
        let beneath = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let path = self.shown(dir);
        let inside = dir.strip_prefix("/").unwrap_or(dir);
        let descriptor = self
            .resolve_with(inside, READ_DIRECTORY | OFlags::NOFOLLOW, beneath)
            .map_err(|cause| Error::call("open directory", &path, cause))?;
        Ok(Self { descriptor, path })
    }

    /// The directory in which this one lies now, by whichever name.
    pub fn above(&self) -> Result<Self> {
        let path = self.path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let descriptor = rustix::fs::openat(self, "..", READ_DIRECTORY, Mode::empty())
            .map_err(|cause| Error::call("open the directory above", &self.path, cause))?;
        Ok(Self { descriptor, path })
    }

    /// Makes everything in this file system durable: when it returns, a power cut loses nothing
    /// that was done before the call. (syncfs(2); facts crash.md 3: nothing less is enough.)
    pub fn sync_filesystem(&self) -> Result<()> {
        retry_on_intr(|| rustix::fs::syncfs(self))
            .map_err(|cause| Error::call("sync the file system of", &self.path, cause))
    }

    /// How full the file system is.
    pub fn free_space(&self) -> Result<FreeSpace> {
        let raw = rustix::fs::fstatvfs(self)
            .map_err(|cause| Error::call("ask the free space of", &self.path, cause))?;
        Ok(FreeSpace {
            total_bytes: raw.f_blocks.saturating_mul(raw.f_frsize),
            available_bytes: raw.f_bavail.saturating_mul(raw.f_frsize),
            free_bytes: raw.f_bfree.saturating_mul(raw.f_frsize),
            free_inodes: raw.f_ffree,
            read_only: raw.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    /// The path as messages show it.
    pub(in crate::sys) fn shown(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").unwrap_or(path);
        if inside.as_os_str().is_empty() {
            self.path.clone()
        } else {
            self.path.join(inside)
        }
    }

    /// Opens a path inside. The only place where a path becomes a descriptor.
    pub(in crate::sys) fn resolve(
        &self,
        path: &Path,
        flags: OFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let confined = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        self.resolve_with(path, flags, confined)
    }

    fn resolve_with(
        &self,
        path: &Path,
        flags: OFlags,
        confined: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = flags | OFlags::CLOEXEC;
        for _ in 1..ATTEMPTS {
            match rustix::fs::openat2(self, path, flags, Mode::empty(), confined) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The directory in which the path's last name lies, and that name.
    pub(in crate::sys) fn place<'a>(
        &'a self,
        act: &'static str,
        path: &'a Path,
    ) -> Result<(Held<'a>, &'a OsStr)> {
        // "", "/" and "a/.." have no last name: they are directories that exist already.
        let name = path
            .file_name()
            .ok_or_else(|| Error::call(act, &self.shown(path), Errno::INVAL))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        if parent.as_os_str().is_empty() || parent == Path::new("/") {
            return Ok((Held::Lent(self.as_fd()), name));
        }
        let held = self
            .resolve(parent, REACH)
            .map_err(|cause| Error::call(act, &self.shown(path), cause))?;
        Ok((Held::Own(held), name))
    }

    /// Opens the entry itself; never a symlink's target.
    pub(in crate::sys) fn open_entry(
        &self,
        act: &'static str,
        path: &Path,
        flags: OFlags,
    ) -> Result<File> {
        self.resolve(
            path,
            flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY,
        )
        .map(File::from)
        .map_err(|cause| Error::call(act, &self.shown(path), cause))
    }
}

/// A descriptor of one's own, or one lent by the root.
#[derive(Debug)]
pub(in crate::sys) enum Held<'a> {
    /// Closed when dropped.
    Own(OwnedFd),
    /// The root's.
    Lent(BorrowedFd<'a>),
}

impl AsFd for Held<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(descriptor) => descriptor.as_fd(),
            Self::Lent(descriptor) => descriptor.as_fd(),
        }
    }
}

/// statx(2) on one entry of an open directory, or on the descriptor itself for an empty name.
pub(in crate::sys) fn status_at(directory: impl AsFd, name: &OsStr) -> rustix::io::Result<Status> {
    let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if name.is_empty() {
        flags |= AtFlags::EMPTY_PATH;
    }
    let raw: Statx = rustix::fs::statx(directory, name, flags, Status::wanted())?;
    Ok(Status::from(&raw))
}

#[cfg(test)]
mod tests;
