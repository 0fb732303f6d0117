//! `snapshot`: a read-write snapshot, made in time that does not depend on the data.

use std::path::PathBuf;

use super::{Error, Probe, StepContext, Undo, copy_times, is_stub, parent, relative, same_times};
use crate::documents::plan::HOME;
use crate::documents::step::Snapshot;
use crate::fault;
use crate::sys::btrfs;

/// The code behind [`Snapshot`].
pub(super) struct Step<'a>(pub &'a Snapshot);

impl Step<'_> {
    fn from(&self, context: &StepContext) -> PathBuf {
        context.old(&self.0.from)
    }

    fn to(&self) -> PathBuf {
        relative(&self.0.to)
    }

    /// A snapshot of the top level holds a stub of rootshift's own subvolume.
    fn own_stub(&self) -> PathBuf {
        self.to().join(HOME)
    }

    /// Old and new of the directory whose times making the snapshot changes: its own root, where
    /// a stub was removed; the one around it, where a nested subvolume was put in its place.
    fn touched_directory(&self, context: &StepContext) -> (PathBuf, PathBuf) {
        let (from, to) = (self.from(context), self.to());
        if from == context.old("") {
            (from, to)
        } else {
            (parent(&from).to_owned(), parent(&to).to_owned())
        }
    }
}

impl super::Step for Step<'_> {
    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let there = btrfs::is_subvolume(context.top, &self.to())?;
        let (old, new) = self.touched_directory(context);
        let tidy = there
            && !is_stub(context.top, &self.own_stub())?
            && same_times(context.top, &old, &new)?;
        Ok(if tidy { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let (top, from, to) = (context.top, self.from(context), self.to());
        if !btrfs::is_subvolume(top, &to)? {
            if is_stub(top, &to)? {
                top.remove_directory(&to)?;
            }
            btrfs::snapshot(top, &from, top, &to)?;
            fault::reached("subvolume-renames");
        }
        if is_stub(top, &self.own_stub())? {
            top.remove_directory(&self.own_stub())?;
        }
        let (old, new) = self.touched_directory(context);
        copy_times(top, &old, &new)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let info = btrfs::subvolume_info(context.top, &self.to())?;
        if info.read_only {
            return Err(Error::not_verified(self.to(), "the snapshot is read-only"));
        }
        let source = btrfs::subvolume_info(context.top, &self.from(context))?;
        let known = source.uuid != [0; 16];
        if known && info.parent_uuid != source.uuid {
            return Err(Error::not_verified(
                self.to(),
                "it is a snapshot of something else",
            ));
        }
        Ok(())
    }

    fn undo(&self, context: &StepContext, how: Undo) -> Result<Option<String>, Error> {
        let to = self.to();
        if how == Undo::Discard && btrfs::is_subvolume(context.top, &to)? {
            btrfs::delete_subvolume(context.top, &to)?;
        }
        Ok(None)
    }
}
