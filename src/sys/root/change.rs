//! Changing names. None of it is durable before [`Root::sync_filesystem`]; each is atomic.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, IFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Root;
use crate::sys::{Error, Result};

impl Root {
    /// A new, empty directory with exactly these permission bits, whatever the umask.
    pub fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        const ACT: &str = "create directory";
        let (parent, name) = self.place(ACT, path)?;
        let failed = |cause: Errno| Error::call(ACT, &self.shown(path), cause);
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::mkdirat(&parent, name, mode).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::empty())
            .and_then(|made| rustix::fs::fchmod(made, mode))
            .map_err(failed)
    }

    /// The directory and those above it, as far as they are missing.
    pub fn create_directories(&self, path: &Path, mode: u32) -> Result<()> {
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for directory in ancestors.into_iter().rev() {
            if directory.file_name().is_none() {
                continue;
            }
            match self.create_directory(directory, mode) {
                Err(error) if error.is_already_there() => {
                    let there = self.resolved_status(directory)?;
                    if !there.is_some_and(|status| status.is_directory()) {
                        return Err(error);
                    }
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Removes an empty directory (or the stub of a subvolume in a snapshot).
    pub fn remove_directory(&self, path: &Path) -> Result<()> {
        self.unlink("remove directory", path, AtFlags::REMOVEDIR)
    }

    /// Removes one name of anything but a directory.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        self.unlink("remove", path, AtFlags::empty())
    }

    fn unlink(&self, act: &'static str, path: &Path, flags: AtFlags) -> Result<()> {
        let (parent, name) = self.place(act, path)?;
        rustix::fs::unlinkat(&parent, name, flags)
            .map_err(|cause| Error::call(act, &self.shown(path), cause))
    }

    /// Renames; an error when the new name is taken.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with("rename", from, to, RenameFlags::NOREPLACE)
    }

    /// Renames into another root on the same file system; an error when the new name is taken.
    pub fn rename_into(&self, from: &Path, other: &Root, to: &Path) -> Result<()> {
        const ACT: &str = "rename";
        let (old_parent, old_name) = self.place(ACT, from)?;
        let (new_parent, new_name) = other.place(ACT, to)?;
        let (old_parent, free) = (old_parent.as_fd(), RenameFlags::NOREPLACE);
        rustix::fs::renameat_with(old_parent, old_name, new_parent.as_fd(), new_name, free)
            .map_err(|cause| Error::pair(ACT, &self.shown(from), &other.shown(to), cause))
    }

    /// Renames over whatever has the new name: it names the old file or the new, never nothing.
    pub fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename_with("rename", from, to, RenameFlags::empty())
    }

    /// Swaps two entries in one step; on btrfs both must lie in one subvolume (facts crash.md 3).
    pub fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        self.rename_with("exchange", a, b, RenameFlags::EXCHANGE)
    }

    fn rename_with(
        &self,
        act: &'static str,
        from: &Path,
        to: &Path,
        flags: RenameFlags,
    ) -> Result<()> {
        let (old_parent, old_name) = self.place(act, from)?;
        let (new_parent, new_name) = self.place(act, to)?;
        let old_parent = old_parent.as_fd();
        rustix::fs::renameat_with(old_parent, old_name, new_parent.as_fd(), new_name, flags)
            .map_err(|cause| Error::pair(act, &self.shown(from), &self.shown(to), cause))
    }

    /// A symlink with this target; the target is text and need not exist.
    pub fn symlink(&self, target: &Path, path: &Path) -> Result<()> {
        const ACT: &str = "create the symlink";
        let (parent, name) = self.place(ACT, path)?;
        rustix::fs::symlinkat(target, &parent, name)
            .map_err(|cause| Error::call(ACT, &self.shown(path), cause))
    }

    /// A regular file for reading and writing at chosen places. With `create` it is made (mode
    /// 0600) when missing. Symlinks are not followed.
    pub fn open_append(&self, path: &Path, create: bool) -> Result<File> {
        const ACT: &str = "open for writing";
        let shown = self.shown(path);
        let (parent, name) = self.place(ACT, path)?;
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if create {
            flags |= OFlags::CREATE;
        }
        let opened = rustix::io::retry_on_intr(|| {
            rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)
        });
        let file = File::from(opened.map_err(|cause| Error::call(ACT, &shown, cause))?);
        let metadata = file
            .metadata()
            .map_err(|cause| Error::call(ACT, &shown, cause))?;
        if metadata.is_file() {
            Ok(file)
        } else {
            Err(Error::malformed("file", &shown, "not a regular file"))
        }
    }

    /// Sets the flags that `lsattr` shows, all of them at once, on a file or a directory.
    pub fn set_flags(&self, path: &Path, bits: u32) -> Result<()> {
        const ACT: &str = "set the flags of";
        let file = self.open_entry(ACT, path, OFlags::RDONLY)?;
        rustix::fs::ioctl_setflags(&file, IFlags::from_bits_retain(bits))
            .map_err(|cause| Error::call(ACT, &self.shown(path), cause))
    }
}
