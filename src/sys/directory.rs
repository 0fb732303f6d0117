//! An open directory: work on its entries by name, without resolving a path again.
//!
//! This is what walks are built from: one descriptor, single names, never a symlink followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::root::status_at;
use super::{Error, Result, Status};

/// Room for some 500 names a call.
const LISTING_BUFFER: usize = 32 << 10;

/// A directory held open. Names given to its methods are single components.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Directory {
    pub(in crate::sys) fn from_parts(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { descriptor, path }
    }

    /// The path it was reached by, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself.
    pub fn status(&self) -> Result<Status> {
        status_at(self, OsStr::new("")).map_err(|cause| Error::call("look at", &self.path, cause))
    }

    /// One entry, a symlink not followed.
    pub fn status_of(&self, name: &OsStr) -> Result<Status> {
        status_at(self, single(name)).map_err(|cause| self.failed("look at", name, cause))
    }

    /// All names without `.` and `..`, in the order in which the file system gives them.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let mut buffer: Vec<u8> = Vec::with_capacity(LISTING_BUFFER);
        let mut entries = RawDir::new(self, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|cause| Error::call("list", &self.path, cause))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        Ok(names)
    }

    /// Opens a directory in it.
    pub fn open_directory(&self, name: &OsStr) -> Result<Self> {
        let descriptor = self
            .open(name, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|cause| self.failed("open directory", name, cause))?;
        Ok(Self {
            descriptor,
            path: self.path.join(name),
        })
    }

    /// Opens the directory above, if it is still `expected`; `None` when this one was moved.
    pub fn open_parent(&self, expected: &Status) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let act = "open the directory above";
        let descriptor = rustix::fs::openat(self, "..", flags, Mode::empty())
            .map_err(|cause| Error::call(act, &self.path, cause))?;
        let path = self.path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let parent = Self { descriptor, path };
        Ok(parent.status()?.is_same_file(expected).then_some(parent))
    }

    /// Opens a file or a directory for reading, without touching its access time where allowed.
    pub fn open_entry(&self, name: &OsStr) -> Result<File> {
        self.open(name, OFlags::RDONLY)
            .map(File::from)
            .map_err(|cause| self.failed("open", name, cause))
    }

    /// Where a symlink in it points.
    pub fn read_link(&self, name: &OsStr) -> Result<PathBuf> {
        let target = rustix::fs::readlinkat(self, single(name), Vec::new())
            .map_err(|cause| self.failed("read the link", name, cause))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Removes one name of anything but a directory. Not durable before a sync.
    pub fn remove_file(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(self, single(name), AtFlags::empty())
            .map_err(|cause| self.failed("remove", name, cause))
    }

    /// Removes an empty directory. Not durable before a sync.
    pub fn remove_directory(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(self, single(name), AtFlags::REMOVEDIR)
            .map_err(|cause| self.failed("remove directory", name, cause))
    }

    fn open(&self, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let quiet = OFlags::NOATIME;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::openat(self, single(name), flags | quiet, Mode::empty()) {
            // Only the owner and root may ask for O_NOATIME (open(2)).
            Err(Errno::PERM) => rustix::fs::openat(self, single(name), flags, Mode::empty()),
            done => done,
        }
    }

    pub(in crate::sys) fn failed(&self, act: &'static str, name: &OsStr, cause: Errno) -> Error {
        Error::call(act, &self.path.join(name), cause)
    }
}

/// A name that could lead elsewhere becomes one that no entry can have.
fn single(name: &OsStr) -> &OsStr {
    let bytes = name.as_bytes();
    let leads_away = bytes.contains(&b'/') || bytes == b".." || bytes == b"." || bytes.is_empty();
    // A NUL byte makes the call fail with EINVAL before it reaches the kernel.
    if leads_away { OsStr::new("\0") } else { name }
}
