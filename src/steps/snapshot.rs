//! `snapshot`: a read-write snapshot, made in time that does not depend on the data.

use std::path::{Path, PathBuf};

use super::context::Place;
use super::{Error, Probe, StepContext, Undo, copy_times, is_stub, parent, same_times};
use crate::documents::action::Snapshot;
use crate::documents::plan::{HOME, KeptSubvolume};
use crate::fault;
use crate::sys::{attributes, btrfs};

/// What a snapshot has in the place of a subvolume that is no part of it.
struct Stub<'a> {
    path: PathBuf,
    kept: &'a KeptSubvolume,
}

/// The code behind [`Snapshot`].
pub(super) struct Step<'a>(pub &'a Snapshot);

/// A snapshot of the top level holds a stub of rootshift's own subvolume.
fn own_stub(place: &Place) -> PathBuf {
    place.path.join(HOME)
}

impl Step<'_> {
    /// For messages.
    fn to(&self) -> PathBuf {
        self.0.to.path()
    }

    fn place(&self, context: &StepContext) -> Result<Place, Error> {
        let missing = || Error::not_verified(self.to(), "the place around it is missing");
        context.place(&self.0.to)?.ok_or_else(missing)
    }

    /// The stubs that the snapshot has of subvolumes that stay where they are, with their originals.
    fn stubs<'c>(
        &'c self,
        context: &'c StepContext,
        place: &'c Place,
    ) -> impl Iterator<Item = Stub<'c>> {
        let from = context.old_system().path(&self.0.from.to_string());
        let kept = context.plan.kept_on(context.filesystem);
        kept.filter_map(move |kept| {
            let original = Path::new(&kept.path);
            let inside = match from.as_path() {
                top if top == Path::new(".") => original,
                from => original.strip_prefix(from).ok()?,
            };
            let path = place.path.join(inside);
            Some(Stub { path, kept })
        })
    }

    /// Where a subvolume that stays is mounted, a directory takes its place.
    fn replace_stubs(&self, context: &StepContext, place: &Place) -> Result<(), Error> {
        let (root, top) = (&place.root, context.look()?);
        for Stub { path, kept } in self.stubs(context, place) {
            if is_stub(root, &path)? {
                root.remove_directory(&path)?;
            }
            let at_top = !kept.path.contains('/'); // others lie in one of these
            let is_mount_point = !kept.mounted_at.is_empty() || kept.also_at.is_some();
            if !is_mount_point || !at_top {
                continue;
            }
            if !root.exists(&path)? {
                root.create_directory(&path, 0o700)?;
            }
            attributes::copy_directory_attributes(&top, Path::new(&kept.path), root, &path)?;
        }
        Ok(())
    }

    fn has_stubs(&self, context: &StepContext, place: &Place) -> Result<bool, Error> {
        for Stub { path, .. } in self.stubs(context, place) {
            if is_stub(&place.root, &path)? {
                return Ok(true);
            }
        }
        is_stub(&place.root, &own_stub(place))
    }

    /// Old and new of the directory whose times making the snapshot changes: its own root, where
    /// a stub was removed; the one around it, where a nested subvolume was put in its place.
    fn touched_directory<'p>(&'p self, place: &'p Place) -> (&'p Path, &'p Path) {
        let (from, to) = (self.0.from.path(), place.path.as_path());
        if self.0.from.is_root() {
            (from, to)
        } else {
            (parent(from), parent(to))
        }
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let from = self.0.from.path();
        if context.old()?.is_subvolume(from)? {
            return Ok(());
        }
        Err(Error::in_the_way(
            self.0.from.to_string(),
            "it is no subvolume",
        ))
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        let Some(place) = context.place(&self.0.to)? else {
            return Ok(Probe::Open);
        };
        let (old, new) = self.touched_directory(&place);
        let tidy = btrfs::is_subvolume(&place.root, &place.path)?
            && !self.has_stubs(context, &place)?
            && same_times(&context.old()?, old, &place.root, new)?;
        Ok(if tidy { Probe::Done } else { Probe::Open })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let (place, old) = (self.place(context)?, context.old()?);
        let (root, to) = (&place.root, place.path.as_path());
        if !btrfs::is_subvolume(root, to)? {
            if is_stub(root, to)? {
                root.remove_directory(to)?;
            }
            // One that can only be read stays so: else `btrfs send` and `receive` would not know it.
            let from = self.0.from.path();
            let read_only = old.subvolume_info(from)?.read_only;
            btrfs::snapshot_as(&old, from, root, to, read_only)?;
            fault::reached("subvolume-renames");
        }
        if is_stub(root, &own_stub(&place))? {
            root.remove_directory(&own_stub(&place))?;
        }
        self.replace_stubs(context, &place)?;
        let (from, touched) = self.touched_directory(&place);
        copy_times(&old, from, root, touched)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        let place = self.place(context)?;
        let info = btrfs::subvolume_info(&place.root, &place.path)?;
        let source = context.old()?.subvolume_info(self.0.from.path())?;
        let received = match source.read_only {
            true => source.received_uuid,
            false => [0; 16],
        };
        if (info.read_only, info.received_uuid) != (source.read_only, received) {
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
        if how == Undo::KeepAside {
            return Ok(None);
        }
        if let Some(place) = context.place(&self.0.to)?
            && btrfs::is_subvolume(&place.root, &place.path)?
        {
            btrfs::delete_subvolume(&place.root, &place.path)?;
        }
        Ok(None)
    }
}
