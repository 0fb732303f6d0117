//! What the steps have in common that write one file of the new system: the new text is made from
//! the old system's file, so that it can be made again after a cut.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, copy_times, parent, same_times};
use crate::documents::fence::StagedSubvolume;
use crate::{bootcfg, fault};

/// Makes the new text of the old one; `None` when it may stay as it is.
pub(super) type Rewrite = fn(&StepContext, &str) -> Result<Option<String>, bootcfg::Error>;

/// A step that writes one file.
pub(super) struct Step<'a> {
    /// The prepared subvolume.
    pub subvolume: &'a StagedSubvolume,
    /// The file, as `etc/fstab`.
    pub file: &'static str,
    /// Whether the step has nothing to do when there is no such file.
    pub optional: bool,
    /// Makes the new text.
    pub rewrite: Rewrite,
}

impl Step<'_> {
    fn path(&self) -> PathBuf {
        self.subvolume.path().join(self.file)
    }

    fn new_text(&self, context: &StepContext) -> Result<Option<String>, Error> {
        let old = match context.old()?.read_text(Path::new(self.file)) {
            Err(error) if self.optional && error.is_not_found() => return Ok(None),
            read => read?,
        };
        (self.rewrite)(context, &old).map_err(|cause| Error::BootConfiguration {
            path: self.path(),
            cause,
        })
    }

    /// The directory that holds the file, in the old system and in the new.
    fn directory(&self) -> &'static Path {
        parent(Path::new(self.file))
    }

    fn is_written(&self, context: &StepContext) -> Result<bool, Error> {
        let Some(text) = self.new_text(context)? else {
            return Ok(true);
        };
        let (root, directory) = (context.staged(self.subvolume)?, self.directory());
        let written = root.read(Path::new(self.file))? == text.as_bytes();
        Ok(written && same_times(&context.old()?, directory, &root, directory)?)
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let file = Path::new(self.file);
        let there = context.old()?.status(file)?;
        if there.is_some_and(|there| !there.is_file()) {
            let problem = "it is no regular file: put the file itself in the place of the link";
            return Err(Error::in_the_way(Path::new("/").join(file), problem));
        }
        self.new_text(context).map(drop)
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(if self.is_written(context)? {
            Probe::Done
        } else {
            Probe::Open
        })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let Some(text) = self.new_text(context)? else {
            return Ok(());
        };
        fault::reached("file-prepared");
        // Looked up inside the new subvolume: an absolute symlink in it points into the new system.
        let (root, directory) = (context.staged(self.subvolume)?, self.directory());
        root.replace_file(Path::new(self.file), text.as_bytes())?;
        copy_times(&context.old()?, directory, &root, directory)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if self.is_written(context)? {
            return Ok(());
        }
        Err(Error::not_verified(
            self.path(),
            "it does not hold what was written to it",
        ))
    }

    fn undo(&self, _context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        Ok(None) // the snapshot goes as a whole
    }
}
