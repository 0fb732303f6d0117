//! All subvolumes, and what changed in one.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use linux_raw_sys::btrfs as raw;
use linux_raw_sys::ioctl::BTRFS_IOC_INO_LOOKUP;
use rustix::io::Errno;

use super::call::{Numbers, call};
use super::search::{Item, Key, Range, number, search};
use crate::sys::{Error, Result, Root, sorted};

const ROOT_TREE: u64 = 1;
/// BTRFS_FS_TREE_OBJECTID: the id of the top level.
pub const TOP_LEVEL: u64 = 5;
const QUOTA_TREE: u64 = 8;
/// BTRFS_ROOT_TREE_DIR_OBJECTID: its one entry names the default subvolume.
const ROOT_TREE_DIRECTORY: u64 = 6;
const DIR_ITEM: u8 = 84;
pub(super) const FIRST_FREE: u64 = 256;
/// BTRFS_LAST_FREE_OBJECTID; above are objects that are no files and no subvolumes.
pub(super) const LAST_FREE: u64 = u64::MAX - 255;
pub(super) const INODE_ITEM: u8 = 1;
const ROOT_ITEM: u8 = 132;
const ROOT_BACKREF: u8 = 144;
/// `struct btrfs_root_ref`: directory u64, sequence u64, name length u16; then the name.
const ROOT_REF: usize = 18;
/// `transid` in `struct btrfs_inode_item`, behind `generation`.
pub(super) const TRANSID: usize = 8;

/// Stands for directories whose path is longer than the kernel tells.
pub const TOO_DEEP: &str = "\u{2026}";

/// A subvolume and where it lies; ordered by its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subvolume {
    /// Relative to the top level.
    pub path: PathBuf,
    /// Its id.
    pub id: u64,
    /// The subvolume in which its name lies.
    pub parent_id: u64,
}

/// A subvolume's name, as its ROOT_BACKREF tells it.
struct Reference {
    id: u64,
    parent: u64,
    directory: u64,
    name: OsString,
}

/// All subvolumes of the file system but the top level itself, sorted by path. Any directory of
/// the file system will do as `top_level`; the paths are always relative to subvolume 5.
pub fn list_subvolumes(top_level: &Root) -> Result<Vec<Subvolume>> {
    let failed = |cause| Error::call("list the subvolumes of", top_level.path(), cause);
    let mut inside_parent = Vec::new();
    for reference in references(top_level).map_err(failed)? {
        let mut path = directory_path(top_level, &reference).map_err(failed)?;
        path.push(&reference.name);
        inside_parent.push(Subvolume {
            path,
            id: reference.id,
            parent_id: reference.parent,
        });
    }
    let subvolumes = inside_parent.iter().map(|subvolume| Subvolume {
        path: absolute(&inside_parent, subvolume.parent_id).join(&subvolume.path),
        ..*subvolume
    });
    Ok(sorted(subvolumes.collect()))
}

