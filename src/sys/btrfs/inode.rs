//! Single inodes: what one is whatever its name, and what changed in a subvolume.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::list::path_of_directory;
use super::search::{Item, Key, Range, number, search};
use crate::sys::{Error, Result, Root};

/// BTRFS_FIRST_FREE_OBJECTID: the root of every subvolume.
const ROOT: u64 = 256;
/// BTRFS_LAST_FREE_OBJECTID.
const LAST: u64 = u64::MAX - 255;
const INODE_ITEM: u8 = 1;
const INODE_REF: u8 = 12;
const INODE_EXTREF: u8 = 13;
/// `struct btrfs_inode_item`, all numbers little-endian: generation u64, transid u64, size, nbytes,
/// block group u64; nlink, uid, gid, mode u32; rdev, flags, sequence u64; 32 bytes reserved; then
/// atime, ctime, mtime and otime of 12 bytes each.
const SIZE: usize = 160;
const TRANSID: std::ops::Range<usize> = 8..16;
const ATIME: std::ops::Range<usize> = 112..124;
const CTIME: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;

/// An inode as the tree of its subvolume has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    item: [u8; SIZE],
}

impl Inode {
    fn of(item: &Item<'_>) -> Option<Self> {
        let item = item.data.get(..SIZE)?.try_into().ok()?;
        Some(Self { item })
    }

    /// The transaction in which it was made. A number may be given again after a remount, when
    /// the highest of a subvolume were deleted; number and transaction together never are.
    #[must_use]
    pub fn born(&self) -> u64 {
        number(&self.item, 0).unwrap_or_default()
    }

    /// The transaction of the last change, also of the time at which it was read.
    #[must_use]
    pub fn changed(&self) -> u64 {
        number(&self.item, TRANSID.start).unwrap_or_default()
    }

    /// Is it a directory?
    #[must_use]
    pub fn is_directory(&self) -> bool {
        let mode = self.item.get(52..56).and_then(|mode| mode.try_into().ok());
        mode.is_some_and(|mode| u32::from_le_bytes(mode) & 0o170_000 == 0o040_000)
    }

    /// Whether its last change was one of its content: a write moves mtime and ctime alike, a
    /// change of names, owner or mode moves ctime only.
    #[must_use]
    pub fn was_written_last(&self) -> bool {
        self.item.get(CTIME) == self.item.get(MTIME)
    }

    /// Whether the two are the same but for the time at which they were read: any other change
    /// moves ctime.
    #[must_use]
    pub fn is_same_but_read(&self, other: &Self) -> bool {
        let rest = |inode: &Self| {
            let mut item = inode.item;
            for range in [TRANSID, ATIME] {
                item.get_mut(range).unwrap_or_default().fill(0);
            }
            item
        };
        rest(self) == rest(other)
    }
}

/// An inode of the subvolume in which `root` lies; `None` when there is none of this number. What
/// is not committed yet may be missing: see [`Root::sync_filesystem`].
pub fn inode(root: &Root, number: u64) -> Result<Option<Inode>> {
    let mut found = None;
    of_inode(root, number, INODE_ITEM..=INODE_ITEM, &mut |item| {
        found = Inode::of(item);
    })?;
    Ok(found)
}

/// The transaction in which an inode of this subvolume was made; `None` where either is gone.
pub(super) fn born_in(root: &Root, subvolume: u64, number: u64) -> Result<Option<u64>> {
    let mut born = None;
    let kinds = INODE_ITEM..=INODE_ITEM;
    let read = of_inode_in(root, subvolume, number, kinds, &mut |item| {
        born = Inode::of(item).map(|inode| inode.born());
    });
    match read {
        Err(error) if error.is_not_found() => Ok(None),
        read => read.map(|()| born),
    }
}

