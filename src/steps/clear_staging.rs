//! `clear-staging`: a recovery step. Puts aside what stands in the way inside rootshift's own
//! place; nothing is deleted, nothing outside of it is touched.

use super::context::Place;
use super::{Error, Probe, StepContext, Undo};
use crate::documents::action::ClearStaging;
use crate::documents::plan::HOME;

/// The code behind [`ClearStaging`].
pub(super) struct Step<'a>(pub &'a ClearStaging);

impl Step<'_> {
    /// What is there; none when nothing is.
    fn found(&self, context: &StepContext) -> Result<Option<Place>, Error> {
        match context.place(&self.0.path)? {
            Some(place) if place.root.exists(&place.path)? => Ok(Some(place)),
            _ => Ok(None),
        }
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, _: &StepContext) -> Result<(), Error> {
        Ok(()) // its path is held by its type
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(match self.found(context)? {
            Some(_) => Probe::Open,
            None => Probe::Done,
        })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let Some(place) = self.found(context)? else {
            return Ok(());
        };
        let path = self.0.path.path();
        for number in 1..=999 {
            let aside = format!("aside.{number}");
            if !context.is_in_home(&aside)? {
                log::warn!("{} is put aside as {HOME}/{aside}", path.display());
                return context.put_aside(&place, &aside);
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
            Probe::Open => Err(Error::not_verified(self.0.path.path(), "still there")),
        }
    }

    fn undo(&self, _: &StepContext, _: Undo) -> Result<Option<String>, Error> {
        Ok(None) // what was put aside was nobody's work
    }
}
