//! `flat-btrfs-root`: `/` is the top level of a btrfs on one device.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::sys::btrfs;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let Some(root) = context.mount_at("/") else {
        return Err(Error::Malformed("no mount table names /".into()));
    };
    if root.fstype != "btrfs" {
        return Ok(Outcome::fail(
            format!(
                "the root file system is {} ({}), not btrfs",
                root.fstype, root.source
            ),
            "not supported yet: rootshift moves btrfs roots only; nothing was changed",
        ));
    }
    if root.root != Path::new("/") {
        return Ok(Outcome::fail(
            format!("the root is the subvolume {} already", root.root.display()),
            "not supported yet: rootshift moves flat roots only; nothing was changed",
        ));
    }
    let devices = btrfs::filesystem(context.system)?.devices;
    if devices > 1 {
        return Ok(Outcome::fail(
            format!("the root file system spans {devices} devices"),
            "not supported yet; nothing was changed",
        ));
    }
    Ok(separate_system_directory(context).unwrap_or(Outcome::Pass))
}

/// The boot path can only be switched where /boot is part of the root.
fn separate_system_directory(context: &CheckContext) -> Option<Outcome> {
    let separate = ["/boot", "/usr", "/etc", "/var"]
        .into_iter()
        .find_map(|directory| context.mount_at(directory))?;
    Some(Outcome::fail(
        format!(
            "{} is a file system of its own",
            separate.mount_point.display()
        ),
        "not supported yet; nothing was changed",
    ))
}
