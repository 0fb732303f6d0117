//! `boot-loader`: GRUB boots this system from /boot/grub/grub.cfg on the root file system, and the
//! configuration can be rewritten.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::{RootIdentity, boot_entries, default_entry, to_subvolume};
use crate::bootchain::{Running, defaults_doubt, doubt};
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
    let (problem, new) = match to_subvolume(&text, &root, context.main()) {
        Err(cause) => (Some(format!("can't be rewritten: {cause}")), String::new()),
        Ok(new) => (kernel_out_of_reach(context, &old, &new.text)?, new.text),
    };
    if let Some(problem) = problem {
        let problem = format!("/{GRUB_CONFIG} {problem}");
        let remedy = "run `update-grub` and look at the line";
        return Ok(Outcome::fail(problem, remedy));
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

/// The rewritten configuration must find in the new root the kernel that is in the old one now: it
/// does not where the old one names another subvolume than the one that is mounted.
fn kernel_out_of_reach(
    context: &CheckContext,
    old: &Root,
    text: &str,
) -> Result<Option<String>, Error> {
    let entries = boot_entries(text);
    let kernel = default_entry(text, &entries).and_then(|entry| entry.linux.as_deref());
    let Some(kernel) = kernel else {
        return Ok(None); // boot-chain looks at it once it is written
    };
    let inside = Path::new("/").join(context.main());
    let found = match Path::new(kernel).strip_prefix(inside) {
        Ok(inside) => old.resolved_status(inside)?.is_some(),
        Err(_) => false,
    };
    Ok((!found).then(|| format!("would load {kernel}, which would not be there")))
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
