//! `flat-btrfs-root`: `/` is the top level of a btrfs on one device, or the one subvolume at the top
//! level that an installer has put the whole system into (`@rootfs`).

use std::path::Path;

use super::{CheckContext, Error, Outcome, twin_devices};
use crate::documents::layout::is_plain_name;
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
    if let Some(problem) = unknown_subvolume(context)? {
        return Ok(problem);
    }
    let devices = btrfs::filesystem(context.system)?.devices;
    if devices > 1 {
        return Ok(Outcome::fail(
            format!("the root file system spans {devices} devices"),
            "not supported yet; nothing was changed",
        ));
    }
    if let Some(identity) = context.identity
        && let Some(problem) = twin_devices(context.system, &identity.uuid)?
    {
        return Ok(Outcome::fail(
            problem,
            "detach the copy, or give it a UUID of its own: `btrfstune -m DEVICE`, with the device \
             that is not mounted",
        ));
    }
    if let Some(problem) = separate_system_directory(context)? {
        return Ok(problem);
    }
    for layout in context.layout.others() {
        if let Some(problem) = other_not_flat(context, &layout.mounted_at)? {
            return Ok(problem);
        }
    }
    Ok(Outcome::Pass)
}

/// Another file system of the layout has to be a whole, flat btrfs of its own.
fn other_not_flat(context: &CheckContext, place: &str) -> Result<Option<Outcome>, Error> {
    let refuse = |problem: String| {
        Ok(Some(Outcome::fail(
            problem,
            "mount it, or take it out of the batch's layout",
        )))
    };
    let Some(mount) = context.mount_at(place) else {
        return refuse(format!(
            "nothing is mounted at {place}, which the layout names"
        ));
    };
    if mount.fstype != "btrfs" {
        return refuse(format!("{place} is {}, not btrfs", mount.fstype));
    }
    if mount.root != Path::new("/") {
        let subvolume = mount.root.display();
        return refuse(format!(
            "{place} is the subvolume {subvolume}, not a whole file system"
        ));
    }
    let there = context
        .others
        .iter()
        .find(|other| other.mounted_at == place);
    let Some(there) = there else {
        return refuse(format!("{place} is not a file system of its own"));
    };
    let devices = btrfs::filesystem(&there.top)?.devices;
    if devices > 1 {
        return refuse(format!(
            "the file system of {place} spans {devices} devices"
        ));
    }
    Ok(None)
}

/// A root that is neither the top level nor one subvolume in it that can get out of the way.
fn unknown_subvolume(context: &CheckContext) -> Result<Option<Outcome>, Error> {
    let name = context.old_root;
    let refuse = |problem: String| {
        let remedy = "not supported yet: rootshift moves flat roots and a single subvolume as \
                      @rootfs; nothing was changed";
        Ok(Some(Outcome::fail(problem, remedy)))
    };
    if name.is_empty() {
        return Ok(None);
    }
    if name == context.main() {
        return refuse(format!("the root is the subvolume {name} already"));
    }
    if name.contains('/') {
        return refuse(format!("the root is {name}, not at the top level"));
    }
    if !is_plain_name(name) {
        return refuse(format!("the root subvolume's name \"{name}\" is unusual"));
    }
    if !btrfs::is_subvolume(context.top()?, Path::new(name))? {
        return refuse(format!("the root is the directory {name}, no subvolume"));
    }
    Ok(None)
}

/// The boot path can only be switched where /boot is part of the root.
fn separate_system_directory(context: &CheckContext) -> Result<Option<Outcome>, Error> {
    let separate = |directory: &str, what: &str| {
        Ok(Some(Outcome::fail(
            format!("{directory} is a {what} of its own"),
            "not supported yet; nothing was changed",
        )))
    };
    for directory in ["/boot", "/usr", "/etc", "/var"] {
        if context.mount_at(directory).is_some() {
            return separate(directory, "file system");
        }
    }
    let old = context.old()?;
    for directory in ["/boot", "/usr", "/etc"] {
        if btrfs::is_subvolume(&old, Path::new(directory))? {
            return separate(directory, "subvolume");
        }
    }
    Ok(None)
}
