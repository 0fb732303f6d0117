//! `switch-boot-path`: points what the boot loader reads at the new system.

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo};
use crate::bootchain::Switch;
use crate::documents::action::SwitchBootPath;

/// The code behind [`SwitchBootPath`].
pub(super) struct Step<'a>(pub &'a SwitchBootPath);

impl Step<'_> {
    fn with<T>(&self, work: impl FnOnce(&Switch) -> T) -> T {
        let [path, kept]: [PathBuf; 2] =
            [&self.0.path, &self.0.keep_as].map(|path| PathBuf::from(path.trim_matches('/')));
        work(&Switch {
            path: &path,
            target: Path::new(&self.0.target),
            kept: &kept,
        })
    }
}

impl super::Step for Step<'_> {
    fn foresee(&self, context: &StepContext) -> Result<(), Error> {
        let path = PathBuf::from(self.0.path.trim_matches('/'));
        let there = context.look()?.status(&path)?;
        if there.is_some_and(|there| there.is_directory()) {
            return Ok(());
        }
        Err(Error::in_the_way(path, "it is no directory"))
    }

    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(
            if self.with(|switch| switch.is_made(context.boot_path()))? {
                Probe::Done
            } else {
                Probe::Open
            },
        )
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        Ok(self.with(|switch| switch.make(context.boot_path()))?)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if self.with(|switch| switch.is_made(context.boot_path()))? {
            return Ok(());
        }
        Err(Error::not_verified(
            PathBuf::from(self.0.path.trim_matches('/')),
            format!("it does not lead to {}", self.0.target),
        ))
    }

    fn undo(&self, context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        self.with(|switch| switch.take_back(context.boot_path()))?;
        Ok(None)
    }
}
