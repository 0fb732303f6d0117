//! What changed since the commit in what is to be deleted: btrfs itself is asked, whoever wrote it.
//!
//! A directory counts when it is new; else what is in it counts by itself, and nothing is lost with
//! what was removed from it. Not counted is what was only read: another subvolume, as old as the commit or older, has the
//! same inode with the same times of change, and any change would have moved them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::doomed::{Doomed, Tree, open_tree};
use crate::journal::{Object, Role};
use crate::sys::btrfs::{self, Inode, ROOT_INODE};
use crate::sys::{self, Root};

/// So many are named.
const NAMED: usize = 3;

/// How closely it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Every change counts.
    Before,
    /// The deletion has begun, and changed files of which one name of several is gone: only what is
    /// new or was written counts.
    During,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// How many files and directories.
    pub(super) count: u64,
    /// The first of them.
    pub(super) first: Vec<PathBuf>,
    /// The trees in which they are, by their paths.
    pub(super) trees: Vec<PathBuf>,
}

impl Changes {
    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
        self.trees.extend(other.trees);
    }

    /// `3 files or directories of the old system were changed since the commit (…)`.
    pub(super) fn in_words(&self) -> String {
        let first: Vec<String> = self.first.iter().map(|path| shown(path)).collect();
        let more = if self.count > first.len() as u64 {
            ", …"
        } else {
            ""
        };
        let what = match self.count {
            1 => "file or directory of the old system was",
            _ => "files or directories of the old system were",
        };
        let count = self.count;
        format!(
            "{count} {what} changed since the commit ({}{more})",
            first.join(", ")
        )
    }

    fn take(&mut self, tree: &Tree, root: &Root, number: u64, below: &Path) {
        self.count += 1;
        if !self.trees.contains(&tree.path) {
            self.trees.push(tree.path.clone());
        }
        if self.first.len() < NAMED {
            let inside = btrfs::path_of(root, number);
            let inside = inside.unwrap_or_else(|_| PathBuf::from(format!("inode {number}")));
            self.first.push(below.join(inside));
        }
    }
}

/// A name may hold anything: one line stays one line.
fn shown(path: &Path) -> String {
    let text = format!("/{}", path.display());
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// All changes in these trees of one file system. Those up to `known` are nobody's secret.
pub(super) fn since(
    doomed: &Doomed,
    trees: &[Tree],
    how: Look,
    known: u64,
) -> Result<Changes, Error> {
    doomed.top.sync_filesystem()?;
    let mut changes = Changes::default();
    let entries: Vec<&Tree> = of_role(trees, Role::OldEntry);
    if let Some(first) = entries.first() {
        let area = Area::new(
            doomed,
            doomed.top,
            &entries,
            how,
            known.max(first.object.generation),
        );
        changes.add(area.changes(Path::new(""))?);
    }
    for tree in of_role(trees, Role::Trash) {
        if let Some(trash) = open_tree(doomed.top, &tree.object)? {
            let generation = known.max(tree.object.generation);
            let area = Area::new(doomed, &trash, &[tree], how, generation);
            let holder = tree.path.components().next();
            changes
                .add(area.changes(holder.map_or(Path::new(""), |one| Path::new(one.as_os_str())))?);
        }
    }
    for tree in trees {
        for (path, object) in subvolumes(doomed, tree)? {
            if let Some(root) = open_tree(doomed.top, object)? {
                let generation = known.max(object.generation);
                let area = Area::new(doomed, &root, &[tree], how, generation);
                changes.add(area.all_changes(&path)?);
            }
        }
    }
    Ok(changes)
}

fn of_role(trees: &[Tree], role: Role) -> Vec<&Tree> {
    trees
        .iter()
        .filter(|tree| tree.object.role == role)
        .collect()
}

/// The known subvolumes of a tree, with where they are.
fn subvolumes<'a>(doomed: &'a Doomed, tree: &Tree) -> Result<Vec<(PathBuf, &'a Object)>, Error> {
    let mut found = Vec::new();
    for subvolume in btrfs::list_subvolumes(doomed.top)? {
        if subvolume.path.starts_with(&tree.path)
            && let Some(object) = doomed.known_subvolume(&subvolume)?
        {
            found.push((subvolume.path, object));
        }
    }
    Ok(found)
}

/// One subvolume, and the trees in it that are looked at.
struct Area<'a> {
    root: &'a Root,
    /// By the inode of each.
    trees: BTreeMap<u64, &'a Tree>,
    how: Look,
    generation: u64,
    /// Subvolumes of the same descent that are no younger than the commit.
    relatives: OnceCell<Vec<Root>>,
    doomed: &'a Doomed<'a>,
}

impl<'a> Area<'a> {
    fn new(
        doomed: &'a Doomed<'a>,
        root: &'a Root,
        trees: &[&'a Tree],
        how: Look,
        generation: u64,
    ) -> Self {
        let trees = trees.iter().map(|tree| (tree.object.inode, *tree));
        Self {
            root,
            trees: trees.collect(),
            how,
            generation,
            relatives: OnceCell::new(),
            doomed,
        }
    }

    /// Of the trees that are directories in it.
    fn changes(&self, below: &Path) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        let mut above = BTreeMap::new();
        self.each(&mut |number, inode| {
            let owner = self.owner(number, &mut above)?;
            if let Some(tree) = owner.and_then(|inode| self.trees.get(&inode))
                && self.counts(number, inode)?
            {
                changes.take(tree, self.root, number, below);
            }
            Ok(())
        })?;
        Ok(changes)
    }

