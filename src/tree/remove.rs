//! Removing whole trees.

use std::ffi::OsStr;
use std::path::Path;

use super::Error;
use super::walk::{Boundary, Decision, Found, Order, Visitor, walk};
use crate::fault;
use crate::sys::signal::asked_to_stop;
use crate::sys::status::status_of;
use crate::sys::{Directory, InodeFlags, Root, Status, attributes};

/// Progress is told this often.
const TELL_EVERY: u64 = 1000;

/// Removes everything below a path and the path itself; the number of entries removed.
///
/// Immutable and append-only flags in the tree are cleared where they are in the way. Mounts and
/// nested subvolumes are refused (their empty stubs in snapshots are removed), before anything in them
/// is touched, but after what came before them. Nothing is durable before a sync; a cut leaves a
/// part, and a second call goes on. A path that is missing is done: 0. Ends between two entries
/// when this process is asked to stop ([`Error::Stopped`]).
///
/// `on_progress` gets the number removed so far, now and then and at the end, also that of a
/// failure.
pub fn remove_tree(
    root: &Root,
    path: &Path,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    remove(root, path, false, on_progress)
}

/// As [`remove_tree`], but leaves what can't be removed as long as the file system or a quota is
/// full: locked files, nested subvolumes, and the directories that hold them. Names of files go
/// even then: the kernel has room put aside for that (`btrfs_start_transaction_fallback_global_rsv`).
pub fn remove_what_takes_no_room(
    root: &Root,
    path: &Path,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    remove(root, path, true, on_progress)
}

fn remove(
    root: &Root,
    path: &Path,
    leaves_hard: bool,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    let Some(status) = root.status(path)? else {
        return Ok(0);
    };
    let Some(name) = path.file_name() else {
        // Fails, and says why in the kernel's words.
        root.remove_directory(path)?;
        return Ok(0);
    };
    let above = path.parent().unwrap_or(Path::new(""));
    let parent = root.within(above)?.directory(Path::new(""))?;
    let entry = Entry {
        parent: &parent,
        name,
        status: &status,
    };
    remove_entry_of(&entry, leaves_hard, on_progress)
}

/// An entry of an open directory, as it was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The directory.
    pub parent: &'a Directory,
    /// Its name there.
    pub name: &'a OsStr,
    /// What it is.
    pub status: &'a Status,
}

/// As [`remove_tree`] for an entry that was looked at before: when something else has its name by
/// now, what is in that is not touched ([`Error::Moved`]). With `leaves_hard` as
/// [`remove_what_takes_no_room`].
pub fn remove_entry_of(
    entry: &Entry<'_>,
    leaves_hard: bool,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    let parent_status = entry.parent.status()?;
    let top = Found {
        parent: entry.parent,
        parent_status: &parent_status,
        name: entry.name,
        path: Path::new(entry.name),
        status: entry.status,
    };
    let mut remover = Remover {
        removed: 0,
        inside: false,
        leaves_hard,
        on_progress,
    };
    let done = remover.remove_all(&top);
    (remover.on_progress)(remover.removed);
    done.map(|()| remover.removed)
}

/// The number of entries that [`remove_tree`] would remove. Passes by what that would refuse, and
/// nested subvolumes with all that is in them.
///
/// `on_progress` gets the number counted so far, now and then.
pub fn count_tree(
    root: &Root,
    path: &Path,
    on_progress: &mut dyn FnMut(u64),
) -> Result<u64, Error> {
    let Some(status) = root.status(path)? else {
        return Ok(0);
    };
    let mut counter = Counter {
        counted: 1,
        on_progress,
    };
    if status.is_directory() {
        let directory = root.within(path)?.directory(Path::new(""))?;
        walk(directory, Order::Stored, &mut counter)?;
    }
    Ok(counter.counted)
}

struct Counter<'a> {
    counted: u64,
    on_progress: &'a mut dyn FnMut(u64),
}

impl Visitor for Counter<'_> {
    fn visit(&mut self, found: &Found<'_>) -> Result<Decision, Error> {
        if asked_to_stop() {
            return Err(Error::Stopped);
        }
        let stays = found.boundary() != Boundary::None;
        if stays && !found.is_stub() {
            return Ok(Decision::Pass);
        }
        self.counted += 1;
        if self.counted.is_multiple_of(TELL_EVERY) {
            (self.on_progress)(self.counted);
        }
        if stays {
            Ok(Decision::Pass)
        } else {
            Ok(Decision::Enter)
        }
    }
}

struct Remover<'a> {
    removed: u64,
    /// Below the path that was given: what lies above it keeps its locks.
    inside: bool,
    leaves_hard: bool,
    on_progress: &'a mut dyn FnMut(u64),
}

