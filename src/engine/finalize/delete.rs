//! Deleting one tree of the old system.

use std::cell::Cell;
use std::path::Path;

use super::super::Error;
use super::changes::{self, Look};
use super::doomed::{self, Doomed, Found, Tree};
use crate::documents::plan::STAGING;
use crate::fault::{self, mutant};
use crate::sys::btrfs::Subvolume;
use crate::sys::signal::asked_to_stop;
use crate::sys::{InodeFlags, Root, Status, attributes, btrfs};
use crate::tree;
use crate::tree::remove::{Entry, remove_entry_of};

/// A trash that somebody renames all the time is met within so many.
const ATTEMPTS: u32 = 100;

/// Deletes everything of one file system; the number of entries deleted, subvolumes not counted.
/// Where a quota is used up, what takes no room goes first: that makes some. What changed up to the
/// transaction `known` goes as well. Durable when it returns.
///
/// # Errors
/// The first act that failed; a second call goes on.
pub(super) fn remove(
    doomed: &Doomed,
    known: u64,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    remove_all(doomed, known, on_progress).map_err(explain)
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

fn remove_all(doomed: &Doomed, known: u64, on_progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    let (removed, before) = (Cell::new(0), Cell::new(0));
    let tell = &mut |count: u64| {
        removed.set(before.get() + count);
        on_progress(removed.get());
    };
    let mut has_room = false;
    for tree in &doomed.trees {
        nothing_new(doomed, tree, known)?;
        before.set(removed.get());
        match whole(doomed, tree, tell) {
            Err(cause) if is_no_space(&cause) && !has_room => {
                log::warn!("{cause}: what can be deleted without room goes first");
                for tree in &doomed.trees {
                    before.set(removed.get());
                    without_room(doomed, tree, tell)?;
                }
                doomed.top.sync_filesystem()?;
                has_room = true;
                before.set(removed.get());
                whole(doomed, tree, tell)?;
            }
            done => done?,
        }
        fault::reached("finalize-tree");
        doomed.top.sync_filesystem()?;
    }
    Ok(removed.get())
}

/// Somebody may have begun to write there after the question was answered.
fn nothing_new(doomed: &Doomed, tree: &Tree, known: u64) -> Result<(), Error> {
    let trees = std::slice::from_ref(tree);
    let changes = changes::since(doomed, trees, Look::During, known)?;
    if changes.count == 0 {
        return Ok(());
    }
    Err(Error::NotNow(format!(
        "{}; they are not deleted: run `rootshift finalize` again, it says what can be done",
        changes.in_words()
    )))
}

fn is_no_space(error: &Error) -> bool {
    match error {
        Error::System(cause) => cause.is_no_space(),
        Error::Tree(cause) => cause.is_no_space(),
        _ => false,
    }
}

/// As far as it is there, and still is what it was.
fn whole(doomed: &Doomed, tree: &Tree, on_progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let top = doomed.top;
    match doomed::find(top, tree)? {
        Some(Found::Entry(status)) => {
            delete_nested(doomed, &tree.path)?;
            entry(top, tree, &status, false, on_progress)?;
        }
        Some(Found::Subvolume) => delete_nested(doomed, &tree.path)?,
        Some(Found::Trash(trash)) => {
            let trash = match mutant::TRASH_BY_NAME {
                true => top.within(tree.object.path()).unwrap_or(trash), // on purpose
                false => trash,
            };
            delete_nested(doomed, &tree.path)?;
            unlock(&trash)?;
            let emptied = content(&trash, false, on_progress)?;
            remove_trash(top, tree, &trash)?;
            on_progress(emptied + 1);
        }
        None => {}
    }
    Ok(())
}

fn without_room(
    doomed: &Doomed,
    tree: &Tree,
    on_progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    match doomed::find(doomed.top, tree)? {
        Some(Found::Entry(status)) => entry(doomed.top, tree, &status, true, on_progress),
        Some(Found::Trash(trash)) => content(&trash, true, on_progress).map(|_| ()),
        Some(Found::Subvolume) | None => Ok(()),
    }
}

fn entry(
    top: &Root,
    tree: &Tree,
    status: &Status,
    leaves_hard: bool,
    on_progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let entry = Entry {
        parent: &top.directory(Path::new(""))?,
        name: tree.path.file_name().unwrap_or_default(),
        status,
    };
    remove_entry_of(&entry, leaves_hard, on_progress)?;
    Ok(())
}

/// Everything in a trash, entry by entry; the number of entries.
fn content(
    trash: &Root,
    leaves_hard: bool,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    let parent = trash.directory(Path::new(""))?;
    let mut entries = 0;
    for name in parent.names()? {
        let status = match parent.status_of(&name) {
            Err(cause) if cause.is_not_found() => continue,
            status => status?,
        };
        let entry = Entry {
            parent: &parent,
            name: &name,
            status: &status,
        };
        let mut tell = |count| on_progress(entries + count);
        entries += remove_entry_of(&entry, leaves_hard, &mut tell)?;
    }
    Ok(entries)
}

/// Deletes the known subvolumes in a tree, and the tree if it is one.
fn delete_nested(doomed: &Doomed, tree: &Path) -> Result<(), Error> {
    let top = doomed.top;
    let mut nested = btrfs::list_subvolumes(top)?;
    nested.retain(|subvolume| subvolume.path.starts_with(tree));
    for subvolume in &nested {
        if !doomed::may_go(doomed, subvolume)? {
            let path = subvolume.path.display();
            return Err(Error::NotNow(format!(
                "the subvolume {path} in the old system was made after arming: move it away or \
                 delete it, then run `rootshift finalize` again"
            )));
        }
    }
    // Sorted by path: what is nested in another follows it.
    for (outer, inner) in nested.iter().zip(nested.iter().skip(1)) {
        if inner.path.starts_with(&outer.path) {
            make_writable(top, outer)?;
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

/// What forbids that a subvolume, or what is nested in it, is deleted.
fn make_writable(top: &Root, subvolume: &Subvolume) -> Result<(), Error> {
    let root = btrfs::open_inode(top, subvolume.id, btrfs::ROOT_INODE, 0, &subvolume.path)?;
    let Some(root) = root else {
        return Ok(());
    };
    if btrfs::subvolume_info(&root, Path::new(""))?.read_only {
        btrfs::set_read_only(&root, Path::new(""), false)?;
    }
    unlock(&root)
}

/// A lock on the directory that holds it is in the way, too; above the tree it stays.
fn delete_subvolume(top: &Root, tree: &Path, subvolume: &Subvolume) -> Result<(), Error> {
    let (id, path) = (subvolume.id, subvolume.path.as_path());
    match btrfs::delete_subvolume_of_id(top, id, path) {
        Err(cause) if cause.is_not_permitted() || cause.is_read_only() => {
            make_writable(top, subvolume)?;
            if path != tree {
                let root = btrfs::open_inode(top, id, btrfs::ROOT_INODE, 0, path)?;
                root.map_or(Ok(()), |root| unlock(&root.above()?))?;
            }
            Ok(btrfs::delete_subvolume_of_id(top, id, path)?)
        }
        done => Ok(done?),
    }
}

fn unlock(directory: &Root) -> Result<(), Error> {
    let here = Path::new("");
    let bits = directory.flags(here)?.bits;
    if bits & InodeFlags::LOCKS != 0 {
        directory.set_flags(here, bits & !InodeFlags::LOCKS)?;
    }
    Ok(())
}

/// The directory that holds the trash is somebody's, as /home: it keeps its times, and its owner may
/// rename the trash at any moment. Whatever has its name then, no more than an empty directory goes.
fn remove_trash(top: &Root, tree: &Tree, trash: &Root) -> Result<(), Error> {
    let here = Path::new("");
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let holder = trash.above()?;
        let status = holder.status(here)?;
        let path = btrfs::path_of(trash, tree.object.inode)?;
        let name = path.file_name().unwrap_or_default();
        let removed = holder.directory(here)?.remove_directory(name);
        if let Some(status) = status {
            attributes::set_times(&holder, here, status.accessed, status.modified)?;
        }
        if !matches!(doomed::find(top, tree)?, Some(Found::Trash(_))) {
            return Ok(());
        }
        last = removed.err();
    }
    match last {
        Some(cause) => Err(cause.into()),
        None => Err(Error::NotNow(format!(
            "{} is renamed again and again: end what does that, then run `rootshift finalize` again",
            tree.path.display()
        ))),
    }
}

/// Removes the place where subvolumes are prepared, once nothing is left in it. The number of entries
/// removed, and what is in it otherwise. Durable when it returns.
pub(super) fn remove_staging(top: &Root) -> Result<(u64, Vec<String>), Error> {
    let staging = Path::new(STAGING);
    if !top.exists(staging)? {
        return Ok((0, Vec::new()));
    }
    let left = top.list(staging)?;
    if left.is_empty() {
        top.remove_directory(staging)?;
        top.sync_filesystem()?;
    }
    let path = |name| staging.join(name).display().to_string();
    let why = "it was not there at the commit";
    let removed = u64::from(left.is_empty());
    let left = left.iter().map(|name| format!("{}: {why}", path(name)));
    Ok((removed, left.collect()))
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
