//! `clear-staging`: a recovery step. Puts aside what stands in the way inside rootshift's own
//! place; nothing is deleted, nothing outside of it is touched.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, relative};
use crate::documents::plan::{HOME, STAGING};
use crate::documents::step::ClearStaging;

/// The code behind [`ClearStaging`].
pub(super) struct Step<'a>(pub &'a ClearStaging);

impl Step<'_> {
    fn path(&self) -> Result<PathBuf, Error> {
        let path = relative(&self.0.path);
        if path != Path::new(STAGING) && path.starts_with(STAGING) {
            return Ok(path);
        }
        let problem = format!("not in {STAGING}: it is not rootshift's to put aside");
        Err(Error::in_the_way(path, problem))
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, _context: &StepContext) -> Result<(), Error> {
        self.path().map(drop)
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(if context.top.exists(&self.path()?)? {
            Probe::Open
        } else {
            Probe::Done
        })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let path = self.path()?;
        for number in 1..=999 {
            let aside = Path::new(HOME).join(format!("aside.{number}"));
            if !context.top.exists(&aside)? {
                log::warn!("{} is put aside as {}", path.display(), aside.display());
                return Ok(context.top.rename(&path, &aside)?);
            }
        }
        Err(Error::in_the_way(
            HOME,
            "999 things were put aside; delete some",
        ))
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        match self.probe(context)? {
            Probe::Done => Ok(()),
            Probe::Open => Err(Error::not_verified(self.path()?, "still there")),
        }
    }

    fn undo(&self, _: &StepContext, _: Undo) -> Result<Option<String>, Error> {
        Ok(None) // what was put aside was nobody's work
    }
}
