//! The quota groups of deleted subvolumes.

use std::path::Path;
use std::time::Duration;

use super::super::Error;
use super::doomed::Doomed;
use crate::sys::signal::asked_to_stop;
use crate::sys::{Root, btrfs, clock};
use crate::tree;

/// The ids of the subvolumes that are being deleted, as long as their quota groups are there:
/// after a cut nothing else tells which those are.
const NOTE: &str = ".rootshift/quota-groups";
/// How long the kernel may take to delete in the background.
const PATIENCE: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Notes the subvolumes that are about to be deleted, where quotas are on. Durable.
pub(super) fn note(doomed: &Doomed) -> Result<(), Error> {
    let top = doomed.top;
    if !btrfs::quotas_enabled(top)? {
        return Ok(());
    }
    let mut text = String::new();
    if top.exists(Path::new(NOTE))? {
        text = top.read_text(Path::new(NOTE))?;
    }
    for subvolume in btrfs::list_subvolumes(top)? {
        if doomed.holds(&subvolume.path) {
            text.push_str(&format!("{}\n", subvolume.id));
        }
    }
    top.replace_private_file(Path::new(NOTE), text.as_bytes())?;
    Ok(top.sync_filesystem()?)
}

/// Removes the quota groups of what was noted and is deleted. One that can't be removed is told
/// and left: it holds no space.
pub(super) fn remove(top: &Root) -> Result<(), Error> {
    if !top.exists(Path::new(NOTE))? {
        return Ok(());
    }
    let text = top.read_text(Path::new(NOTE))?;
    let there = btrfs::list_subvolumes(top)?;
    let mut left: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    left.retain(|id| !there.iter().any(|subvolume| subvolume.id == *id));
    for _ in 0..PATIENCE {
        left.retain(|id| is_needed(top, *id));
        if left.is_empty() {
            break;
        }
        if asked_to_stop() {
            return Err(tree::Error::Stopped.into());
        }
        clock::pause(PAUSE);
    }
    if !left.is_empty() {
        log::warn!(
            "the kernel is still deleting in the background; if quota groups without a subvolume \
             are left later, `btrfs qgroup clear-stale /` removes them"
        );
    }
    top.remove_file(Path::new(NOTE))?;
    Ok(top.sync_filesystem()?)
}

fn is_needed(top: &Root, id: u64) -> bool {
    match btrfs::remove_qgroup(top, id) {
        Ok(removed) => !removed,
        Err(cause) => {
            log::warn!("{cause}");
            false
        }
    }
}
