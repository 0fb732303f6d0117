//! Another system in a subvolume beside a flat root: it may be booted by its own name.

use std::path::Path;

use super::{Doubt, Look};
use crate::engine::Error;
use crate::sys::btrfs;

const RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
const INIT: [&str; 3] = ["sbin/init", "usr/sbin/init", "usr/lib/systemd/systemd"];

/// Subvolumes at the top level that hold a whole system, and that nothing names.
///
/// # Errors
/// When one can't be looked into.
pub(super) fn beside(look: &Look, kept: &[&Path]) -> Result<Vec<Doubt>, Error> {
    let mut doubts = Vec::new();
    if !look.disk.root.is_empty() {
        return Ok(doubts); // beside it nothing is touched
    }
    let own = btrfs::subvolume_info(look.disk.top, Path::new("."))?;
    for subvolume in &look.all {
        let path = &subvolume.path;
        let is_top = path.components().count() == 1;
        if !is_top || kept.iter().any(|kept| path.starts_with(kept)) {
            continue;
        }
        // A snapshot of this system, and what nobody can write to, is no other one.
        let info = btrfs::subvolume_info(look.disk.top, path)?;
        if info.read_only || info.parent_uuid == own.uuid && own.uuid != [0; 16] {
            continue;
        }
        let root = look.disk.top.within(path)?;
        let has = |files: &[&str]| -> Result<bool, Error> {
            for file in files {
                if root.resolved_status(Path::new(file))?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if has(&RELEASE)? && has(&INIT)? {
            doubts.push(doubt(path, &look.disk.identity.uuid));
        }
    }
    Ok(doubts)
}

fn doubt(path: &Path, uuid: &str) -> Doubt {
    let name = path.display();
    Doubt {
        problem: format!(
            "the subvolume {name} holds a system of its own: whether it is booted by itself or is \
             part of this one can't be seen"
        ),
        remedy: format!(
            "if it is to stay where it is, name it in /etc/fstab (`UUID={uuid} /mnt btrfs \
             subvol={name},noauto 0 0`); if it is part of this system, move it into a directory: \
             `mkdir -p /srv/systems && mv /{name} /srv/systems/`"
        ),
    }
}