    /// Of the subvolume as a whole.
    fn all_changes(&self, below: &Path) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        self.each(&mut |number, inode| {
            for tree in self.trees.values() {
                if self.counts(number, inode)? {
                    changes.take(tree, self.root, number, below);
                }
            }
            Ok(())
        })?;
        Ok(changes)
    }

    fn each(&self, visit: &mut dyn FnMut(u64, &Inode) -> sys::Result<()>) -> Result<(), Error> {
        let mut each = |number, inode| {
            visit(number, &inode)?;
            Ok(ControlFlow::Continue(()))
        };
        Ok(btrfs::changes_since(self.root, self.generation, &mut each)?)
    }

    /// The tree to which an inode belongs, by the tree's own. In a trash only what has no name
    /// elsewhere: of all else no more than a name goes.
    fn owner(
        &self,
        number: u64,
        above: &mut BTreeMap<u64, Option<u64>>,
    ) -> sys::Result<Option<u64>> {
        if self.trees.contains_key(&number) {
            return Ok(Some(number));
        }
        let mut owner = None;
        for directory in btrfs::directories_of(self.root, number)? {
            let own = self.owner_of_directory(directory, above)?;
            if self.is_trash() && own.is_none() {
                return Ok(None);
            }
            owner = owner.or(own);
        }
        Ok(owner)
    }

    fn owner_of_directory(
        &self,
        directory: u64,
        above: &mut BTreeMap<u64, Option<u64>>,
    ) -> sys::Result<Option<u64>> {
        let mut passed = Vec::new();
        let mut here = directory;
        let owner = loop {
            if let Some(known) = above.get(&here) {
                break *known;
            }
            if self.trees.contains_key(&here) {
                break Some(here);
            }
            passed.push(here);
            let parent = btrfs::directories_of(self.root, here)?.first().copied();
            match parent {
                Some(parent) if here != ROOT_INODE && parent != here => here = parent,
                _ => break None,
            }
        };
        above.extend(passed.into_iter().map(|inode| (inode, owner)));
        Ok(owner)
    }

    fn counts(&self, number: u64, inode: &Inode) -> sys::Result<bool> {
        if inode.born() > self.generation {
            return Ok(true);
        }
        let was_written = || -> sys::Result<bool> {
            let is_data = btrfs::has_data_since(self.root, number, self.generation)?;
            Ok(is_data || inode.was_written_last())
        };
        // What is in it counts by itself; a switched boot path, a trash and its directories were
        // renamed and emptied by rootshift.
        if inode.is_directory() || self.is_only_read(number, inode)? {
            return Ok(false);
        }
        match self.how {
            Look::During => was_written(),
            // rootshift itself renamed what lies at the top of a trash.
            Look::Before if self.is_renamed_by_us(number)? => was_written(),
            Look::Before => Ok(true),
        }
    }

    fn is_trash(&self) -> bool {
        let mut trees = self.trees.values();
        trees.any(|tree| tree.object.role == Role::Trash)
    }

    fn is_only_read(&self, number: u64, inode: &Inode) -> sys::Result<bool> {
        for relative in self.relatives()? {
            let same = btrfs::inode(relative, number)?;
            if same.is_some_and(|same| same.is_same_but_read(inode)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn relatives(&self) -> sys::Result<&[Root]> {
        if let Some(known) = self.relatives.get() {
            return Ok(known);
        }
        let found = relatives(self.doomed, self.root)?;
        Ok(self.relatives.get_or_init(|| found))
    }

    fn is_renamed_by_us(&self, number: u64) -> sys::Result<bool> {
        let is_trash = |inode: &u64| {
            let tree = self.trees.get(inode);
            tree.is_some_and(|tree| tree.object.role == Role::Trash)
        };
        let directories = btrfs::directories_of(self.root, number)?;
        Ok(!directories.is_empty() && directories.iter().all(is_trash))
    }
}

/// Subvolumes that have inodes in common with this one, made no later than at the commit.
fn relatives(doomed: &Doomed, root: &Root) -> sys::Result<Vec<Root>> {
    let own = btrfs::subvolume_info(root, Path::new(""))?;
    let is_new = |object: &&Object| object.role == Role::NewSubvolume;
    let new = doomed.known.iter().filter(is_new);
    let committed = new.map(|object| object.generation).max().unwrap_or(0);
    let mut found = Vec::new();
    let mut ids: Vec<u64> = btrfs::list_subvolumes(doomed.top)?
        .iter()
        .map(|subvolume| subvolume.id)
        .collect();
    ids.push(btrfs::TOP_LEVEL);
    for id in ids.into_iter().filter(|id| *id != own.id) {
        let opened = btrfs::open_inode(doomed.top, id, ROOT_INODE, 0, Path::new(""))?;
        let Some(other) = opened else { continue };
        let info = btrfs::subvolume_info(&other, Path::new(""))?;
        let known = |uuid: [u8; 16]| uuid != [0; 16];
        let is_kin = (known(own.uuid) && info.parent_uuid == own.uuid)
            || (known(info.uuid) && own.parent_uuid == info.uuid)
            || (known(own.parent_uuid) && own.parent_uuid == info.parent_uuid);
        if is_kin && info.created_generation <= committed {
            found.push(other);
        }
    }
    Ok(found)
}
