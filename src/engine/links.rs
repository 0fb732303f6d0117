//! Hard links that the split would cut and that were made since the machine was looked at: found by
//! what changed, not by a walk over all there is.

use std::path::{Path, PathBuf};

use super::Error;
use crate::documents::plan::PlannedFilesystem;
use crate::sys::btrfs::{self, Changed};
use crate::sys::{Root, sorted};
use crate::tree::walk::{Boundary, Decision, Found, Order, Visitor, walk};

/// A file of which names lie in two future subvolumes, and one of the names of each; `None` where
/// there is none, or none was made after the plan's look at the file system.
///
/// A name is new in a part only if its file was changed (linked, renamed), or a directory above it
/// was moved; of a move the directory is changed and the one that it is in now.
///
/// # Errors
/// When that can't be looked at.
pub(super) fn cut_since(
    top: &Root,
    filesystem: PlannedFilesystem,
) -> Result<Option<[PathBuf; 2]>, Error> {
    let old = filesystem.old_system;
    let Some(generation) = old.generation else {
        return Ok(None);
    };
    let layout = filesystem.layout;
    let places = layout
        .split_off()
        .map(|one| layout.inside(&one.mount_point));
    let parts: Vec<PathBuf> = places
        .map(|place| PathBuf::from(place.trim_matches('/')))
        .collect();
    let root = top.within(&old.path(""))?;
    let changed = btrfs::changed_since(&root, generation)?;
    let linked = changed
        .iter()
        .filter(|one| !one.is_directory && one.links > 1);
    let mut inodes: Vec<u64> = linked.map(|one| one.inode).collect();
    for directory in moved(&root, &changed)? {
        inodes.extend(linked_below(&root, &directory)?);
    }
    let mut inodes = sorted(inodes);
    inodes.dedup();
    for inode in inodes {
        let names = btrfs::names_of(&root, inode)?;
        if let Some(cut) = in_two_parts(&names, &parts) {
            return Ok(Some(cut));
        }
    }
    Ok(None)
}

/// Directories that may have been moved, without those inside of others of them.
fn moved(root: &Root, changed: &[Changed]) -> Result<Vec<PathBuf>, Error> {
    let directories = changed.iter().filter(|one| one.is_directory);
    let directories = sorted(directories.map(|one| one.inode).collect::<Vec<u64>>());
    let mut paths = Vec::new();
    for directory in &directories {
        let above = btrfs::directory_of(root, *directory)?;
        if above.is_some_and(|above| directories.binary_search(&above).is_ok()) {
            paths.extend(btrfs::names_of(root, *directory)?);
        }
    }
    let mut outer: Vec<PathBuf> = Vec::new();
    for path in sorted(paths) {
        if !outer.last().is_some_and(|last| path.starts_with(last)) {
            outer.push(path);
        }
    }
    Ok(outer)
}

/// Files with several names in this directory of one subvolume.
fn linked_below(root: &Root, directory: &Path) -> Result<Vec<u64>, Error> {
    struct Linked(Vec<u64>);
    impl Visitor for Linked {
        fn visit(&mut self, found: &Found<'_>) -> Result<Decision, crate::tree::Error> {
            if found.status.is_directory() {
                return Ok(match found.boundary() {
                    Boundary::None => Decision::Enter,
                    Boundary::Mount | Boundary::Subvolume => Decision::Pass,
                });
            }
            if found.status.links > 1 {
                self.0.push(found.status.inode);
            }
            Ok(Decision::Pass)
        }
    }
    let mut linked = Linked(Vec::new());
    walk(root.directory(directory)?, Order::Stored, &mut linked)?;
    Ok(linked.0)
}

fn in_two_parts(names: &[PathBuf], parts: &[PathBuf]) -> Option<[PathBuf; 2]> {
    let part = |name: &Path| {
        let holding = parts.iter().filter(|part| name.starts_with(part));
        holding.max_by_key(|part| part.components().count())
    };
    let (first, others) = names.split_first()?;
    let other = others.iter().find(|other| part(other) != part(first))?;
    Some([first.clone(), other.clone()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_part_counts() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let parts = paths(&["home", "var", "var/log"]);
        for (names, cut) in [
            (&["home/a", "home/b/c"][..], false),
            (&["home/a", "srv/a"], true),
            (&["srv/a", "opt/a"], false),
            (&["var/a", "var/log/a"], true),
            (&["var/logs/a", "var/b"], false),
            (&["home/a"], false),
        ] {
            let found = in_two_parts(&paths(names), &parts).is_some();
            assert_eq!(found, cut, "{names:?}");
        }
    }
}
