//! What is to be deleted: what the commit's inventory knows, and is still what it was.

use std::path::{Path, PathBuf};

use super::super::Error;
use super::super::inventory::{is_switched, present};
use crate::documents::Plan;
use crate::journal::{Object, Role};
use crate::sys::block::uuid_text;
use crate::sys::btrfs::{self, Subvolume};
use crate::sys::{FileKind, Root, Status};

/// What is to be deleted on one file system.
#[derive(Debug)]
pub(super) struct Doomed<'a> {
    /// Its top level.
    pub(super) top: &'a Root,
    /// Its UUID.
    pub(super) uuid: &'a str,
    /// All that is known of it.
    pub(super) known: Vec<Object>,
    /// Trees at the top level and in its subvolumes, as far as they are there.
    pub(super) trees: Vec<Tree>,
    /// What was known and is something else now, or elsewhere: it stays, and is named.
    pub(super) left: Vec<String>,
}

/// One tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Where it is now, from the top level.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) object: Object,
    /// Whether the boot path's switch gave it another name, and a symlink its own.
    is_switched: bool,
}

/// How an object is found again.
#[derive(Debug)]
pub(super) enum Found {
    /// An entry of the top level that is no subvolume.
    Entry(Status),
    /// A subvolume.
    Subvolume,
    /// rootshift's own directory, held by what it is.
    Trash(Root),
}

impl Doomed<'_> {
    /// Whether what lies at this path, as seen from the top level, is to be deleted.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| path.starts_with(&tree.path))
    }

    /// Leaves the trees that are known by these paths where they are, and names them.
    pub(super) fn leave(&mut self, is_kept: &dyn Fn(&str) -> bool) {
        let (left, trees) = std::mem::take(&mut self.trees)
            .into_iter()
            .partition(|tree| is_kept(&tree.object.path));
        self.trees = trees;
        let left: Vec<Tree> = left;
        let why = "it is kept, for something in it changed since the commit";
        self.left.extend(
            left.iter()
                .map(|tree| format!("{}: {why}", tree.path.display())),
        );
    }

    /// The known subvolume that this one is.
    pub(super) fn known_subvolume(&self, found: &Subvolume) -> Result<Option<&Object>, Error> {
        let of_id = |object: &&Object| object.id == found.id && object.inode == btrfs::ROOT_INODE;
        let Some(object) = self.known.iter().find(of_id) else {
            return Ok(None);
        };
        Ok(is_subvolume(self.top, object)?.then_some(object))
    }
}

/// What of the known objects of one file system is to be deleted.
pub(super) fn look<'a>(
    top: &'a Root,
    uuid: &'a str,
    plan: &Plan,
    known: Vec<Object>,
) -> Result<Doomed<'a>, Error> {
    let mut doomed = Doomed {
        top,
        uuid,
        known,
        trees: Vec::new(),
        left: Vec::new(),
    };
    let subvolumes = btrfs::list_subvolumes(top)?;
    // Entries first: what is nested in them goes with them, or stays where it was moved to.
    for object in doomed.known.clone() {
        let path = match object.role {
            Role::OldEntry => Some(present(plan, &object.filesystem, &object.path, top)),
            Role::OldSubvolume | Role::Nested | Role::Staged => {
                let mut there = subvolumes.iter();
                let there = there.find(|subvolume| subvolume.id == object.id);
                there.map(|subvolume| subvolume.path.clone())
            }
            Role::Trash => place_of_trash(top, &subvolumes, &object)?,
            Role::NewSubvolume | Role::Home => None,
        };
        let Some(path) = path else { continue };
        let is_at_home = match object.role {
            Role::OldSubvolume => {
                path == object.path()
                    || path == present(plan, &object.filesystem, &object.path, top)
            }
            Role::Nested => is_top_level_name(&path) && path == object.path(),
            _ => true,
        };
        let is_switched = is_switched(plan, &object.filesystem, &object.path);
        let tree = Tree {
            path,
            object,
            is_switched,
        };
        if tree.object.role == Role::Nested && !is_at_home {
            continue; // with the tree that it is in, if it is in one
        }
        // A snapshot that was put in a subvolume's place has a copy of its own.
        let known = tree.object.path();
        if tree.object.role == Role::Trash && tree.path != known && top.exists(known)? {
            doomed.left.push(copied(known));
        }
        match find(top, &tree)? {
            Some(_) if is_at_home => doomed.trees.push(tree),
            Some(_) => doomed.left.push(moved(&tree)),
            None if is_something_else(top, &tree)? => doomed.left.push(other(&tree)),
            None => {}
        }
    }
    Ok(doomed)
}

/// The symlink that the boot path's switch leaves is nobody's.
fn is_something_else(top: &Root, tree: &Tree) -> Result<bool, Error> {
    let Some(status) = top.status(&tree.path)? else {
        return Ok(false);
    };
    Ok(!(tree.is_switched && status.kind == FileKind::Symlink))
}

fn is_top_level_name(path: &Path) -> bool {
    path.components().count() == 1
}

fn moved(tree: &Tree) -> String {
    let (now, then) = (tree.path.display(), &tree.object.path);
    format!("{now}: it was {then} at the commit and was renamed since")
}

fn other(tree: &Tree) -> String {
    let now = tree.path.display();
    format!("{now}: it is not what was there at the commit, or is not root's alone")
}

fn copied(path: &Path) -> String {
    format!(
        "{}: a copy of what belongs to other subvolumes, as the snapshot that was put there has one; \
         nothing needs it",
        path.display()
    )
}

