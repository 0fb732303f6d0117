//! `vacate-directory`: empties a directory whose content has a subvolume of its own now.
//!
//! The directory is renamed into the trash of its subvolume and made anew, empty, with the old
//! one's owner, mode, attributes and times: it becomes the mount point.

use std::path::PathBuf;

use super::{
    Error, Probe, StepContext, Undo, below, copy_times, own_directory, parent, relative, same_times,
};
use crate::documents::plan::TRASH;
use crate::documents::step::VacateDirectory;
use crate::fault;
use crate::sys::attributes;

/// The code behind [`VacateDirectory`].
pub(super) struct Step<'a>(pub &'a VacateDirectory);

impl Step<'_> {
    fn directory(&self) -> PathBuf {
        below(&self.0.subvolume, &self.0.directory)
    }

    fn old(&self, context: &StepContext) -> PathBuf {
        context.old(&self.0.old_path)
    }

    fn trash(&self) -> PathBuf {
        relative(&self.0.subvolume).join(TRASH)
    }

    fn kept(&self) -> PathBuf {
        self.trash().join(&self.0.keep_as)
    }

    /// The old place of the subvolume's own root: `/home` is in `/`, `/var/log` may be in `@var`.
    fn old_root(&self, context: &StepContext) -> PathBuf {
        let inside = self.0.directory.trim_matches('/');
        let old = self.0.old_path.trim_matches('/');
        context.old(old.strip_suffix(inside).unwrap_or(old))
    }

    /// Old and new of the directories whose times the renames change.
    fn touched_directories(&self, context: &StepContext) -> [(PathBuf, PathBuf); 2] {
        [
            (
                parent(&self.old(context)).to_owned(),
                parent(&self.directory()).to_owned(),
            ),
            (self.old_root(context), relative(&self.0.subvolume)),
        ]
    }

    fn times_are_restored(&self, context: &StepContext) -> Result<bool, Error> {
        for (old, new) in self.touched_directories(context) {
            if !same_times(context.top, &old, &new)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        own_directory(context, &self.0.old_path)
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let top = context.top;
        let done = top.exists(&self.kept())?
            && self.verify(context).is_ok()
            && self.times_are_restored(context)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        if !top.exists(&self.trash())? {
            top.create_directory(&self.trash(), 0o700)?;
        }
        if !top.exists(&self.kept())? {
            top.rename(&self.directory(), &self.kept())?;
        }
        fault::reached("subvolume-renames");
        if !top.exists(&self.directory())? {
            top.create_directory(&self.directory(), 0o700)?;
        }
        attributes::copy_directory_attributes(top, &self.old(context), top, &self.directory())?;
        for (old, new) in self.touched_directories(context) {
            copy_times(top, &old, &new)?;
        }
        Ok(())
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        let wrong = |problem: &str| Err(Error::not_verified(self.directory(), problem));
        let Some(new) = top.status(&self.directory())? else {
            return wrong("it is missing");
        };
        if !top.list(&self.directory())?.is_empty() {
            return wrong("it is not empty");
        }
        match top.status(&self.old(context))? {
            Some(old)
                if (old.mode, old.uid, old.gid, old.modified)
                    == (new.mode, new.uid, new.gid, new.modified) =>
            {
                Ok(())
            }
            _ => wrong("its owner, mode or time differs from the old one's"),
        }
    }

    fn undo(&self, _context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        Ok(None) // the snapshot goes as a whole
    }
}
