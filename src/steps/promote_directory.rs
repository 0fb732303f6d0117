//! `promote-directory`: makes a directory of a snapshot its root.
//!
//! First everything at the snapshot's root is renamed into a trash directory, the directory's own
//! first component last; then its content is renamed up. Where the cut fell is seen from where
//! that component is. A few dozen renames, whatever the data.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, below, is_stub, own_directory, relative};
use crate::documents::plan::TRASH;
use crate::documents::step::PromoteDirectory;
use crate::fault;
use crate::sys::{Root, attributes};

/// The code behind [`PromoteDirectory`].
pub(super) struct Step<'a>(pub &'a PromoteDirectory);

impl Step<'_> {
    fn root(&self) -> PathBuf {
        relative(&self.0.subvolume)
    }

    fn trash(&self) -> PathBuf {
        self.root().join(TRASH)
    }

    /// Where the directory is once the snapshot's root is empty.
    fn emptied(&self) -> PathBuf {
        self.trash().join(self.0.directory.trim_start_matches('/'))
    }

    fn first_component(&self) -> OsString {
        let path = relative(&self.0.directory);
        path.components()
            .next()
            .map(|part| part.as_os_str().to_owned())
            .unwrap_or_default()
    }

    fn root_is_emptied(&self, top: &Root) -> Result<bool, Error> {
        Ok(top.exists(&self.trash().join(self.first_component()))?)
    }

    fn empty_root(&self, top: &Root) -> Result<(), Error> {
        if !top.exists(&self.trash())? {
            top.create_directory(&self.trash(), 0o700)?;
        }
        let first = self.first_component();
        for name in top.list(&self.root())? {
            if name != TRASH && name != first {
                move_entry(top, &self.root(), &self.trash(), &name)?;
            }
        }
        fault::reached("subvolume-renames");
        move_entry(top, &self.root(), &self.trash(), &first)
    }

    fn move_content_up(&self, top: &Root) -> Result<(), Error> {
        for (index, name) in top.list(&self.emptied())?.iter().enumerate() {
            move_entry(top, &self.emptied(), &self.root(), name)?;
            if index == 0 {
                fault::reached("subvolume-renames");
            }
        }
        Ok(())
    }

    fn attributes_are_right(&self, context: &StepContext) -> Result<bool, Error> {
        let top = context.top;
        let old = top.status(&context.old(&self.0.directory))?;
        let new = top.status(&self.root())?;
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
fn move_entry(top: &Root, from: &Path, to: &Path, name: &OsStr) -> Result<(), Error> {
    let from = from.join(name);
    if is_stub(top, &from)? {
        return Ok(top.remove_directory(&from)?);
    }
    Ok(top.rename(&from, &to.join(name))?)
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        own_directory(context, &self.0.directory)
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let top = context.top;
        let done = self.root_is_emptied(top)?
            && top.list(&self.emptied())?.is_empty()
            && self.attributes_are_right(context)?;
        Ok(if done { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        if !self.root_is_emptied(top)? {
            self.empty_root(top)?;
        }
        self.move_content_up(top)?;
        fault::reached("subvolume-attributes");
        let old = context.old(&self.0.directory);
        Ok(attributes::copy_directory_attributes(
            top,
            &old,
            top,
            &self.root(),
        )?)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        let old = context.old(&self.0.directory);
        let mut expected = top.list(&old)?;
        expected.retain(|name| {
            let nested = below(&self.0.directory, &name.to_string_lossy());
            let nested = nested.to_string_lossy();
            !context
                .old_system()
                .nested
                .iter()
                .any(|path| path == nested.trim_matches('/'))
        });
        let mut found = top.list(&self.root())?;
        found.retain(|name| name != TRASH);
        if expected != found {
            let problem = format!("{} entries instead of {}", found.len(), expected.len());
            return Err(Error::not_verified(self.root(), problem));
        }
        Ok(())
    }

    fn undo(&self, _context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        Ok(None) // the snapshot goes as a whole
    }
}