/// Where rootshift's directory is now, whoever has renamed it; where it was when it is gone.
fn place_of_trash(
    top: &Root,
    subvolumes: &[Subvolume],
    object: &Object,
) -> Result<Option<PathBuf>, Error> {
    let Some(holder) = subvolumes.iter().find(|holder| holder.id == object.id) else {
        return Ok(None);
    };
    let Some(trash) = open(top, object)? else {
        return Ok(Some(object.path().to_owned()));
    };
    Ok(Some(
        holder.path.join(btrfs::path_of(&trash, object.inode)?),
    ))
}

fn open(top: &Root, object: &Object) -> Result<Option<Root>, Error> {
    let born = match object.role {
        Role::Trash => object.born,
        _ => 0,
    };
    let shown = object.path();
    Ok(btrfs::open_inode(
        top,
        object.id,
        object.inode,
        born,
        shown,
    )?)
}

/// Whether the subvolume of this id is still the one that it was.
pub(super) fn is_subvolume(top: &Root, object: &Object) -> Result<bool, Error> {
    let Some(root) = open(top, object)? else {
        return Ok(false);
    };
    is_in(&root, object)
}

/// Opens the subvolume that a tree is, or in which its trash lies.
pub(super) fn open_tree(top: &Root, object: &Object) -> Result<Option<Root>, Error> {
    let opened = open(top, object)?;
    match opened {
        Some(root) if is_in(&root, object)? => Ok(Some(root)),
        _ => Ok(None),
    }
}

fn is_in(root: &Root, object: &Object) -> Result<bool, Error> {
    let info = btrfs::subvolume_info(root, Path::new(""))?;
    Ok(info.id == object.id && uuid_text(info.uuid) == object.subvolume)
}

/// The tree as it is at this moment; `None` when it is gone, or is no longer what it was.
pub(super) fn find(top: &Root, tree: &Tree) -> Result<Option<Found>, Error> {
    let object = &tree.object;
    Ok(match object.role {
        Role::OldEntry => entry(top, tree)?.map(Found::Entry),
        Role::Trash => {
            let trash = open_tree(top, object)?;
            let status = match &trash {
                Some(trash) => trash.status(Path::new(""))?,
                None => None,
            };
            // One without a name is gone, though somebody has it open.
            let is_roots =
                status.is_some_and(|own| own.links > 0 && own.uid == 0 && own.mode & 0o022 == 0);
            trash.filter(|_| is_roots).map(Found::Trash)
        }
        _ => is_subvolume(top, object)?.then_some(Found::Subvolume),
    })
}

fn entry(top: &Root, tree: &Tree) -> Result<Option<Status>, Error> {
    let own = top.status(Path::new(""))?;
    let (Some(own), Some(status)) = (own, top.status(&tree.path)?) else {
        return Ok(None);
    };
    let is_same = status.inode == tree.object.inode && status.device == own.device;
    let made = btrfs::inode(top, tree.object.inode)?;
    let is_born = made.is_some_and(|made| made.born() == tree.object.born);
    Ok((is_same && is_born).then_some(status))
}

/// A subvolume inside the old tree that is not known may be somebody's only copy.
pub(super) fn unknown_subvolume(doomed: &Doomed) -> Result<(), Error> {
    for subvolume in btrfs::list_subvolumes(doomed.top)? {
        let path = subvolume.path.display();
        if doomed.holds(&subvolume.path) && !may_go(doomed, &subvolume)? {
            return Err(Error::NotNow(format!(
                "the subvolume {path} in the old system was made after arming; move it away or \
                 delete it, then run `rootshift finalize` again"
            )));
        }
        if may_be_inside(doomed, &subvolume)? && !may_go(doomed, &subvolume)? {
            let name = Path::new(subvolume.path.file_name().unwrap_or_default()).display();
            return Err(Error::NotNow(format!(
                "the subvolume {name} (id {}) lies deeper than a path can say, and may be in the \
                 old system: move it up to where `btrfs subvolume list /` shows its whole path, then \
                 run `rootshift finalize` again. Until then nothing is deleted",
                subvolume.id
            )));
        }
    }
    Ok(())
}

/// Whether a subvolume whose path is not known lies in a subvolume that is to be deleted, or in one
/// of which a directory is.
fn may_be_inside(doomed: &Doomed, subvolume: &Subvolume) -> Result<bool, Error> {
    if !subvolume.path.iter().any(|part| part == btrfs::TOO_DEEP) {
        return Ok(false);
    }
    let all = btrfs::list_subvolumes(doomed.top)?;
    let around = all.iter().find(|one| one.id == subvolume.parent_id);
    let is_of_it = |tree: &Tree| {
        matches!(tree.object.role, Role::OldEntry | Role::Trash)
            && tree.object.id == subvolume.parent_id
    };
    Ok(
        around.is_some_and(|around| doomed.holds(&around.path))
            || doomed.trees.iter().any(is_of_it),
    )
}

/// Whether a subvolume in a tree is one of those that go with it.
pub(super) fn may_go(doomed: &Doomed, subvolume: &Subvolume) -> Result<bool, Error> {
    let known = doomed.known_subvolume(subvolume)?;
    Ok(known.is_some_and(|object| match object.role {
        Role::OldSubvolume | Role::Nested | Role::Staged => true,
        Role::OldEntry | Role::NewSubvolume | Role::Trash | Role::Home => false,
    }))
}
