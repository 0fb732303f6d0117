//! What is to be deleted.

use std::path::{Path, PathBuf};

use super::super::Error;
use super::super::rollback::present_root;
use crate::documents::plan::{PlannedFilesystem, STAGING, TRASH};
use crate::documents::{Action, Plan};
use crate::sys::{Root, btrfs};

/// What is to be deleted on one file system.
#[derive(Debug)]
pub(super) struct Doomed<'a> {
    /// Its top level.
    pub(super) top: &'a Root,
    /// Its UUID.
    pub(super) uuid: &'a str,
    /// Trees at the top level and in its subvolumes, as far as they are there.
    pub(super) paths: Vec<PathBuf>,
}

impl Doomed<'_> {
    /// Whether what lies at this path, as seen from the top level, is to be deleted.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.paths.iter().any(|doomed| path.starts_with(doomed))
    }
}

/// A subvolume inside the old tree that the plan does not know may be somebody's only copy.
pub(super) fn unknown_subvolume(
    top: &Root,
    plan: &Plan,
    filesystem: PlannedFilesystem,
) -> Result<(), Error> {
    let old = filesystem.old_system;
    let kept = match old.root.as_str() {
        "" => PathBuf::new(),
        _ => PathBuf::from(present_root(top, plan)),
    };
    let doomed = paths(top, plan, filesystem)?;
    for subvolume in btrfs::list_subvolumes(top)? {
        let inside = doomed.iter().any(|path| subvolume.path.starts_with(path));
        let known = subvolume.path == kept
            || subvolume
                .path
                .strip_prefix(&kept)
                .is_ok_and(|path| old.nested.iter().any(|nested| Path::new(nested) == path));
        if inside && !known {
            return Err(Error::NotNow(format!(
                "the subvolume {} in the old system was made after arming; move it away or \
                 delete it, then run `rootshift finalize` again",
                subvolume.path.display()
            )));
        }
    }
    Ok(())
}

/// What is deleted, where it still exists.
pub(super) fn paths(
    top: &Root,
    plan: &Plan,
    filesystem: PlannedFilesystem,
) -> Result<Vec<PathBuf>, Error> {
    let place = &filesystem.layout.mounted_at;
    let mut paths = Vec::new();
    let mut switched = Vec::new();
    for step in plan.steps() {
        if let Action::SwitchBootPath(switch) = &step.action
            && step.filesystem == *place
        {
            paths.push(PathBuf::from(&switch.keep_as));
            switched.push(switch.path.trim_start_matches('/').to_owned());
        }
    }
    let old = filesystem.old_system.entries.iter();
    paths.extend(
        old.filter(|entry| !switched.contains(entry))
            .map(PathBuf::from),
    );
    let subvolumes = filesystem.layout.subvolumes.iter();
    paths.extend(subvolumes.map(|subvolume| Path::new(&subvolume.name).join(TRASH)));
    paths.push(PathBuf::from(STAGING));
    let mut there = Vec::new();
    for path in paths {
        if top.exists(&path)? {
            there.push(path);
        }
    }
    Ok(there)
}
