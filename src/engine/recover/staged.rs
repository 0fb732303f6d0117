//! What lies where subvolumes are prepared, when no migration is under way.

use std::path::{Path, PathBuf};

use super::Leftover;
use crate::documents::plan::STAGING;
use crate::documents::{Action, Plan};
use crate::engine::Error;
use crate::sys::mount::Mount;
use crate::sys::{Root, btrfs};

/// Each entry: surely a snapshot that this plan had made and nobody has used, or in doubt.
pub(super) fn look(
    top: &Root,
    plan: Option<&Plan>,
    mounts: &[Mount],
) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    if !top.exists(Path::new(STAGING))? {
        return Ok(found);
    }
    for name in top.list(Path::new(STAGING))? {
        let path = Path::new(STAGING).join(name);
        found.push(match doubt(top, plan, mounts, &path)? {
            Some(why) => Leftover::Doubtful(path, why),
            None => Leftover::Staged(path),
        });
    }
    Ok(found)
}

/// Why it may be somebody's.
fn doubt(
    top: &Root,
    plan: Option<&Plan>,
    mounts: &[Mount],
    path: &Path,
) -> Result<Option<String>, Error> {
    let why = |text: &str| Ok(Some(text.to_owned()));
    let Some(plan) = plan else {
        return why("there is no plan that says what it is");
    };
    if !btrfs::is_subvolume(top, path)? {
        return why("it is no subvolume, so no migration made it");
    }
    let shown = Path::new("/").join(path);
    if let Some(mount) = mounts.iter().find(|mount| mount.root.starts_with(&shown)) {
        return Ok(Some(format!(
            "it is mounted at {}",
            mount.mount_point.display()
        )));
    }
    for inside in whole(top, path)? {
        let Some(from) = source(plan, &inside) else {
            return Ok(Some(format!("no plan made {}", inside.display())));
        };
        let made = btrfs::subvolume_info(top, &inside)?;
        let source = btrfs::subvolume_info(top, &from)?;
        if source.uuid != [0; 16] && made.parent_uuid != source.uuid {
            return why("it is a snapshot of something else than the plan says");
        }
    }
    Ok(None)
}

/// What the plan has snapshotted to this path.
fn source(plan: &Plan, path: &Path) -> Option<PathBuf> {
    plan.steps()
        .into_iter()
        .find_map(|step| match &step.action {
            Action::Snapshot(snapshot) if step.filesystem == "/" && snapshot.to.path() == path => {
                Some(plan.old_system.path(&snapshot.from.to_string()))
            }
            _ => None,
        })
}

/// The subvolume and all that are nested in it, deepest first.
fn whole(top: &Root, path: &Path) -> Result<Vec<PathBuf>, Error> {
    let all = btrfs::list_subvolumes(top)?.into_iter().rev();
    let paths = all.map(|subvolume| subvolume.path);
    Ok(paths.filter(|inside| inside.starts_with(path)).collect())
}

/// Deletes it with all that is nested in it. Durable when it returns.
pub(super) fn delete(top: &Root, path: &Path) -> Result<(), Error> {
    for subvolume in whole(top, path)? {
        btrfs::delete_subvolume(top, &subvolume)?;
    }
    let staging = Path::new(STAGING);
    if top.list(staging)?.is_empty() {
        top.remove_directory(staging)?;
    }
    Ok(top.sync_filesystem()?)
}
