//! `snapshot`: a read-write snapshot, made in time that does not depend on the data.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, copy_times, is_stub, parent, relative};
use crate::documents::plan::HOME;
use crate::documents::step::Snapshot;
use crate::fault;
use crate::sys::btrfs;

/// The code behind [`Snapshot`].
pub(super) struct Step<'a>(pub &'a Snapshot);

impl Step<'_> {
    fn from(&self) -> PathBuf {
        relative(&self.0.from)
    }

    fn to(&self) -> PathBuf {
        relative(&self.0.to)
    }

    /// A snapshot of the top level holds a stub of rootshift's own subvolume.
    fn own_stub(&self) -> PathBuf {
        self.to().join(HOME)
    }

    fn is_of_top_level(&self) -> bool {
        self.from() == Path::new(".")
    }

    /// Where a nested subvolume is put in its place, the directory around it keeps its times.
    fn restore_times(&self, context: &StepContext) -> Result<(), Error> {
        if self.is_of_top_level() {
            copy_times(context.top, Path::new("."), &self.to())
        } else {
            copy_times(context.top, parent(&self.from()), parent(&self.to()))
        }
    }
}

impl super::Step for Step<'_> {
    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let there = btrfs::is_subvolume(context.top, &self.to())?;
        let tidy = there && !context.top.exists(&self.own_stub())?;
        Ok(if tidy { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let (top, from, to) = (context.top, self.from(), self.to());
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
        self.restore_times(context)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let info = btrfs::subvolume_info(context.top, &self.to())?;
        if info.read_only {
            return Err(Error::not_verified(self.to(), "the snapshot is read-only"));
        }
        let source = btrfs::subvolume_info(context.top, &self.from())?;
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
