//! Points what the boot loader reads at the new system, and back.
//!
//! GRUB always starts at the top level, follows symlinks across subvolumes and replays no log
//! (facts boot.md D3, D4, D6): a symlink is prepared beside the old directory, made durable, and
//! exchanged with it in one act. core.img and an ESP's stub stay valid as they are. What is
//! exchanged is `boot` of a flat system, or the whole subvolume `@rootfs` (facts boot.md D5).

use std::path::Path;

use super::Error;
use crate::fault::mutant;
use crate::sys::status::FileKind;
use crate::sys::{Root, btrfs};

/// One boot path, all relative to the top level.
#[derive(Debug, Clone, Copy)]
pub struct Switch<'a> {
    /// What the loader reads.
    pub path: &'a Path,
    /// What it is to be led to, as the symlink holds it.
    pub target: &'a Path,
    /// The name that the old directory is kept under while it is switched.
    pub kept: &'a Path,
}

impl Switch<'_> {
    /// Whether the path leads to the new system.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn is_made(&self, top: &Root) -> Result<bool, Error> {
        Ok(self.is_our_link(top, self.path)? && is_directory(top, self.kept)?)
    }

    /// Whether each name is what it was made, before the switch or after it, so that the old system
    /// is found by it, or can be again.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn is_whole(&self, top: &Root) -> Result<bool, Error> {
        let is_free = !top.exists(self.kept)? || self.is_our_link(top, self.kept)?;
        Ok(self.is_made(top)? || (is_free && is_directory(top, self.path)?))
    }

    /// Makes the path lead to the new system. Atomic; durable after `syncfs`. May be repeated.
    ///
    /// # Errors
    /// When something else is where the directory or the link should be; nothing is switched then.
    pub fn make(&self, top: &Root) -> Result<(), Error> {
        if self.is_made(top)? {
            return Ok(());
        }
        if !is_directory(top, self.path)? {
            let problem = "it is no directory; nothing was switched";
            return Err(Error::in_the_way(self.path, problem));
        }
        if !top.exists(self.kept)? {
            top.symlink(self.target, self.kept)?;
        }
        if !self.is_our_link(top, self.kept)? {
            let problem = "it is not rootshift's; nothing was switched";
            return Err(Error::in_the_way(self.kept, problem));
        }
        if !mutant::SKIP_SYNC {
            top.sync_filesystem()?;
        }
        Ok(top.exchange(self.path, self.kept)?)
    }

    /// Makes the path lead to the old system again. Durable when it returns. May be repeated.
    ///
    /// # Errors
    /// The first act that failed.
    pub fn take_back(&self, top: &Root) -> Result<(), Error> {
        if self.is_made(top)? {
            // Whoever locked it, for `check` had seen none, wanted it kept: it is in use again now.
            btrfs::unlock(top, self.kept)?;
            top.exchange(self.path, self.kept)?;
            top.sync_filesystem()?;
        }
        if self.is_our_link(top, self.kept)? {
            top.remove_file(self.kept)?;
        }
        Ok(())
    }

    fn is_our_link(&self, top: &Root, path: &Path) -> Result<bool, Error> {
        let link = top
            .status(path)?
            .is_some_and(|status| status.kind == FileKind::Symlink);
        Ok(link && top.read_link(path)? == self.target)
    }
}

fn is_directory(top: &Root, path: &Path) -> Result<bool, Error> {
    Ok(top
        .status(path)?
        .is_some_and(|status| status.kind == FileKind::Directory))
}
