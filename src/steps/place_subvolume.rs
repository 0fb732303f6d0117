//! `place-subvolume`: gives a prepared subvolume its name at the top level, by one rename.

use std::path::PathBuf;

use super::{Error, Probe, StepContext, Undo, relative};
use crate::documents::step::PlaceSubvolume;
use crate::sys::btrfs;

/// The code behind [`PlaceSubvolume`].
pub(super) struct Step<'a>(pub &'a PlaceSubvolume);

impl Step<'_> {
    fn from(&self) -> PathBuf {
        relative(&self.0.from)
    }

    fn to(&self) -> PathBuf {
        relative(&self.0.to)
    }

    /// Ours is at its final name only when it is no longer where it was prepared.
    fn is_placed(&self, context: &StepContext) -> Result<bool, Error> {
        let placed = btrfs::is_subvolume(context.top, &self.to())?;
        Ok(placed && !context.top.exists(&self.from())?)
    }

    fn keep_aside(&self, context: &StepContext) -> Result<Option<String>, Error> {
        for number in 1..=999 {
            let name = format!("{}.rolled-back-{number}", self.0.to.trim_matches('/'));
            if !context.top.exists(&relative(&name))? {
                context.top.rename(&self.to(), &relative(&name))?;
                return Ok(Some(name));
            }
        }
        Err(Error::in_the_way(
            self.to(),
            "999 rolled-back copies are kept already; delete some",
        ))
    }
}

impl super::Step for Step<'_> {
    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(if self.is_placed(context)? {
            Probe::Done
        } else {
            Probe::Open
        })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        if self.is_placed(context)? {
            return Ok(());
        }
        Ok(context.top.rename(&self.from(), &self.to())?)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if self.is_placed(context)? {
            return Ok(());
        }
        Err(Error::not_verified(
            self.to(),
            "the prepared subvolume is not there",
        ))
    }

    fn undo(&self, context: &StepContext, how: Undo) -> Result<Option<String>, Error> {
        if !self.is_placed(context)? {
            return Ok(None);
        }
        if how == Undo::KeepAside {
            return self.keep_aside(context);
        }
        context.top.rename(&self.to(), &self.from())?;
        Ok(None)
    }
}
