//! `back-up-file`: lays a copy of a file of the new system beside it, before it is rewritten.
//!
//! The copy has the file's owner, mode, attributes and times, and appears whole, by one rename. A
//! file that does not exist needs no copy: it may also have gone since arming.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, copy_times, parent, relative, same_times};
use crate::documents::step::BackUpFile;
use crate::fault;
use crate::sys::{Root, attributes};

/// The code behind [`BackUpFile`].
pub(super) struct Step<'a>(pub &'a BackUpFile);

impl Step<'_> {
    fn file(&self) -> PathBuf {
        relative(&self.0.file)
    }

    fn backup(&self) -> PathBuf {
        relative(&self.0.backup)
    }

    /// Both are looked up inside the new subvolume, so that an absolute symlink in it points into
    /// the new system.
    fn new_root(&self, context: &StepContext) -> Result<Root, Error> {
        Ok(context.top.within(&relative(&self.0.subvolume))?)
    }

    /// The directory whose times the copy changes, as the old system has it and as it is now.
    fn directories(&self, context: &StepContext) -> (PathBuf, PathBuf) {
        let old = context.old(&self.0.old_path);
        let new = relative(&self.0.subvolume).join(self.backup());
        (parent(&old).to_owned(), parent(&new).to_owned())
    }

    fn is_copied(&self, root: &Root) -> Result<bool, Error> {
        let (file, backup) = (self.file(), self.backup());
        let (Some(from), Some(to)) = (root.resolved_status(&file)?, root.status(&backup)?) else {
            return Ok(false);
        };
        let same = (from.mode, from.uid, from.gid, from.modified)
            == (to.mode, to.uid, to.gid, to.modified)
            && to.is_file()
            && root.read(&file)? == root.read(&backup)?;
        Ok(same && attributes_of(root, &file)? == attributes_of(root, &backup)?)
    }

    fn is_needed(&self, root: &Root) -> Result<bool, Error> {
        Ok(root.resolved_status(&self.file())?.is_some())
    }
}

fn attributes_of(root: &Root, path: &Path) -> Result<attributes::ExtendedAttributes, Error> {
    let file = root.open_read(path)?;
    Ok(attributes::extended_attributes_of(&file, path)?)
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let (root, file) = (context.old_root()?, relative(&self.0.old_path));
        match root.resolved_status(&file)? {
            Some(found) if !found.is_file() => {
                return Err(Error::in_the_way(file, "it is no regular file"));
            }
            Some(_) | None => {}
        }
        let backup = file.with_file_name(self.backup().file_name().unwrap_or_default());
        if root.exists(&backup)? {
            let problem = "something else has the backup's name already";
            return Err(Error::in_the_way(backup, problem));
        }
        Ok(())
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let root = self.new_root(context)?;
        let (old, new) = self.directories(context);
        let done = self.is_copied(&root)? && same_times(context.top, &old, &new)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let root = self.new_root(context)?;
        if !self.is_needed(&root)? {
            log::info!("there is no {}: nothing to back up", self.0.old_path);
            return Ok(());
        }
        if !self.is_copied(&root)? {
            if root.exists(&self.backup())? {
                let problem = "something else has the backup's name already";
                return Err(Error::in_the_way(self.backup(), problem));
            }
            root.copy_file(&self.file(), &self.backup())?;
            fault::reached("file-prepared");
        }
        let (old, new) = self.directories(context);
        copy_times(context.top, &old, &new)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let root = self.new_root(context)?;
        if self.is_copied(&root)? || !self.is_needed(&root)? {
            return Ok(());
        }
        Err(Error::not_verified(
            self.backup(),
            format!("it is no copy of {}", self.0.old_path),
        ))
    }

    fn undo(&self, _context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        Ok(None) // the snapshot goes as a whole
    }
}