impl Visitor for Remover<'_> {
    fn visit(&mut self, found: &Found<'_>) -> Result<Decision, Error> {
        if asked_to_stop() {
            return Err(Error::Stopped);
        }
        let path = || found.parent.path().join(found.name);
        match found.boundary() {
            Boundary::Mount => return Err(Error::Mount { path: path() }),
            // A stub has a device number of its own, though there is nothing behind it.
            Boundary::Subvolume if !found.is_stub() => {
                if self.leaves_hard {
                    return Ok(Decision::Pass);
                }
                return Err(Error::NestedSubvolume { path: path() });
            }
            Boundary::Subvolume | Boundary::None => {}
        }
        if found.status.is_directory() && !found.is_stub() {
            return Ok(Decision::Enter);
        }
        self.remove(found)?;
        Ok(Decision::Pass)
    }

    fn leave(&mut self, found: &Found<'_>) -> Result<(), Error> {
        self.remove(found)
    }
}

impl Remover<'_> {
    fn remove_all(&mut self, top: &Found<'_>) -> Result<(), Error> {
        if self.visit(top)? == Decision::Pass {
            return Ok(());
        }
        let directory = top.parent.open_directory(top.name)?;
        if !directory.status()?.is_same_file(top.status) {
            return Err(moved(top));
        }
        self.inside = true;
        walk(directory, Order::Stored, self)?;
        self.inside = false;
        self.leave(top)
    }

    fn remove(&mut self, found: &Found<'_>) -> Result<(), Error> {
        match remove_entry(found) {
            Err(_) if self.leaves_hard => return Ok(()),
            Err(error) if error.is_not_permitted() => {
                unlock(found, self.inside)?;
                remove_entry(found)?;
            }
            Err(error) if error.is_not_found() => return Ok(()),
            done => done?,
        }
        self.removed += 1;
        fault::reached("finalize-entry");
        if self.removed.is_multiple_of(TELL_EVERY) {
            (self.on_progress)(self.removed);
        }
        Ok(())
    }
}

fn remove_entry(found: &Found<'_>) -> crate::sys::Result<()> {
    if found.status.is_directory() {
        found.parent.remove_directory(found.name)
    } else {
        found.parent.remove_file(found.name)
    }
}

fn moved(found: &Found<'_>) -> Error {
    let path = found.path.to_owned();
    Error::Moved { path }
}

/// Clears what forbids a removal: flags of the entry itself, and of a directory above it that is
/// to go as well.
fn unlock(found: &Found<'_>, parent_goes: bool) -> Result<(), Error> {
    let parent: &Directory = found.parent;
    if parent_goes {
        let flags = attributes::flags_of(parent, parent.path())?;
        if flags.bits & InodeFlags::LOCKS != 0 {
            attributes::set_flags_of(parent, parent.path(), flags.bits & !InodeFlags::LOCKS)?;
        }
    }
    let status: &Status = found.status;
    if status.is_directory() || status.is_file() {
        let entry = parent.open_entry(found.name)?;
        if !status.is_same_file(&status_of(&entry, parent.path())?) {
            return Err(moved(found));
        }
        let shown = parent.path().join(found.name);
        let flags = attributes::flags_of(&entry, &shown)?;
        if flags.bits & InodeFlags::LOCKS != 0 {
            attributes::set_flags_of(&entry, &shown, flags.bits & !InodeFlags::LOCKS)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn everything_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("tree/a/b")).unwrap();
        fs::create_dir(path("kept")).unwrap();
        fs::write(path("kept/file"), "x").unwrap();
        fs::write(path("tree/a/b/file"), "x").unwrap();
        symlink("../../kept", path("tree/a/link")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let counted = |path| count_tree(&root, Path::new(path), &mut |_| {}).unwrap();
        assert_eq!(counted("/tree"), 5);
        assert_eq!(counted("tree/a/b/file"), 1);
        assert_eq!(counted("missing"), 0);
        let mut told = Vec::new();
        let removed =
            remove_tree(&root, Path::new("/tree"), &mut |count| told.push(count)).unwrap();
        assert_eq!((removed, told.as_slice()), (5, &[5][..]));
        assert!(!path("tree").exists());
        assert!(path("kept/file").exists());
        assert_eq!(
            remove_tree(&root, Path::new("tree"), &mut |_| {}).unwrap(),
            0
        );
    }

    #[test]
    fn a_single_file_is_a_tree_and_the_root_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert!(remove_tree(&root, Path::new("/"), &mut |_| {}).is_err());
        assert!(folder.path().join("file").exists());
        assert_eq!(
            remove_tree(&root, Path::new("file"), &mut |_| {}).unwrap(),
            1
        );
    }

    #[test]
    fn ten_thousand_levels_need_neither_stack_nor_descriptors() {
        // In memory where possible: ext4 takes a millisecond for each such directory.
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let root = Root::open(folder.path()).unwrap();
        let mut here = root.within(Path::new("")).unwrap();
        for _ in 0..10_000 {
            here.create_directory(Path::new("d"), 0o755).unwrap();
            here = here.within(Path::new("d")).unwrap();
        }
        drop(here);
        assert_eq!(
            remove_tree(&root, Path::new("d"), &mut |_| {}).unwrap(),
            10_000
        );
        assert!(root.list(Path::new("")).unwrap().is_empty());
    }
}
