//! What a step can reach. It writes through a descriptor of the staging place or of one prepared
//! subvolume there, in which every path and symlink stays; of the old system it only reads. The top
//! level itself is out of its reach but for the few acts below.

use std::path::{Path, PathBuf};

use super::Error;
use crate::bootchain::{hand_over, is_hand_over, remove_hand_over};
use crate::documents::Plan;
use crate::documents::fence::{StagedPath, StagedSubvolume, SubvolumeName};
use crate::documents::plan::{HOME, OldSystem, STAGING};
use crate::sys::attributes::Storage;
use crate::sys::{self, ReadOnly, Root, btrfs};

/// What a step may look at and change.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    /// The top level of the file system that the step works on. Seen by nobody else.
    top: &'a Root,
    /// The plan that the step is part of.
    pub plan: &'a Plan,
    /// Where that file system is mounted in the old system.
    pub filesystem: &'a str,
}

/// A place below the staging place: a path in a root that no path leaves.
pub(super) struct Place {
    pub(super) root: Root,
    pub(super) path: PathBuf,
}

impl<'a> StepContext<'a> {
    /// For a step on the file system with this top level, which is mounted here in the old system.
    #[must_use]
    pub fn new(top: &'a Root, plan: &'a Plan, filesystem: &'a str) -> Self {
        Self {
            top,
            plan,
            filesystem,
        }
    }

    /// Makes what was done durable.
    ///
    /// # Errors
    /// When the kernel can't.
    pub fn sync(&self) -> sys::Result<()> {
        self.top.sync_filesystem()
    }

    /// What is on the file system.
    pub(super) fn old_system(&self) -> &OldSystem {
        self.plan.old_system_at(self.filesystem)
    }

    /// The old system's root, in which its own absolute symlinks are followed.
    pub(super) fn old(&self) -> Result<ReadOnly, Error> {
        Ok(self.top.read_only(&self.old_system().path(""))?)
    }

    /// The top level, to be looked at only.
    pub(super) fn look(&self) -> Result<ReadOnly, Error> {
        Ok(self.top.read_only(Path::new("."))?)
    }

    /// The place where subvolumes are prepared; none when nothing is prepared. Not even a symlink
    /// that root made on the way to it is followed.
    pub(super) fn staging(&self) -> Result<Option<Root>, Error> {
        match self.top.beneath(Path::new(STAGING)) {
            Err(error) if error.is_not_found() => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    /// A prepared subvolume: paths and symlinks in it stay in it, as for a system that it is root of.
    pub(super) fn staged(&self, subvolume: &StagedSubvolume) -> Result<Root, Error> {
        Ok(self.top.beneath(&subvolume.path())?)
    }

    /// Where a staged path lies; none when the place around it is missing.
    pub(super) fn place(&self, path: &StagedPath) -> Result<Option<Place>, Error> {
        let name = path.subvolume().name().path();
        let found = match path.inside() {
            None => self.staging()?.map(|root| (root, name)),
            Some(inside) => match self.staged(path.subvolume()) {
                Err(Error::System(error)) if error.is_not_found() => None,
                opened => Some((opened?, inside)),
            },
        };
        Ok(found.map(|(root, path)| {
            let path = path.to_owned();
            Place { root, path }
        }))
    }

    /// Marks a prepared subvolume.
    pub(super) fn mark(&self, subvolume: &StagedSubvolume, storage: Storage) -> Result<(), Error> {
        let staging = self.top.beneath(Path::new(STAGING))?;
        Ok(storage.set(&staging, subvolume.name().path())?)
    }

    /// Gives a prepared subvolume its name at the top level, where that is free.
    pub(super) fn give_name(&self, from: &StagedSubvolume) -> Result<(), Error> {
        let staging = self.top.beneath(Path::new(STAGING))?;
        let name = from.name().path();
        Ok(staging.rename_into(name, self.top, name)?)
    }

    /// Whether a placed subvolume is marked so.
    pub(super) fn is_stored(&self, name: &SubvolumeName, storage: Storage) -> Result<bool, Error> {
        Ok(storage.is_set(self.top, name.path())?)
    }

    /// Puts a placed subvolume back to where it was prepared.
    pub(super) fn take_name(&self, from: &StagedSubvolume) -> Result<(), Error> {
        let staging = self.top.beneath(Path::new(STAGING))?;
        let name = from.name().path();
        Ok(self.top.rename_into(name, &staging, name)?)
    }

    /// Gives a placed subvolume another name at the top level, where that is free. The root's own
    /// name goes on leading a GRUB that was installed in it to the old system: on a disk without room
    /// for that it keeps its name (`false`), with all that GRUB finds there now. The images, not the
    /// name, decide which system is root. One that is immutable or append-only stays so.
    pub(super) fn rename_placed(&self, from: &SubvolumeName, to: &str) -> Result<bool, Error> {
        let (from, to) = (from.path(), Path::new(to));
        btrfs::unlocked(self.top, from, || self.rename_unlocked(from, to))?
    }

    fn rename_unlocked(&self, from: &Path, to: &Path) -> Result<bool, Error> {
        let is_root = self.filesystem == "/" && from == Path::new(self.plan.root_subvolume());
        let grub = self.top.resolved_status(&from.join("boot/grub"));
        if is_root && matches!(grub, Ok(Some(_))) {
            let old = Path::new("/").join(&self.plan.old_system.root);
            let config = old.join("boot/grub/grub.cfg");
            match hand_over(self.top, from, to, &config.to_string_lossy()) {
                Ok(()) => return Ok(true),
                Err(error) => log::error!(
                    "{error}: the new system keeps its name {}, for GRUB may begin there; mend that, \
                     run `grub-install` in the old system, then give it another name",
                    from.display()
                ),
            }
            return Ok(false);
        }
        self.top.rename(from, to)?;
        Ok(true)
    }

    /// Whether a rollback of before left this at the top level for GRUB.
    pub(super) fn is_hand_over(&self, name: &Path) -> Result<bool, Error> {
        Ok(is_hand_over(self.top, name)?)
    }

    /// Removes that, or what a cut has left of it.
    pub(super) fn remove_hand_over(&self, name: &Path) -> Result<(), Error> {
        Ok(remove_hand_over(self.top, name)?)
    }

    /// Whether rootshift's own subvolume holds an entry of this name.
    pub(super) fn is_in_home(&self, name: &str) -> Result<bool, Error> {
        Ok(self.top.beneath(Path::new(HOME))?.exists(Path::new(name))?)
    }

    /// Puts a thing below the staging place aside, under this name beside it in rootshift's own
    /// subvolume.
    pub(super) fn put_aside(&self, place: &Place, name: &str) -> Result<(), Error> {
        let home = self.top.beneath(Path::new(HOME))?;
        Ok(place
            .root
            .rename_into(&place.path, &home, Path::new(name))?)
    }

    /// For `switch-boot-path` alone, which runs after the commit: what the boot loader reads.
    pub(super) fn boot_path(&self) -> &'a Root {
        self.top
    }
}
