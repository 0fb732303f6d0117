//! `snapshot`: a read-write snapshot, made in time that does not depend on the data.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, copy_times, is_stub, parent, relative, same_times};
use crate::documents::plan::{HOME, KeptSubvolume};
use crate::documents::step::Snapshot;
use crate::fault;
use crate::sys::{attributes, btrfs};

/// What a snapshot has in the place of a subvolume that is no part of it.
struct Stub<'a> {
    path: PathBuf,
    kept: &'a KeptSubvolume,
}

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

    /// The stubs that the snapshot has of subvolumes that stay where they are, with their originals.
    fn stubs<'c>(&'c self, context: &'c StepContext) -> impl Iterator<Item = Stub<'c>> {
        let (from, to) = (self.from(context), self.to());
        let kept = context.plan.kept_on(context.filesystem);
        kept.filter_map(move |kept| {
            let original = Path::new(&kept.path);
            let inside = match from.as_path() {
                top if top == Path::new(".") => original,
                from => original.strip_prefix(from).ok()?,
            };
            let path = to.join(inside);
            Some(Stub { path, kept })
        })
    }

    /// Where a subvolume that stays is mounted, a directory takes its place.
    fn replace_stubs(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        for Stub { path, kept } in self.stubs(context) {
            if is_stub(top, &path)? {
                top.remove_directory(&path)?;
            }
            let at_top = !kept.path.contains('/'); // others lie in one of these
            let is_mount_point = !kept.mounted_at.is_empty() || kept.also_at.is_some();
            if !is_mount_point || !at_top {
                continue;
            }
            if !top.exists(&path)? {
                top.create_directory(&path, 0o700)?;
            }
            attributes::copy_directory_attributes(top, Path::new(&kept.path), top, &path)?;
        }
        Ok(())
    }

    fn has_stubs(&self, context: &StepContext) -> Result<bool, Error> {
        for Stub { path, .. } in self.stubs(context) {
            if is_stub(context.top, &path)? {
                return Ok(true);
            }
        }
        Ok(is_stub(context.top, &self.own_stub())?)
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
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let from = self.from(context);
        if btrfs::is_subvolume(context.top, &from)? {
            return Ok(());
        }
        Err(Error::in_the_way(from, "it is no subvolume"))
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let there = btrfs::is_subvolume(context.top, &self.to())?;
        let (old, new) = self.touched_directory(context);
        let tidy = there && !self.has_stubs(context)? && same_times(context.top, &old, &new)?;
        Ok(if tidy { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let (top, from, to) = (context.top, self.from(context), self.to());
        if !btrfs::is_subvolume(top, &to)? {
            if is_stub(top, &to)? {
                top.remove_directory(&to)?;
            }
            // One that can only be read stays so: else `btrfs send` and `receive` would not know it.
            let read_only = btrfs::subvolume_info(top, &from)?.read_only;
            btrfs::snapshot_as(top, &from, top, &to, read_only)?;
            fault::reached("subvolume-renames");
        }
        if is_stub(top, &self.own_stub())? {
            top.remove_directory(&self.own_stub())?;
        }
        self.replace_stubs(context)?;
        let (old, new) = self.touched_directory(context);
        copy_times(top, &old, &new)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let info = btrfs::subvolume_info(context.top, &self.to())?;
        let source = btrfs::subvolume_info(context.top, &self.from(context))?;
        if (info.read_only, info.received_uuid)
            != (
                source.read_only,
                match source.read_only {
                    true => source.received_uuid,
                    false => [0; 16],
                },
            )
        {
            let problem = "read-only or received is not what the original is";
            return Err(Error::not_verified(self.to(), problem));
        }
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
