//! Going through a tree, one descriptor at a time.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::Error;
pub use super::links::straddling_hard_links;
use crate::sys::{Directory, Status, sorted};

/// Inode of the root of a btrfs subvolume (BTRFS_FIRST_FREE_OBJECTID).
const SUBVOLUME_ROOT: u64 = 256;
/// Inode of the empty directory that a snapshot has in place of a nested subvolume
/// (BTRFS_EMPTY_SUBVOL_DIR_OBJECTID).
const STUB: u64 = 2;

/// In which order the entries of a directory are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the bytes of their names: the same in every copy of a tree.
    Sorted,
    /// As the file system lists them, which is the fastest.
    Stored,
}

/// What to do with a directory that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Show what is in it.
    Enter,
    /// Pass by. For anything but a directory both mean this.
    Pass,
}

/// What begins at an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing: it belongs to its parent's file system and subvolume.
    None,
    /// Another subvolume of the same mount.
    Subvolume,
    /// Another mount.
    Mount,
}

/// An entry as a [`Visitor`] sees it.
#[derive(Debug)]
pub struct Found<'a> {
    /// The directory in which it lies.
    pub parent: &'a Directory,
    /// That directory's status.
    pub parent_status: &'a Status,
    /// Its name there.
    pub name: &'a OsStr,
    /// Its path from where the walk began.
    pub path: &'a Path,
    /// What it is.
    pub status: &'a Status,
}

impl Found<'_> {
    /// Does a subvolume or a mount begin here?
    #[must_use]
    pub fn boundary(&self) -> Boundary {
        let (status, parent) = (self.status, self.parent_status);
        if status.mount != parent.mount {
            return Boundary::Mount;
        }
        if status.device == parent.device {
            return Boundary::None;
        }
        // Kernels before 5.8 do not number mounts: then only inode 256 speaks for a subvolume.
        if status.mount != 0 || status.inode == SUBVOLUME_ROOT {
            Boundary::Subvolume
        } else {
            Boundary::Mount
        }
    }

    /// Is it what a snapshot has in place of a nested subvolume: empty, not writable, removable?
    #[must_use]
    pub fn is_stub(&self) -> bool {
        self.status.is_directory()
            && self.status.inode == STUB
            && self.boundary() != Boundary::Mount
    }
}

/// Somebody to whom a walk shows a tree.
pub trait Visitor {
    /// An entry, before what is in it.
    fn visit(&mut self, found: &Found<'_>) -> Result<Decision, Error>;

    /// A directory that was entered, after everything in it.
    fn leave(&mut self, found: &Found<'_>) -> Result<(), Error> {
        let _ = found;
        Ok(())
    }
}

/// A directory on the way down.
struct Frame {
    name: OsString,
    status: Status,
    names: IntoIter<OsString>,
}

/// Shows everything below `start` to the visitor, depth first; not `start` itself.
///
/// Holds one directory open, whatever the depth. Entries that vanish meanwhile are passed over; a
/// directory that is moved away meanwhile is an error.
pub fn walk(start: Directory, order: Order, visitor: &mut dyn Visitor) -> Result<(), Error> {
    let mut path = PathBuf::new();
    let mut frames = vec![frame(&start, OsString::new(), order)?];
    let mut here = start;
    while let Some(frame) = frames.last_mut() {
        if let Some(name) = frame.names.next() {
            path.push(&name);
            match visit(&here, frame, &name, &path, visitor)? {
                Some((below, status)) => {
                    let next = self::frame(&below, name, order)?;
                    // What was shown, and not what somebody put in its place meanwhile.
                    if !next.status.is_same_file(&status) {
                        return Err(Error::Moved { path });
                    }
                    frames.push(next);
                    here = below;
                }
                None => {
                    path.pop();
                }
            }
        } else if let Some(done) = frames.pop()
            && let Some(above) = frames.last()
        {
            let parent = here.open_parent(&above.status)?;
            here = parent.ok_or_else(|| Error::Moved { path: path.clone() })?;
            visitor.leave(&Found {
                parent: &here,
                parent_status: &above.status,
                name: &done.name,
                path: &path,
                status: &done.status,
            })?;
            path.pop();
        }
    }
    Ok(())
}

fn frame(directory: &Directory, name: OsString, order: Order) -> Result<Frame, Error> {
    let mut names = directory.names()?;
    if order == Order::Sorted {
        names = sorted(names);
    }
    Ok(Frame {
        name,
        status: directory.status()?,
        names: names.into_iter(),
    })
}

/// Shows one entry; the directory to go into, if any, and what was shown of it.
fn visit(
    here: &Directory,
    frame: &Frame,
    name: &OsStr,
    path: &Path,
    visitor: &mut dyn Visitor,
) -> Result<Option<(Directory, Status)>, Error> {
    let status = match here.status_of(name) {
        Err(error) if error.is_not_found() => return Ok(None),
        status => status?,
    };
    let found = Found {
        parent: here,
        parent_status: &frame.status,
        name,
        path,
        status: &status,
    };
    if visitor.visit(&found)? == Decision::Pass || !status.is_directory() {
        return Ok(None);
    }
    Ok(Some((here.open_directory(name)?, status)))
}