/// Shows every inode of the subvolume that was changed after the given transaction, with its
/// number, until `visit` breaks; not the subvolume's root directory. What is not synced yet may be
/// missing. Reads only the leaves that are newer.
pub fn changes_since(
    subvolume: &Root,
    generation: u64,
    visit: &mut dyn FnMut(u64, Inode) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let Some(min_generation) = generation.checked_add(1) else {
        return Ok(());
    };
    let range = Range {
        tree: 0,
        from: Key {
            objectid: ROOT + 1,
            kind: 0,
            offset: 0,
        },
        to: Key {
            objectid: LAST,
            kind: u8::MAX,
            offset: u64::MAX,
        },
        min_generation,
    };
    let mut outcome = Ok(());
    search(subvolume, &range, &mut |item| {
        let changed = Inode::of(item).filter(|inode| inode.changed() > generation);
        let (INODE_ITEM, Some(inode)) = (item.key.kind, changed) else {
            return ControlFlow::Continue(());
        };
        visit(item.key.objectid, inode).unwrap_or_else(|error| {
            outcome = Err(error);
            ControlFlow::Break(())
        })
    })
    .map_err(|cause| Error::call("look for changes in", subvolume.path(), cause))?;
    outcome
}

/// Whether a file holds data that was written after the given transaction.
pub fn has_data_since(root: &Root, number_of: u64, generation: u64) -> Result<bool> {
    const EXTENT_DATA: u8 = 108;
    let mut newer = false;
    // `struct btrfs_file_extent_item` begins with the transaction that made it.
    of_inode(root, number_of, EXTENT_DATA..=EXTENT_DATA, &mut |item| {
        newer |= number(item.data, 0).is_some_and(|made| made > generation);
    })?;
    Ok(newer)
}

/// The directories in which an inode has its names; its own number is not among them but for a
/// subvolume's root.
pub fn directories_of(root: &Root, number_of: u64) -> Result<Vec<u64>> {
    let mut directories = Vec::new();
    of_inode(root, number_of, INODE_REF..=INODE_EXTREF, &mut |item| {
        // The long form has the directory in front: its key holds a hash.
        let directory = match item.key.kind {
            INODE_REF => Some(item.key.offset),
            _ => number(item.data, 0),
        };
        directories.extend(directory);
    })?;
    Ok(directories)
}

fn of_inode(
    root: &Root,
    objectid: u64,
    kinds: std::ops::RangeInclusive<u8>,
    visit: &mut dyn FnMut(&Item<'_>),
) -> Result<()> {
    of_inode_in(root, 0, objectid, kinds, visit)
}

/// The same in the subvolume of this id; 0 is the one in which `root` lies.
fn of_inode_in(
    root: &Root,
    tree: u64,
    objectid: u64,
    kinds: std::ops::RangeInclusive<u8>,
    visit: &mut dyn FnMut(&Item<'_>),
) -> Result<()> {
    let key = |kind, offset| Key {
        objectid,
        kind,
        offset,
    };
    let range = Range {
        tree,
        from: key(*kinds.start(), 0),
        to: key(*kinds.end(), u64::MAX),
        min_generation: 0,
    };
    search(root, &range, &mut |item| {
        // The search compares keys as a whole: nothing of another kind lies between these.
        if kinds.contains(&item.key.kind) {
            visit(item);
        }
        ControlFlow::Continue(())
    })
    .map_err(|cause| Error::call("look at an inode of", root.path(), cause))
}

/// One path of an inode from the root of the subvolume in which `root` lies.
pub fn path_of(root: &Root, number: u64) -> Result<PathBuf> {
    let path = path_of_directory(root, 0, number)
        .map_err(|cause| Error::call("look for the name of an inode of", root.path(), cause))?;
    // The kernel ends it with a slash.
    Ok(path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_reading_may_differ() {
        let same = Inode { item: [7; SIZE] };
        for at in 0..SIZE {
            let mut other = same;
            other.item[at] ^= 1;
            let is_read = TRANSID.contains(&at) || ATIME.contains(&at);
            assert_eq!(other.is_same_but_read(&same), is_read, "{at}");
        }
    }
}
