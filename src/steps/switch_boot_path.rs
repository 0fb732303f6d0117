//! `switch-boot-path`: points what the boot loader reads at the new system.
//!
//! GRUB always starts at the top level, follows symlinks across subvolumes and replays no log
//! (facts boot.md D3, D4, D6): a symlink is prepared beside the old directory, made durable, and
//! exchanged with it in one act. core.img and an ESP's stub stay valid as they are. What is
//! exchanged is `boot` of a flat system, or the whole subvolume `@rootfs` (facts boot.md D5).

use std::path::{Path, PathBuf};

use super::{Error, Probe, StepContext, Undo, relative};
use crate::documents::step::SwitchBootPath;
use crate::fault::mutant;
use crate::sys::Root;
use crate::sys::status::FileKind;

/// The code behind [`SwitchBootPath`].
pub(super) struct Step<'a>(pub &'a SwitchBootPath);

impl Step<'_> {
    fn path(&self) -> PathBuf {
        relative(&self.0.path)
    }

    fn kept(&self) -> PathBuf {
        relative(&self.0.keep_as)
    }

    fn is_our_link(&self, top: &Root, path: &Path) -> Result<bool, Error> {
        let link = top
            .status(path)?
            .is_some_and(|status| status.kind == FileKind::Symlink);
        Ok(link && top.read_link(path)? == Path::new(&self.0.target))
    }

    fn is_directory(top: &Root, path: &Path) -> Result<bool, Error> {
        Ok(top
            .status(path)?
            .is_some_and(|status| status.kind == FileKind::Directory))
    }

    fn is_switched(&self, top: &Root) -> Result<bool, Error> {
        Ok(self.is_our_link(top, &self.path())? && Self::is_directory(top, &self.kept())?)
    }

    fn remove_spare_link(&self, top: &Root) -> Result<(), Error> {
        if self.is_our_link(top, &self.kept())? {
            top.remove_file(&self.kept())?;
        }
        Ok(())
    }
}

impl super::Step for Step<'_> {
    fn probe(&self, context: &StepContext) -> Result<Probe, Error> {
        Ok(if self.is_switched(context.top)? {
            Probe::Done
        } else {
            Probe::Open
        })
    }

    fn apply(&self, context: &StepContext) -> Result<(), Error> {
        let top = context.top;
        if self.is_switched(top)? {
            return Ok(());
        }
        if !Self::is_directory(top, &self.path())? {
            return Err(Error::in_the_way(
                self.path(),
                "it is no directory; nothing was switched",
            ));
        }
        if !top.exists(&self.kept())? {
            top.symlink(Path::new(&self.0.target), &self.kept())?;
        }
        if !self.is_our_link(top, &self.kept())? {
            return Err(Error::in_the_way(
                self.kept(),
                "it is not rootshift's; nothing was switched",
            ));
        }
        if !mutant::SKIP_SYNC {
            top.sync_filesystem()?;
        }
        Ok(top.exchange(&self.path(), &self.kept())?)
    }

    fn verify(&self, context: &StepContext) -> Result<(), Error> {
        if self.is_switched(context.top)? {
            return Ok(());
        }
        Err(Error::not_verified(
            self.path(),
            format!("it does not lead to {}", self.0.target),
        ))
    }

    fn undo(&self, context: &StepContext, _how: Undo) -> Result<Option<String>, Error> {
        let top = context.top;
        if self.is_switched(top)? {
            top.exchange(&self.path(), &self.kept())?;
            top.sync_filesystem()?;
        }
        self.remove_spare_link(top)?;
        Ok(None)
    }
}
