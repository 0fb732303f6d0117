//! `place-subvolume`: gives a prepared subvolume the properties that the layout asks for, and its
//! name at the top level, by one rename.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, relative};
use crate::documents::step::PlaceSubvolume;
use crate::sys::attributes::Storage;
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

    /// What the layout asks for.
    fn storage<'c>(&self, context: &'c StepContext) -> Storage<'c> {
        let mut layouts = context.plan.layout.filesystems.iter();
        let here = layouts.find(|layout| layout.mounted_at == context.filesystem);
        let mut subvolumes = here.into_iter().flat_map(|layout| &layout.subvolumes);
        let ours = subvolumes.find(|subvolume| Path::new(&subvolume.name) == self.to());
        ours.map_or_else(Storage::default, |ours| Storage {
            no_copy_on_write: ours.no_copy_on_write,
            compression: ours.compression.as_deref(),
        })
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
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        if context.top.exists(&self.to())? && !self.is_placed(context)? {
            let problem = "something else has the name at the top level already";
            return Err(Error::in_the_way(self.to(), problem));
        }
        Ok(())
    }

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
        // Before the rename: what a cut keeps of the rename it keeps of the marks as well.
        self.storage(context).set(context.top, &self.from())?;
        Ok(context.top.rename(&self.from(), &self.to())?)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if !self.is_placed(context)? {
            return Err(Error::not_verified(
                self.to(),
                "the prepared subvolume is not there",
            ));
        }
        if !self.storage(context).is_set(context.top, &self.to())? {
            return Err(Error::not_verified(
                self.to(),
                "it lacks a property that the layout asks for",
            ));
        }
        Ok(())
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
