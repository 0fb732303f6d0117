//! `promote-directory`: makes a directory of a snapshot its root.
//!
//! First everything at the snapshot's root is renamed into a trash directory, the directory's own
//! first component last; then its content is renamed up. Where the cut fell is seen from where
//! that component is. A few dozen renames, whatever the data.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, is_stub, own_directory};
use crate::documents::action::PromoteDirectory;
use crate::documents::plan::TRASH;
use crate::fault;
use crate::sys::{Root, attributes};

/// The code behind [`PromoteDirectory`].
pub(super) struct Step<'a>(pub &'a PromoteDirectory);

/// The snapshot's own root.
fn itself() -> &'static Path {
    Path::new(".")
}

fn trash() -> &'static Path {
    Path::new(TRASH)
}

impl Step<'_> {
    /// Where the directory is once the snapshot's root is empty.
    fn emptied(&self) -> PathBuf {
        trash().join(self.0.directory.path())
    }

    fn root_is_emptied(&self, root: &Root) -> Result<bool, Error> {
        Ok(root.exists(&trash().join(self.0.directory.first()))?)
    }

    fn empty_root(&self, root: &Root) -> Result<(), Error> {
        if !root.exists(trash())? {
            root.create_directory(trash(), 0o700)?;
        }
        let first = OsStr::new(self.0.directory.first());
        for name in root.list(itself())? {
            if name != TRASH && name != first {
                move_entry(root, itself(), trash(), &name)?;
            }
        }
        fault::reached("subvolume-renames");
        move_entry(root, itself(), trash(), first)
    }

    fn move_content_up(&self, root: &Root) -> Result<(), Error> {
        for (index, name) in root.list(&self.emptied())?.iter().enumerate() {
            move_entry(root, &self.emptied(), itself(), name)?;
            if index == 0 {
                fault::reached("subvolume-renames");
            }
        }
        Ok(())
    }

    fn attributes_are_right(&self, context: &StepContext, root: &Root) -> Result<bool, Error> {
        let old = context.old()?.status(self.0.directory.path())?;
        let new = root.status(itself())?;
        Ok(match (old, new) {
            (Some(old), Some(new)) => {
                (old.mode, old.uid, old.gid, old.modified)
                    == (new.mode, new.uid, new.gid, new.modified)
            }
            _ => false,
        })
    }
}

/// Stubs of nested subvolumes can't be renamed; their subvolumes get a snapshot of their own.
fn move_entry(root: &Root, from: &Path, to: &Path, name: &OsStr) -> Result<(), Error> {
    let from = from.join(name);
    if is_stub(root, &from)? {
        return Ok(root.remove_directory(&from)?);
    }
    Ok(root.rename(&from, &to.join(name))?)
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        own_directory(context, self.0.directory.path())
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let root = context.staged(&self.0.subvolume)?;
        let done = self.root_is_emptied(&root)?
            && root.list(&self.emptied())?.is_empty()
            && self.attributes_are_right(context, &root)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let root = context.staged(&self.0.subvolume)?;
        if !self.root_is_emptied(&root)? {
            self.empty_root(&root)?;
        }
        self.move_content_up(&root)?;
        fault::reached("subvolume-attributes");
        let (old, directory) = (context.old()?, self.0.directory.path());
        attributes::copy_directory_attributes(&old, directory, &root, itself())?;
        Ok(())
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let directory = self.0.directory.path();
        let mut expected = context.old()?.list(directory)?;
        expected.retain(|name| {
            let mut nested = context.old_system().nested.iter();
            let entry = directory.join(name);
            !nested.any(|path| Path::new(path) == entry)
        });
        let mut found = context.staged(&self.0.subvolume)?.list(itself())?;
        found.retain(|name| name != TRASH);
        if expected != found {
            let problem = format!("{} entries instead of {}", found.len(), expected.len());
            return Err(Error::not_verified(self.0.subvolume.path(), problem));
        }
        Ok(())
    }

    fn undo(&self, _context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        Ok(None) // the snapshot goes as a whole
    }
}
