//! The names of an inode, and the inodes whose names may have changed.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::list::{FIRST_FREE, INODE_ITEM, LAST_FREE, TRANSID, path_of_directory};
use super::search::{Item, Key, Range, number, search};
use crate::sys::{Error, Result, Root};

const INODE_REF: u8 = 12;
const INODE_EXTREF: u8 = 13;
/// Offsets in `struct btrfs_inode_item`.
const LINKS: usize = 40;
const MODE: usize = 52;
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

/// An inode that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Its number.
    pub inode: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// How many names it has.
    pub links: u32,
}

/// The inodes of this subvolume that were changed after this transaction. Reads only leaves that
/// are newer; pending changes are synced first.
pub fn changed_since(subvolume: &Root, generation: u64) -> Result<Vec<Changed>> {
    let Some(min_generation) = generation.checked_add(1) else {
        return Ok(Vec::new());
    };
    subvolume.sync_filesystem()?;
    let key = |objectid, kind, offset| Key {
        objectid,
        kind,
        offset,
    };
    let range = Range {
        tree: 0,
        from: key(FIRST_FREE, 0, 0),
        to: key(LAST_FREE, u8::MAX, u64::MAX),
        min_generation,
    };
    let mut found = Vec::new();
    search(subvolume, &range, &mut |item| {
        let newer = number(item.data, TRANSID).is_some_and(|last| last > generation);
        if item.key.kind == INODE_ITEM && newer {
            found.extend(changed(item));
        }
        ControlFlow::Continue(())
    })
    .map_err(|cause| Error::call("look for changes in", subvolume.path(), cause))?;
    Ok(found)
}

fn changed(item: &Item<'_>) -> Option<Changed> {
    Some(Changed {
        inode: item.key.objectid,
        is_directory: short(item.data, MODE)? & KIND == DIRECTORY,
        links: short(item.data, LINKS)?,
    })
}

fn short(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// Every name of an inode, as paths in the subvolume.
pub fn names_of(subvolume: &Root, inode: u64) -> Result<Vec<PathBuf>> {
    let failed = |cause| Error::call("look for the names of a file in", subvolume.path(), cause);
    let mut paths = Vec::new();
    for (directory, name) in references(subvolume, inode).map_err(failed)? {
        let above = path_of_directory(subvolume, 0, directory).map_err(failed)?;
        paths.push(above.join(name));
    }
    Ok(paths)
}

/// The directory in which an inode has its first name; `None` for the subvolume's root.
pub fn directory_of(subvolume: &Root, inode: u64) -> Result<Option<u64>> {
    let failed = |cause| Error::call("look for the names of a file in", subvolume.path(), cause);
    let found = references(subvolume, inode).map_err(failed)?;
    let first = found.first().map(|(directory, _)| *directory);
    Ok(first.filter(|directory| *directory != inode))
}

/// The names of an inode, each with the directory it is in.
fn references(subvolume: &Root, inode: u64) -> rustix::io::Result<Vec<(u64, OsString)>> {
    let key = |kind, offset| Key {
        objectid: inode,
        kind,
        offset,
    };
    let range = Range {
        tree: 0,
        from: key(INODE_REF, 0),
        to: key(INODE_EXTREF, u64::MAX),
        min_generation: 0,
    };
    let mut found = Vec::new();
    search(subvolume, &range, &mut |item| {
        match item.key.kind {
            INODE_REF => names_in(item.data, 0, Some(item.key.offset), &mut found),
            INODE_EXTREF => names_in(item.data, 8, None, &mut found),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// `struct btrfs_inode_ref`: index u64, length u16, name; in `btrfs_inode_extref` the directory
/// comes first. An item holds several.
fn names_in(data: &[u8], head: usize, of_key: Option<u64>, found: &mut Vec<(u64, OsString)>) {
    let mut rest = data;
    loop {
        let one = || {
            let directory = of_key.or_else(|| number(rest, 0))?;
            let length = rest.get(head + 8..head + 10)?.try_into().ok()?;
            let begin = head + 10;
            let end = begin + usize::from(u16::from_le_bytes(length));
            let name = OsString::from_vec(rest.get(begin..end)?.to_vec());
            Some((directory, name, end))
        };
        let Some((directory, name, end)) = one() else {
            return;
        };
        found.push((directory, name));
        rest = rest.get(end..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(directory: Option<u64>, name: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = directory.map_or(vec![], |id| id.to_le_bytes().to_vec());
        bytes.extend(9_u64.to_le_bytes());
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(name.bytes());
        bytes
    }

    #[test]
    fn several_names_stand_in_one_item() {
        let mut found = Vec::new();
        let both = [entry(None, "a"), entry(None, "long name")].concat();
        names_in(&both, 0, Some(257), &mut found);
        names_in(&entry(Some(300), "x"), 8, None, &mut found);
        let expected = [(257, "a"), (257, "long name"), (300, "x")];
        assert_eq!(found, expected.map(|(id, name)| (id, OsString::from(name))));
        // What is cut off is none.
        names_in(&both[..12], 0, Some(1), &mut found);
        names_in(&[], 0, Some(1), &mut found);
        assert_eq!(found.len(), 4);
    }
}
