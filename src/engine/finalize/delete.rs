//! Deleting one tree of the old system.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::doomed::Doomed;
use crate::documents::plan::TRASH;
use crate::fault;
use crate::sys::signal::asked_to_stop;
use crate::sys::{InodeFlags, Root, attributes, btrfs};
use crate::tree;
use crate::tree::remove::{remove_tree, remove_what_takes_no_room};

/// Deletes everything of one file system; the number of entries deleted, subvolumes not counted.
/// Where a quota is used up, what takes no room goes first: that makes some. Durable when it
/// returns.
///
/// # Errors
/// The first act that failed; a second call goes on.
pub(super) fn remove(doomed: &Doomed, on_progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    remove_all(doomed, on_progress).map_err(explain)
}

/// A directory was emptied and is not empty: somebody wrote into it meanwhile, or half of a name is
/// left since the disk failed (docs/faults.md), which no second attempt takes away.
fn explain(error: Error) -> Error {
    let is_not_empty = match &error {
        Error::System(cause) => cause.is_not_empty(),
        Error::Tree(cause) => cause.is_not_empty(),
        _ => false,
    };
    if !is_not_empty {
        return error;
    }
    Error::Leftover {
        cause: Box::new(error),
    }
}

fn remove_all(doomed: &Doomed, on_progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    let (removed, before) = (Cell::new(0), Cell::new(0));
    let tell = &mut |count: u64| {
        removed.set(before.get() + count);
        on_progress(removed.get());
    };
    let mut has_room = false;
    for path in &doomed.paths {
        before.set(removed.get());
        match whole(doomed.top, path, tell) {
            Err(cause) if is_no_space(&cause) && !has_room => {
                log::warn!("{cause}: what can be deleted without room goes first");
                for path in &doomed.paths {
                    for tree in trees(doomed.top, path)? {
                        before.set(removed.get());
                        remove_what_takes_no_room(doomed.top, &tree, tell)?;
                    }
                }
                doomed.top.sync_filesystem()?;
                has_room = true;
                before.set(removed.get());
                whole(doomed.top, path, tell)?;
            }
            done => done?,
        }
        fault::reached("finalize-tree");
        doomed.top.sync_filesystem()?;
    }
    Ok(removed.get())
}

fn is_no_space(error: &Error) -> bool {
    match error {
        Error::System(cause) => cause.is_no_space(),
        Error::Tree(cause) => cause.is_no_space(),
        _ => false,
    }
}

fn whole(top: &Root, path: &Path, on_progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    delete_nested(top, path)?;
    if is_trash(path) {
        unlock(top, path)?;
    }
    let mut entries = 0;
    for tree in trees(top, path)? {
        let mut tell = |count| on_progress(entries + count);
        entries += remove_tree(top, &tree, &mut tell)?;
    }
    if is_trash(path) {
        remove_trash(top, path)?;
        on_progress(entries + 1);
    }
    Ok(())
}

/// The trash goes entry by entry, what else there is as a whole.
fn trees(top: &Root, path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !is_trash(path) {
        return Ok(vec![path.to_owned()]);
    }
    let names = top.list(path)?;
    Ok(names.iter().map(|name| path.join(name)).collect())
}

fn is_trash(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new(TRASH))
}

/// Deletes the subvolumes in a tree, and the tree if it is one.
fn delete_nested(top: &Root, tree: &Path) -> Result<(), Error> {
    let mut nested: Vec<PathBuf> = btrfs::list_subvolumes(top)?
        .into_iter()
        .map(|subvolume| subvolume.path)
        .collect();
    nested.retain(|subvolume| subvolume.starts_with(tree));
    // Sorted by path: what is nested in another follows it.
    for (outer, inner) in nested.iter().zip(nested.iter().skip(1)) {
        if inner.starts_with(outer) && btrfs::subvolume_info(top, outer)?.read_only {
            btrfs::set_read_only(top, outer, false)?;
        }
    }
    for subvolume in nested.iter().rev() {
        if asked_to_stop() {
            return Err(tree::Error::Stopped.into());
        }
        delete_subvolume(top, tree, subvolume)?;
    }
    Ok(())
}

/// A lock on the directory that holds it is in the way, too; above the tree it stays.
fn delete_subvolume(top: &Root, tree: &Path, subvolume: &Path) -> Result<(), Error> {
    match btrfs::delete_subvolume(top, subvolume) {
        Err(cause) if cause.is_not_permitted() && subvolume != tree => {
            unlock(top, subvolume.parent().unwrap_or(tree))?;
            Ok(btrfs::delete_subvolume(top, subvolume)?)
        }
        done => Ok(done?),
    }
}

fn unlock(top: &Root, directory: &Path) -> Result<(), Error> {
    let bits = top.flags(directory)?.bits;
    if bits & InodeFlags::LOCKS != 0 {
        top.set_flags(directory, bits & !InodeFlags::LOCKS)?;
    }
    Ok(())
}

/// The directory that holds the trash is somebody's, as /home: it keeps its times.
fn remove_trash(top: &Root, trash: &Path) -> Result<(), Error> {
    let holder = trash.parent().unwrap_or(Path::new("."));
    let status = top.status(holder)?;
    top.remove_directory(trash)?;
    if let Some(status) = status {
        attributes::set_times(top, holder, status.accessed, status.modified)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the kernel says of a directory that holds something.
    fn not_empty() -> crate::sys::Error {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("trash/left")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        root.remove_directory(Path::new("trash")).unwrap_err()
    }

    #[test]
    fn what_is_left_in_an_emptied_directory_has_a_remedy() {
        let trees = [
            Error::System(not_empty()),
            tree::Error::Sys(not_empty()).into(),
        ];
        for error in trees {
            let said = explain(error).to_string();
            assert!(said.contains("trash: Directory not empty"), "{said}");
            assert!(said.contains("run `rootshift finalize` again"), "{said}");
            assert!(said.contains("btrfs check --readonly"), "{said}");
        }
        let other = explain(tree::Error::Stopped.into()).to_string();
        assert!(!other.contains("btrfs check"), "{other}");
    }
}
