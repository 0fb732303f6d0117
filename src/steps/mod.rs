//! The steps: one file per kind.
//!
//! A step never sees the journal, the engine or another step, nor the top level of the disk: see
//! [`StepContext`]. The engine records `begun`, calls
//! [`Step::apply`], makes it durable with `syncfs`, and records `done`.

mod back_up_file;
mod clear_staging;
mod context;
mod error;
mod place_subvolume;
mod promote_directory;
mod rewrite;
mod snapshot;
mod switch_boot_path;
mod vacate_directory;
mod write_fstab;
mod write_grub_config;
mod write_grub_defaults;

use std::path::{Path, PathBuf};

pub use context::StepContext;
pub use error::Error;

use crate::documents::Action;
use crate::sys::{ReadOnly, Root, attributes};

/// What a step finds before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// All of its effect is there.
    Done,
    /// Some or all of it is missing.
    Open,
}

/// How a step is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Before the commit: nobody has used it, it is deleted.
    Discard,
    /// After the commit: what was changed in it since is kept under another name.
    KeepAside,
}

/// One unit of work. Every method may be repeated after a cut anywhere in it; none of them is
/// durable until the caller has run `syncfs`.
pub trait Step {
    /// Whether it can be carried out on the old system as it is, as far as that can be told before
    /// anything is prepared, in the running old system. Changes nothing.
    ///
    /// # Errors
    /// What it would fail at.
    fn foresee(&self, context: &StepContext) -> Result<(), Error>;

    /// Whether its effect is there already. Changes nothing.
    ///
    /// # Errors
    /// When it can't look.
    fn probe(&self, context: &StepContext) -> Result<Probe, Error>;

    /// Brings its effect about, from whatever a cut has left of it.
    ///
    /// # Errors
    /// The first act that failed.
    fn apply(&self, context: &StepContext) -> Result<(), Error>;

    /// Holds the effect against what was asked for. Changes nothing.
    ///
    /// # Errors
    /// What is not as it should be.
    fn verify(&self, context: &StepContext) -> Result<(), Error>;

    /// Takes its effect back, from whatever a cut has left of it. Returns the name under which
    /// something was kept.
    ///
    /// # Errors
    /// The first act that failed.
    fn undo(&self, context: &StepContext, how: Undo) -> Result<Option<String>, Error>;
}

/// The code behind a step's parameters.
#[must_use]
pub fn of(step: &Action) -> Box<dyn Step + '_> {
    match step {
        Action::Snapshot(step) => Box::new(snapshot::Step(step)),
        Action::PromoteDirectory(step) => Box::new(promote_directory::Step(step)),
        Action::VacateDirectory(step) => Box::new(vacate_directory::Step(step)),
        Action::BackUpFile(step) => Box::new(back_up_file::Step(step)),
        Action::WriteFstab(step) => Box::new(write_fstab::step(step)),
        Action::WriteGrubDefaults(step) => Box::new(write_grub_defaults::step(step)),
        Action::WriteGrubConfig(step) => Box::new(write_grub_config::step(step)),
        Action::PlaceSubvolume(step) => Box::new(place_subvolume::Step(step)),
        Action::SwitchBootPath(step) => Box::new(switch_boot_path::Step(step)),
        Action::ClearStaging(step) => Box::new(clear_staging::Step(step)),
    }
}

/// Nothing of the path may be anything but a directory of the old system's own tree: renames work in
/// a snapshot of that.
fn own_directory(context: &StepContext, path: &Path) -> Result<(), Error> {
    let old = context.old()?;
    let mut reached = PathBuf::new();
    for part in path.components() {
        reached.push(part);
        let status = old.status(&reached)?;
        let wrong = match status {
            None => "it does not exist",
            Some(status) if !status.is_directory() => "it is no directory (a symlink perhaps)",
            Some(_) if old.is_subvolume(&reached)? => "it is a subvolume already",
            Some(_) => continue,
        };
        return Err(Error::in_the_way(Path::new("/").join(&reached), wrong));
    }
    Ok(())
}

/// A snapshot leaves an empty directory with this inode number where a nested subvolume was; it
/// can be removed but neither written to nor renamed (facts crash.md 3).
const STUB_INODE: u64 = 2;

fn is_stub(root: &Root, path: &Path) -> Result<bool, Error> {
    Ok(root
        .status(path)?
        .is_some_and(|status| status.inode == STUB_INODE))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a directory has the modification time that it has in the old system: the last thing that
/// a step restores.
fn same_times(old: &ReadOnly, at: &Path, new: &Root, path: &Path) -> Result<bool, Error> {
    let modified = new.status(path)?.map(|status| status.modified);
    Ok(old.status(at)?.map(|status| status.modified) == modified)
}

/// Gives a directory the access and modification times that it has in the old system: renames in it
/// change them, and nobody's data changed.
fn copy_times(old: &ReadOnly, at: &Path, new: &Root, path: &Path) -> Result<(), Error> {
    if let Some(status) = old.status(at)? {
        attributes::set_times(new, path, status.accessed, status.modified)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
