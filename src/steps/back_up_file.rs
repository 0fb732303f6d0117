//! `back-up-file`: lays a copy of a file of the new system beside it, before it is rewritten.
//!
//! The copy has the file's owner, mode, attributes and times, and appears whole, by one rename. A
//! file that does not exist needs no copy: it may also have gone since arming.

use std::path::Path;

use super::{Error, Probe, StepContext, Undo, copy_times, parent, same_times};
use crate::documents::action::BackUpFile;
use crate::fault;
use crate::sys::{Root, attributes};

/// The code behind [`BackUpFile`].
pub(super) struct Step<'a>(pub &'a BackUpFile);

impl Step<'_> {
    fn file(&self) -> &Path {
        self.0.file.path()
    }

    fn backup(&self) -> &Path {
        self.0.backup.path()
    }

    /// The directory whose times the copy changes, as the old system has it and as it is now.
    fn directories(&self) -> (&Path, &Path) {
        (parent(self.0.old_path.path()), parent(self.backup()))
    }

    fn is_copied(&self, root: &Root) -> Result<bool, Error> {
        let (file, backup) = (self.file(), self.backup());
        let (Some(from), Some(to)) = (root.resolved_status(file)?, root.status(backup)?) else {
            return Ok(false);
        };
        let same = (from.mode, from.uid, from.gid, from.modified)
            == (to.mode, to.uid, to.gid, to.modified)
            && to.is_file()
            && root.read(file)? == root.read(backup)?;
        Ok(same && attributes_of(root, file)? == attributes_of(root, backup)?)
    }

    fn is_needed(&self, root: &Root) -> Result<bool, Error> {
        Ok(root.resolved_status(self.file())?.is_some())
    }
}

fn attributes_of(root: &Root, path: &Path) -> Result<attributes::ExtendedAttributes, Error> {
    let file = root.open_read(path)?;
    Ok(attributes::extended_attributes_of(&file, path)?)
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let (root, file) = (context.old()?, self.0.old_path.path());
        match root.resolved_status(file)? {
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
        let root = context.staged(&self.0.subvolume)?;
        let (old, new) = self.directories();
        let done = self.is_copied(&root)? && same_times(&context.old()?, old, &root, new)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        // Both are looked up inside the new subvolume: an absolute symlink in it points into the new
        // system.
        let root = context.staged(&self.0.subvolume)?;
        if !self.is_needed(&root)? {
            log::info!("there is no {}: nothing to back up", self.0.old_path);
            return Ok(());
        }
        if !self.is_copied(&root)? {
            if root.exists(self.backup())? {
                let problem = "something else has the backup's name already";
                return Err(Error::in_the_way(self.backup(), problem));
            }
            root.copy_file(self.file(), self.backup())?;
            fault::reached("file-prepared");
        }
        let (old, new) = self.directories();
        copy_times(&context.old()?, old, &root, new)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let root = context.staged(&self.0.subvolume)?;
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
