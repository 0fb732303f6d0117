//! A directory that can only be looked at.

use std::ffi::OsString;
use std::path::Path;

use super::btrfs::{self, SubvolumeInfo};
use super::{Result, Root, Status};

/// A [`Root`] without anything that changes what is in it: whoever holds one can only look. It is
/// the source of snapshots and of attributes, never their target.
#[derive(Debug)]
pub struct ReadOnly(Root);

impl Root {
    /// A directory inside, to be looked at only; symlinks on the way are followed inside this root.
    pub fn read_only(&self, dir: &Path) -> Result<ReadOnly> {
        Ok(ReadOnly(self.within(dir)?))
    }
}

impl ReadOnly {
    /// For the calls of this room that read from it.
    pub(in crate::sys) fn root(&self) -> &Root {
        &self.0
    }

    /// As [`Root::status`].
    pub fn status(&self, path: &Path) -> Result<Option<Status>> {
        self.0.status(path)
    }

    /// As [`Root::resolved_status`].
    pub fn resolved_status(&self, path: &Path) -> Result<Option<Status>> {
        self.0.resolved_status(path)
    }

    /// As [`Root::exists`].
    pub fn exists(&self, path: &Path) -> Result<bool> {
        self.0.exists(path)
    }

    /// As [`Root::read_text`].
    pub fn read_text(&self, path: &Path) -> Result<String> {
        self.0.read_text(path)
    }

    /// As [`Root::list`].
    pub fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        self.0.list(dir)
    }

    /// As [`btrfs::is_subvolume`].
    pub fn is_subvolume(&self, path: &Path) -> Result<bool> {
        btrfs::is_subvolume(&self.0, path)
    }

    /// As [`btrfs::subvolume_info`].
    pub fn subvolume_info(&self, path: &Path) -> Result<SubvolumeInfo> {
        btrfs::subvolume_info(&self.0, path)
    }
}
