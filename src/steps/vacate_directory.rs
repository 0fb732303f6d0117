//! `vacate-directory`: empties a directory whose content has a subvolume of its own now.
//!
//! The directory is renamed into the trash of its subvolume and made anew, empty, with the old
//! one's owner, mode, attributes and times: it becomes the mount point.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, copy_times, own_directory, parent, same_times};
use crate::documents::action::VacateDirectory;
use crate::documents::plan::TRASH;
use crate::fault;
use crate::sys::{ReadOnly, Root, attributes};

/// The code behind [`VacateDirectory`].
pub(super) struct Step<'a>(pub &'a VacateDirectory);

impl Step<'_> {
    fn directory(&self) -> &Path {
        self.0.directory.path()
    }

    fn old(&self) -> &Path {
        self.0.old_path.path()
    }

    fn kept(&self) -> PathBuf {
        Path::new(TRASH).join(self.0.keep_as.path())
    }

    /// Old and new of the directories whose times the renames change: the one around the directory,
    /// and the subvolume's own root. `/home` is in `/`, `/var/log` may be in `@var`.
    fn touched_directories(&self) -> [(PathBuf, PathBuf); 2] {
        let old_root = self.0.old_path.without(&self.0.directory);
        [
            (
                parent(self.old()).to_owned(),
                parent(self.directory()).to_owned(),
            ),
            (old_root.path().to_owned(), PathBuf::from(".")),
        ]
    }

    fn times_are_restored(&self, old: &ReadOnly, root: &Root) -> Result<bool, Error> {
        for (from, to) in self.touched_directories() {
            if !same_times(old, &from, root, &to)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        own_directory(context, self.old())
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let root = context.staged(&self.0.subvolume)?;
        let done = root.exists(&self.kept())?
            && self.verify(context).is_ok()
            && self.times_are_restored(&context.old()?, &root)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let (root, old) = (context.staged(&self.0.subvolume)?, context.old()?);
        if !root.exists(Path::new(TRASH))? {
            root.create_directory(Path::new(TRASH), 0o700)?;
        }
        if !root.exists(&self.kept())? {
            root.rename(self.directory(), &self.kept())?;
        }
        fault::reached("subvolume-renames");
        if !root.exists(self.directory())? {
            root.create_directory(self.directory(), 0o700)?;
        }
        attributes::copy_directory_attributes(&old, self.old(), &root, self.directory())?;
        for (from, to) in self.touched_directories() {
            copy_times(&old, &from, &root, &to)?;
        }
        Ok(())
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let root = context.staged(&self.0.subvolume)?;
        let shown = || self.0.subvolume.path().join(self.directory());
        let wrong = |problem: &str| Err(Error::not_verified(shown(), problem));
        let Some(new) = root.status(self.directory())? else {
            return wrong("it is missing");
        };
        if !root.list(self.directory())?.is_empty() {
            return wrong("it is not empty");
        }
        match context.old()?.status(self.old())? {
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