fn references(root: &Root) -> rustix::io::Result<Vec<Reference>> {
    let range = Range {
        tree: ROOT_TREE,
        from: Key {
            objectid: FIRST_FREE,
            kind: ROOT_BACKREF,
            offset: 0,
        },
        to: Key {
            objectid: LAST_FREE,
            kind: ROOT_BACKREF,
            offset: u64::MAX,
        },
        min_generation: 0,
    };
    let mut found = Vec::new();
    search(root, &range, &mut |item| {
        found.extend(reference(item));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn reference(item: &Item<'_>) -> Option<Reference> {
    if item.key.kind != ROOT_BACKREF {
        return None;
    }
    let directory = number(item.data, 0)?;
    let name = OsString::from_vec(item.data.get(ROOT_REF..)?.to_vec());
    Some(Reference {
        id: item.key.objectid,
        parent: item.key.offset,
        directory,
        name,
    })
}

/// The directory in which a subvolume lies, relative to its parent subvolume. What lies deeper than
/// the kernel tells (anybody can nest directories) stands in [`TOO_DEEP`].
fn directory_path(root: &Root, reference: &Reference) -> rustix::io::Result<PathBuf> {
    match path_of_directory(root, reference.parent, reference.directory) {
        Err(Errno::NAMETOOLONG) => Ok(PathBuf::from(TOO_DEEP)),
        done => done,
    }
}

/// The path of a directory in the subvolume of this id; 0 is the one of the descriptor.
pub(super) fn path_of_directory(
    root: &Root,
    subvolume: u64,
    directory: u64,
) -> rustix::io::Result<PathBuf> {
    let mut argument = raw::btrfs_ioctl_ino_lookup_args::zeroed();
    argument.treeid = subvolume;
    argument.objectid = directory;
    call::<BTRFS_IOC_INO_LOOKUP, _>(root, &mut argument)?;
    let path = argument.name.iter().map(|c| {
        let [byte] = c.to_ne_bytes();
        byte
    });
    let path: Vec<u8> = path.take_while(|byte| *byte != 0).collect();
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// The path of a subvolume, from those inside their parents. The kernel lists them by id.
fn absolute(inside_parent: &[Subvolume], id: u64) -> PathBuf {
    let mut parts = Vec::new();
    let mut id = id;
    // Each subvolume at most once: a loop, which only a broken disk has, ends too.
    while let Some(subvolume) = by_id(inside_parent, id) {
        parts.push(&subvolume.path);
        if subvolume.parent_id == TOP_LEVEL || parts.len() > inside_parent.len() {
            break;
        }
        id = subvolume.parent_id;
    }
    parts.into_iter().rev().collect()
}

fn by_id(subvolumes: &[Subvolume], id: u64) -> Option<&Subvolume> {
    let at = subvolumes.binary_search_by_key(&id, |subvolume| subvolume.id);
    subvolumes.get(at.ok()?)
}

/// The inode number of some file or directory in this subvolume that was changed after the given
/// transaction; `None` when none was.
///
/// The subvolume's root directory (inode 256) itself does not count: making or removing an entry
/// in it is not seen, a change to the entry is. Reads only the leaves that are newer, so it is
/// cheap when little changed; a leaf that was merely rewritten (balance) does not count, since
/// every inode carries its own transaction. Pending changes are synced first, or they would not
/// be in the tree yet.
pub fn first_change_since(subvolume: &Root, generation: u64) -> Result<Option<u64>> {
    first_change_since_except(subvolume, generation, &|_| false)
}

/// The same, but inodes of which `except` is true do not count: one's own journal, say.
pub fn first_change_since_except(
    subvolume: &Root,
    generation: u64,
    except: &dyn Fn(u64) -> bool,
) -> Result<Option<u64>> {
    let Some(min_generation) = generation.checked_add(1) else {
        return Ok(None);
    };
    subvolume.sync_filesystem()?;
    let range = Range {
        tree: 0,
        from: Key {
            objectid: FIRST_FREE + 1,
            kind: 0,
            offset: 0,
        },
        to: Key {
            objectid: LAST_FREE,
            kind: u8::MAX,
            offset: u64::MAX,
        },
        min_generation,
    };
    let mut changed = None;
    search(subvolume, &range, &mut |item| {
        let inode = item.key.objectid;
        let newer = item.key.kind == INODE_ITEM
            && number(item.data, TRANSID).is_some_and(|last| last > generation);
        if newer && !except(inode) {
            changed = Some(inode);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(|cause| Error::call("look for changes in", subvolume.path(), cause))?;
    Ok(changed)
}

/// The id of the subvolume that is mounted when none is named.
pub fn default_subvolume(root: &Root) -> Result<u64> {
    let mut default = TOP_LEVEL;
    // `struct btrfs_dir_item` begins with the key of what it names.
    let mut visit = |item: &Item<'_>| {
        default = number(item.data, 0).unwrap_or(TOP_LEVEL);
        ControlFlow::Break(())
    };
    of_root_tree(root, ROOT_TREE_DIRECTORY, DIR_ITEM, &mut visit)
        .map_err(|cause| Error::call("look for the default subvolume of", root.path(), cause))?;
    Ok(default)
}

/// Are quotas on (there is a quota tree)?
pub fn quotas_enabled(root: &Root) -> Result<bool> {
    let mut enabled = false;
    let mut visit = |_: &Item<'_>| {
        enabled = true;
        ControlFlow::Break(())
    };
    of_root_tree(root, QUOTA_TREE, ROOT_ITEM, &mut visit)
        .map_err(|cause| Error::call("look for quotas in", root.path(), cause))?;
    Ok(enabled)
}

fn of_root_tree(
    root: &Root,
    objectid: u64,
    kind: u8,
    visit: &mut dyn FnMut(&Item<'_>) -> ControlFlow<()>,
) -> rustix::io::Result<()> {
    let key = |offset| Key {
        objectid,
        kind,
        offset,
    };
    let range = Range {
        tree: ROOT_TREE,
        from: key(0),
        to: key(u64::MAX),
        min_generation: 0,
    };
    search(root, &range, visit)
}
