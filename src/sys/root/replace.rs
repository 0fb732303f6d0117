//! Writing whole files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, retry_on_intr};

use super::{Held, Root};
use crate::fault::mutant;
use crate::sys::status::Status;
use crate::sys::{Error, Result, attributes};

/// Ends the name of a file that is being written; one left by a power cut is overwritten.
const UNFINISHED: &str = ".rootshift-new";
const NEW_FILE_MODE: u32 = 0o644;
const PRIVATE_MODE: u32 = 0o600;

impl Root {
    /// Gives a file new content in one step: a power cut leaves the old content or the new, whole.
    ///
    /// It is written beside (owner, mode and extended attributes of the old file, or 0644 for a
    /// new one), synced and renamed over. Which of the two a power cut leaves is open until
    /// [`Root::sync_filesystem`]; GRUB, which replays no log, also sees it only then.
    /// A symlink or a directory in the last place is refused.
    pub fn replace_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.replace_with(path, content, NEW_FILE_MODE)
    }

    /// The same for a file that is nobody else's business: a new one gets mode 0600.
    pub fn replace_private_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.replace_with(path, content, PRIVATE_MODE)
    }

    fn replace_with(&self, path: &Path, content: &[u8], new_mode: u32) -> Result<()> {
        let model = self.replaceable(path)?.map(|status| Model {
            path,
            status,
            times: false,
        });
        self.put(path, content, model, new_mode)
    }

    /// Makes a file a copy of another one in one step: content, owner, mode, extended attributes
    /// and times. Symlinks to the source are followed inside the root; one in the last place of
    /// the target is refused, as a directory is. Durable as [`Root::replace_file`] is.
    pub fn copy_file(&self, from: &Path, to: &Path) -> Result<()> {
        self.replaceable(to)?;
        let content = self.read(from)?;
        let model = self.resolved_status(from)?.map(|status| Model {
            path: from,
            status,
            times: true,
        });
        self.put(to, &content, model, NEW_FILE_MODE)
    }

    /// What a cut or a kill has left of [`Root::replace_file`] and its kin in a directory: each
    /// unfinished file, and the one that it was to replace.
    pub fn unfinished_files(&self, dir: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
        let mut found = Vec::new();
        for name in self.list(dir)? {
            let inner = name.to_str().and_then(|name| {
                let inner = name.strip_prefix('.')?.strip_suffix(UNFINISHED)?;
                (!inner.is_empty()).then(|| inner.to_owned())
            });
            let (Some(inner), path) = (inner, dir.join(&name)) else {
                continue;
            };
            if self.status(&path)?.is_some_and(|status| status.is_file()) {
                found.push((path, dir.join(inner)));
            }
        }
        Ok(found)
    }

    /// The regular file that is to be replaced; `None` when there is none yet.
    fn replaceable(&self, path: &Path) -> Result<Option<Status>> {
        let old = self.status(path)?;
        if old.is_some_and(|status| !status.is_file()) {
            return Err(Error::malformed(
                "file",
                &self.shown(path),
                "not a regular file",
            ));
        }
        Ok(old)
    }

    /// Writes beside, and renames over.
    fn put(&self, path: &Path, content: &[u8], model: Option<Model>, new_mode: u32) -> Result<()> {
        const ACT: &str = "replace";
        let shown = self.shown(path);
        let (parent, name) = self.place(ACT, path)?;
        if mutant::WRITE_IN_PLACE && self.exists(path)? {
            return self.overwrite(&parent, name, &shown, model.ok_or(new_mode), content);
        }
        let beside = unfinished_name(name);
        let written = remove_leftover(&parent, &beside)
            .and_then(|()| create(&parent, &beside))
            .map_err(|cause| Error::call(ACT, &shown, cause))
            .and_then(|file| self.fill(&file, &shown, model.ok_or(new_mode), content))
            .and_then(|()| {
                rustix::fs::renameat(&parent, &beside, &parent, name)
                    .map_err(|cause| Error::call(ACT, &shown, cause))
            });
        if written.is_err() {
            // The error that counts is the first one; the leftover harms nobody.
            remove_leftover(&parent, &beside).ok();
        }
        written
    }

    /// Only a mutant does this. The kernel commits whenever it likes; here between the two halves.
    fn overwrite(
        &self,
        parent: &Held<'_>,
        name: &OsStr,
        shown: &Path,
        model: std::result::Result<Model<'_>, u32>,
        content: &[u8],
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::empty()).map(File::from);
        let file = file.map_err(|cause| Error::call("overwrite", shown, cause))?;
        self.sync_filesystem()?;
        self.fill(&file, shown, model, content)
    }

    /// A file that was not there before, with exactly these permission bits. Its content is
    /// durable when it returns; its name only after [`Root::sync_filesystem`].
    pub fn write_new_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        const ACT: &str = "create";
        let shown = self.shown(path);
        let (parent, name) = self.place(ACT, path)?;
        let mut file = create(&parent, name).map_err(|cause| Error::call(ACT, &shown, cause))?;
        file.write_all(content)
            .and_then(|()| Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?))
            .and_then(|()| file.sync_all())
            .map_err(|cause| Error::call("write", &shown, cause))
    }

    /// A file that was not there before, with these permission bits and the very blocks of another one
    /// of the same file system: it takes no room for data. Durable after [`Root::sync_filesystem`].
    ///
    /// # Errors
    /// Where the file system can't share blocks: then there is no such file.
    pub fn clone_new_file(&self, from: &Path, path: &Path, mode: u32) -> Result<()> {
        const ACT: &str = "clone";
        let source = self.open_read(from)?;
        let shown = self.shown(path);
        let (parent, name) = self.place(ACT, path)?;
        let file = create(&parent, name).map_err(|cause| Error::call(ACT, &shown, cause))?;
        let done = rustix::fs::ioctl_ficlone(&file, &source)
            .and_then(|()| rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)));
        done.map_err(|cause| {
            let _ = remove_leftover(&parent, name);
            Error::call(ACT, &shown, cause)
        })
    }

    /// Content first, since a write drops file capabilities; then owner, mode, attributes, and
    /// times, which all of these move; sync.
    /// Without a model it gets these permission bits.
    fn fill(
        &self,
        file: &File,
        shown: &Path,
        model: std::result::Result<Model<'_>, u32>,
        content: &[u8],
    ) -> Result<()> {
        let failed = |cause| Error::call("write", shown, cause);
        let refused = |cause: Errno| failed(cause.into());
        let mut writer = file;
        writer.write_all(content).map_err(failed)?;
        let Model {
            path,
            status,
            times,
        } = match model {
            Ok(model) => model,
            Err(mode) => {
                rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).map_err(refused)?;
                return file.sync_all().map_err(failed);
            }
        };
        let (owner, group) = (Uid::from_raw(status.uid), Gid::from_raw(status.gid));
        rustix::fs::fchown(file, Some(owner), Some(group)).map_err(refused)?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(status.mode)).map_err(refused)?;
        let source = self.open_read(path)?;
        attributes::copy_extended(&source, &self.shown(path), file, shown)?;
        if times {
            let times = attributes::timestamps(&status);
            rustix::fs::futimens(file, &times).map_err(refused)?;
        }
        file.sync_all().map_err(failed)
    }
}

/// The file that a written one takes its metadata from.
struct Model<'a> {
    path: &'a Path,
    status: Status,
    times: bool,
}

fn unfinished_name(name: &OsStr) -> OsString {
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(UNFINISHED);
    beside
}

fn create(parent: &Held<'_>, name: &OsStr) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR))
        .map(File::from)
}

fn remove_leftover(parent: &Held<'_>, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}
