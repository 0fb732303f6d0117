//! `boot-loader`: GRUB boots this system from /boot/grub/grub.cfg on the root file system, and the
//! configuration can be rewritten.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::{RootIdentity, to_subvolume};
use crate::sys::{FileKind, Root};

const GRUB_CONFIG: &str = "boot/grub/grub.cfg";
const FSTAB: &str = "etc/fstab";

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let top = context.top()?;
    if !top
        .status(Path::new("boot"))?
        .is_some_and(|status| status.is_directory())
    {
        return Ok(Outcome::fail(
            "/boot is no directory",
            "not supported; nothing was changed",
        ));
    }
    for file in [FSTAB, GRUB_CONFIG] {
        if let Some(problem) = not_a_plain_file(top, file)? {
            return Ok(problem);
        }
    }
    let Some(identity) = context.identity else {
        return Err(Error::NoTopLevel);
    };
    let root = RootIdentity {
        uuid: &identity.uuid,
        aliases: &identity.aliases,
    };
    let text = top.read_text(Path::new(GRUB_CONFIG))?;
    if let Err(cause) = to_subvolume(&text, &root, context.main()) {
        return Ok(Outcome::fail(
            format!("/{GRUB_CONFIG} can't be rewritten: {cause}"),
            "run `update-grub` and look at the line",
        ));
    }
    Ok(Outcome::Pass)
}

fn not_a_plain_file(top: &Root, path: &str) -> Result<Option<Outcome>, Error> {
    let kind = top.status(Path::new(path))?.map(|status| status.kind);
    Ok(match kind {
        Some(FileKind::File) => None,
        Some(_) => Some(Outcome::fail(
            format!("/{path} is not a plain file"),
            "not supported: make it a plain file",
        )),
        None => Some(Outcome::fail(
            format!("/{path} does not exist"),
            "not supported: rootshift needs an fstab, and GRUB (`apt install grub-pc` or \
             `grub-efi-amd64`, then `update-grub`)",
        )),
    })
}
