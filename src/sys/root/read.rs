//! Looking: nothing here changes anything.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Root, status_at};
use crate::sys::status::{FileKind, InodeFlags, Status};
use crate::sys::{Error, Result, attributes, sorted};

/// No text or loader file comes near it; a log file that grew without bound must not eat memory.
const READ_LIMIT: u64 = 64 << 20;
/// Room to begin with: most files that are read fit. Without, the first calls fetch 32 bytes each.
const SMALL: usize = 1 << 10;

impl Root {
    /// The entry itself, a symlink not followed; `None` when it or a directory above is missing.
    pub fn status(&self, path: &Path) -> Result<Option<Status>> {
        const ACT: &str = "look at";
        if path.file_name().is_none() {
            return self.resolved_status(path);
        }
        let found = self.place(ACT, path).and_then(|(parent, name)| {
            status_at(&parent, name).map_err(|cause| Error::call(ACT, &self.shown(path), cause))
        });
        unless_missing(found)
    }

    /// What the path leads to, symlinks followed inside the root; `None` when that is missing.
    pub fn resolved_status(&self, path: &Path) -> Result<Option<Status>> {
        let found = self
            .resolve(path, OFlags::PATH)
            .and_then(|descriptor| status_at(descriptor, OsStr::new("")))
            .map_err(|cause| Error::call("look at", &self.shown(path), cause));
        unless_missing(found)
    }

    /// Is there an entry of this name (a dangling symlink is one)?
    pub fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.status(path)?.is_some())
    }

    /// The content of a regular file, symlinks followed inside the root; at most 64 MiB.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let shown = self.shown(path);
        let file = self.open_read(path)?;
        let mut content = Vec::with_capacity(SMALL);
        file.take(READ_LIMIT + 1)
            .read_to_end(&mut content)
            .map_err(|cause| Error::call("read", &shown, cause))?;
        if u64::try_from(content.len()).is_ok_and(|length| length > READ_LIMIT) {
            return Err(Error::malformed("file", &shown, "larger than 64 MiB"));
        }
        Ok(content)
    }

    /// The content of a regular file that must be UTF-8.
    pub fn read_text(&self, path: &Path) -> Result<String> {
        String::from_utf8(self.read(path)?).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            let problem = format!("not UTF-8 at byte {place}");
            Error::malformed("text file", &self.shown(path), problem)
        })
    }

    /// A regular file opened for reading, symlinks followed inside the root.
    pub fn open_read(&self, path: &Path) -> Result<File> {
        let shown = self.shown(path);
        // Asked before it is opened: opening a pipe or a device can already do something.
        self.require_regular(path, &shown)?;
        self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map(File::from)
            .map_err(|cause| Error::call("open", &shown, cause))
    }

    /// A connection to a Unix socket, symlinks followed inside the root. (connect(2) takes a path
    /// and no descriptor; the kernel's link to the descriptor is a path that leads nowhere else.)
    pub fn connect(&self, path: &Path) -> Result<UnixStream> {
        let failed = |cause| Error::call("connect to", &self.shown(path), cause);
        let socket = self.resolve(path, OFlags::PATH);
        let socket = socket.map_err(|cause| failed(cause.into()))?;
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).map_err(failed)
    }

    /// Where a symlink points, as it is written.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        const ACT: &str = "read the link";
        let (parent, name) = self.place(ACT, path)?;
        let target = rustix::fs::readlinkat(&parent, name, Vec::new())
            .map_err(|cause| Error::call(ACT, &self.shown(path), cause))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// The names in a directory, sorted by their bytes, without `.` and `..`.
    pub fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        let names = self.within(dir)?.directory(Path::new(""))?.names()?;
        Ok(sorted(names))
    }

    /// The flags that `lsattr` shows; none for symlinks, special files, and file systems without.
    pub fn flags(&self, path: &Path) -> Result<InodeFlags> {
        const ACT: &str = "read the flags of";
        let shown = self.shown(path);
        let status = self
            .status(path)?
            .ok_or_else(|| Error::call(ACT, &shown, Errno::NOENT))?;
        if !matches!(status.kind, FileKind::File | FileKind::Directory) {
            return Ok(InodeFlags::default());
        }
        attributes::flags_of(&self.open_entry(ACT, path, OFlags::RDONLY)?, &shown)
    }

    /// Fails as a change of it would where it is immutable or append-only.
    pub fn require_unlocked(&self, path: &Path) -> Result<()> {
        match self.flags(path)?.bits & InodeFlags::LOCKS {
            0 => Ok(()),
            _ => Err(Error::call("change", &self.shown(path), Errno::PERM)),
        }
    }

    pub(super) fn require_regular(&self, path: &Path, shown: &Path) -> Result<()> {
        match self.resolved_status(path)? {
            None => Err(Error::call("open", shown, Errno::NOENT)),
            Some(status) if status.is_file() => Ok(()),
            Some(_) => Err(Error::malformed("file", shown, "not a regular file")),
        }
    }
}

fn unless_missing<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
