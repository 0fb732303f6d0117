//! `place-subvolume`: gives a prepared subvolume the properties that the layout asks for, and its
//! name at the top level, by one rename.

use std::path::Path;

use super::{Error, Probe, StepContext, Undo};
use crate::documents::action::PlaceSubvolume;
use crate::sys::attributes::Storage;

/// The code behind [`PlaceSubvolume`].
pub(super) struct Step<'a>(pub &'a PlaceSubvolume);

impl Step<'_> {
    fn to(&self) -> &Path {
        self.0.to.path()
    }

    /// Ours is at its final name only when it is no longer where it was prepared.
    fn is_placed(&self, context: &StepContext) -> Result<bool, Error> {
        let top = context.look()?;
        Ok(top.is_subvolume(self.to())? && !top.exists(&self.0.from.path())?)
    }

    /// What the layout asks for.
    fn storage<'c>(&self, context: &'c StepContext) -> Storage<'c> {
        let mut layouts = context.plan.layout.filesystems.iter();
        let here = layouts.find(|layout| layout.mounted_at == context.filesystem);
        let mut subvolumes = here.into_iter().flat_map(|layout| &layout.subvolumes);
        let ours = subvolumes.find(|subvolume| subvolume.name == self.0.to.as_str());
        ours.map_or_else(Storage::default, |ours| Storage {
            no_copy_on_write: ours.no_copy_on_write,
            compression: ours.compression.as_deref(),
        })
    }

    fn keep_aside(&self, context: &StepContext) -> Result<Option<String>, Error> {
        for number in 1..=999 {
            let name = format!("{}.rolled-back-{number}", self.0.to);
            // What a cut left of a directory for GRUB is no kept subvolume.
            context.remove_hand_over(Path::new(&name))?;
            if !context.look()?.exists(Path::new(&name))? {
                let renamed = match context.rename_placed(&self.0.to, &name) {
                    // The old system is root already: a name holds nobody up.
                    Err(Error::System(error)) if error.is_not_permitted() => {
                        log::error!("{error}: it keeps its name");
                        false
                    }
                    renamed => renamed?,
                };
                return Ok(Some(if renamed { name } else { self.0.to.to_string() }));
            }
        }
        Err(Error::in_the_way(
            self.to(),
            "999 rolled-back copies are kept already; give one another name",
        ))
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let is_taken = context.look()?.exists(self.to())? && !context.is_hand_over(self.to())?;
        if is_taken && !self.is_placed(context)? {
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
        context.mark(&self.0.from, self.storage(context))?;
        // No GRUB comes by there any more: `check` has seen it, or asked for the name.
        context.remove_hand_over(self.to())?;
        // A snapshot of a flat root has taken a copy of it along.
        context.remove_hand_over(&self.0.from.path().join(self.to()))?;
        context.give_name(&self.0.from)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if !self.is_placed(context)? {
            return Err(Error::not_verified(
                self.to(),
                "the prepared subvolume is not there",
            ));
        }
        if !context.is_stored(&self.0.to, self.storage(context))? {
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
        context.take_name(&self.0.from)?;
        Ok(None)
    }
}
