//! `boot-loader`: GRUB boots this system from /boot/grub/grub.cfg on the root file system, and the
//! configuration can be rewritten.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::{RootIdentity, to_subvolume};
use crate::bootchain::{Running, broken_menu, defaults_doubt, doubt};
use crate::sys::{FileKind, Root};

const GRUB_CONFIG: &str = "boot/grub/grub.cfg";
const FSTAB: &str = "etc/fstab";

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let old = context.old()?;
    if !old
        .status(Path::new("boot"))?
        .is_some_and(|status| status.is_directory())
    {
        return Ok(Outcome::fail(
            "/boot is no directory",
            "not supported; nothing was changed",
        ));
    }
    for file in [FSTAB, GRUB_CONFIG] {
        if let Some(problem) = not_a_plain_file(&old, file)? {
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
    let text = old.read_text(Path::new(GRUB_CONFIG))?;
    let new = match to_subvolume(&text, &root, context.main()) {
        Ok(new) => new.text,
        Err(cause) => {
            let problem = format!("/{GRUB_CONFIG} can't be rewritten: {cause}");
            let remedy = "run `update-grub` and look at the line";
            return Ok(Outcome::fail(problem, remedy));
        }
    };
    if let Some(problem) = not_proved(context, &old, &new)? {
        return Ok(problem);
    }
    if let Some(doubt) = defaults_doubt(&old, context.main(), true)? {
        return Ok(Outcome::fail(doubt.problem, doubt.remedy));
    }
    let doubt = doubt(&Running {
        system: context.system,
        top: context.top()?,
        root: context.old_root,
        uuid: &identity.uuid,
        config: &text,
        new_config: &new,
        new_root: context.main(),
    })?;
    Ok(doubt.map_or(Outcome::Pass, |doubt| {
        Outcome::fail(doubt.problem, doubt.remedy)
    }))
}

/// The rewritten configuration must stand the proof before the commit: it must find in the new root
/// the kernel that is in the old one now. It does not where the old one names another subvolume than
/// the one that is mounted.
fn not_proved(context: &CheckContext, old: &Root, text: &str) -> Result<Option<Outcome>, Error> {
    let inside = Path::new("/").join(context.main());
    let problem = broken_menu(&context.new_system()?, text, &|path| {
        Ok(match path.strip_prefix(&inside) {
            Ok(inside) => old.resolved_status(inside)?,
            Err(_) => None,
        })
    })?;
    Ok(problem.map(|problem| {
        Outcome::fail(
            format!("/{GRUB_CONFIG}, as it would be in the new system: {problem}"),
            format!(
                "mend that entry: make the files that it loads anew (`update-initramfs -u -k all`, \
                 or install the kernel again), then run `update-grub`; {} stands for this system",
                inside.display()
            ),
        )
    }))
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
