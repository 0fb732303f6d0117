//! What a commit leaves to be deleted, renamed or guarded later: taken by name once, at the commit,
//! and known from then on by what it is.

use std::path::{Path, PathBuf};

use super::Error;
use super::home::Migration;
use super::others::top_at;
use crate::checks::MountedFilesystem;
use crate::documents::plan::{HOME, PlannedFilesystem, STAGING, TRASH};
use crate::documents::{Action, Plan};
use crate::journal::{Object, Record, Role};
use crate::sys::block::uuid_text;
use crate::sys::{Root, btrfs};

/// Bytes of one record, of the 64 KiB that a frame holds: a path may need six for each of its own.
const ROOM: usize = 48 << 10;
/// An object without its path.
const OBJECT: usize = 300;

/// Records the inventory, unless the one that is there was taken after the last step. To be called
/// once everything is synced. Durable when it returns.
pub(super) fn record(top: &Root, migration: &mut Migration) -> Result<(), Error> {
    if migration.state().inventory().is_some() {
        return Ok(());
    }
    let objects = take(top, migration.plan(), &migration.others)?;
    let mut parts = in_parts(objects).into_iter().zip(0..).peekable();
    while let Some((objects, part)) = parts.next() {
        let more = parts.peek().is_some();
        migration.record(Record::Inventory {
            objects,
            part,
            more,
        })?;
    }
    Ok(())
}

fn in_parts(objects: Vec<Object>) -> Vec<Vec<Object>> {
    let mut parts = vec![Vec::new()];
    let mut used = 0;
    for object in objects {
        let size = OBJECT + 6 * object.path.len();
        if used + size > ROOM {
            parts.push(Vec::new());
            used = 0;
        }
        used += size;
        if let Some(part) = parts.last_mut() {
            part.push(object);
        }
    }
    parts
}

fn take(top: &Root, plan: &Plan, others: &[MountedFilesystem]) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for filesystem in plan.filesystems() {
        let place = &filesystem.layout.mounted_at;
        if let Some(top) = top_at(top, others, place) {
            objects.extend(of(top, plan, filesystem)?);
        }
    }
    Ok(objects)
}

/// What there is on one file system, by the names that the plan has for it.
fn of(top: &Root, plan: &Plan, filesystem: PlannedFilesystem) -> Result<Vec<Object>, Error> {
    let now = btrfs::filesystem(top)?.generation;
    let taken = Taking {
        top,
        filesystem,
        copied: copied(top, filesystem)?.unwrap_or(now),
        now,
    };
    let mut objects = taken.entries(plan)?;
    objects.extend(taken.subvolumes(plan)?);
    for subvolume in &filesystem.layout.subvolumes {
        let name = Path::new(&subvolume.name);
        if !btrfs::is_subvolume(top, name)? {
            continue;
        }
        objects.push(taken.subvolume(Role::NewSubvolume, name)?);
        objects.extend(taken.trash(&name.join(TRASH))?);
    }
    if btrfs::is_subvolume(top, Path::new(HOME))? {
        objects.push(taken.subvolume(Role::Home, Path::new(HOME))?);
    }
    Ok(objects)
}

/// The same for a journal of a version that recorded none, by the names that the plan has. What was
/// the commit's transaction is not known: each has the last one that is surely not later.
pub(super) fn afterwards(
    top: &Root,
    plan: &Plan,
    filesystem: PlannedFilesystem,
) -> Result<Vec<Object>, Error> {
    let mut objects = of(top, plan, filesystem)?;
    let is_new = |object: &&Object| object.role == Role::NewSubvolume;
    let made = objects
        .iter()
        .filter(is_new)
        .map(|object| object.born)
        .max();
    for object in &mut objects {
        object.generation = match object.role {
            Role::OldEntry | Role::OldSubvolume | Role::Nested => object.generation,
            // Nothing is put into it once it is full, and no directory of it is renamed.
            Role::Trash => {
                let trash = top.held(object.path())?;
                let inode = btrfs::inode(&trash, object.inode)?;
                inode.map_or(0, |inode| inode.changed())
            }
            Role::NewSubvolume | Role::Home | Role::Staged => made.unwrap_or(0),
        };
    }
    Ok(objects)
}

/// The transaction in which the first of the layout's subvolumes was made: what changed in the old
/// system after it is in no copy.
pub(super) fn copied(top: &Root, filesystem: PlannedFilesystem) -> Result<Option<u64>, Error> {
    let mut oldest = None;
    for name in filesystem.layout.subvolumes.iter().map(|one| &one.name) {
        for path in [Path::new(STAGING).join(name), PathBuf::from(name)] {
            if btrfs::is_subvolume(top, &path)? {
                let created = btrfs::subvolume_info(top, &path)?.created_generation;
                oldest = Some(oldest.map_or(created, |oldest: u64| oldest.min(created)));
            }
        }
    }
    Ok(oldest)
}

/// Where an entry of the old system is now: what the boot path's switch moved has another name.
pub(super) fn present(plan: &Plan, filesystem: &str, path: &str, top: &Root) -> PathBuf {
    let kept = kept_as(plan, filesystem, path);
    let is_directory = |path: &str| {
        let status = top.status(Path::new(path)).ok().flatten();
        status.is_some_and(|status| status.is_directory())
    };
    kept.filter(|kept| is_directory(kept))
        .map_or_else(|| PathBuf::from(path), PathBuf::from)
}

/// Whether the switch of the boot path moves it.
pub(super) fn is_switched(plan: &Plan, filesystem: &str, path: &str) -> bool {
    kept_as(plan, filesystem, path).is_some()
}

/// The name that the switch of the boot path gives it.
fn kept_as(plan: &Plan, filesystem: &str, path: &str) -> Option<String> {
    plan.steps()
        .into_iter()
        .find_map(|step| match &step.action {
            Action::SwitchBootPath(switch)
                if step.filesystem == filesystem && switch.path.trim_matches('/') == path =>
            {
                Some(switch.keep_as.trim_matches('/').to_owned())
            }
            _ => None,
        })
}

struct Taking<'a> {
    top: &'a Root,
    filesystem: PlannedFilesystem<'a>,
    /// Nothing of the old system changed after this transaction.
    copied: u64,
    /// Nothing of rootshift's own work was done after this one.
    now: u64,
}

impl Taking<'_> {
    fn place(&self) -> &str {
        &self.filesystem.layout.mounted_at
    }

    /// Those of a flat system's top level; subvolumes among them are told with the subvolumes.
    fn entries(&self, plan: &Plan) -> Result<Vec<Object>, Error> {
        let old = self.filesystem.old_system;
        let info = btrfs::subvolume_info(self.top, Path::new(""))?;
        let mut objects = Vec::new();
        for name in old.entries.iter().filter(|_| old.root.is_empty()) {
            let path = present(plan, self.place(), name, self.top);
            let Some(status) = self.top.status(&path)? else {
                continue;
            };
            if !btrfs::is_subvolume(self.top, &path)? {
                let inode = (status.inode, status.uid);
                objects.push(self.object(Role::OldEntry, Path::new(name), &info, inode)?);
            }
        }
        Ok(objects)
    }

    /// The old root, what is nested in it, and what was prepared and not placed.
    fn subvolumes(&self, plan: &Plan) -> Result<Vec<Object>, Error> {
        let old = self.filesystem.old_system;
        let root = present(plan, self.place(), &old.root, self.top);
        let mut objects = Vec::new();
        for found in btrfs::list_subvolumes(self.top)? {
            let inside = found.path.strip_prefix(&root).ok();
            let is_nested = |path: &Path| old.nested.iter().any(|known| Path::new(known) == path);
            let role = match inside {
                Some(inside) if inside.as_os_str().is_empty() => Some(Role::OldSubvolume),
                Some(inside) if is_nested(inside) => Some(Role::Nested),
                _ if found.path.starts_with(STAGING) => Some(Role::Staged),
                _ => None,
            };
            if let Some(role) = role {
                objects.push(self.subvolume(role, &found.path)?);
            }
        }
        Ok(objects)
    }

    fn subvolume(&self, role: Role, path: &Path) -> Result<Object, Error> {
        let directory = self.top.held(path)?;
        let info = btrfs::subvolume_info(&directory, Path::new(""))?;
        let owner = directory.status(Path::new(""))?.map_or(0, |one| one.uid);
        Ok(Object {
            born: info.created_generation,
            ..self.object(role, path, &info, (btrfs::ROOT_INODE, owner))?
        })
    }

    fn trash(&self, path: &Path) -> Result<Option<Object>, Error> {
        let is_directory = self.top.status(path)?.is_some_and(|one| one.is_directory());
        if !is_directory {
            return Ok(None);
        }
        let trash = self.top.held(path)?;
        let Some(status) = trash.status(Path::new(""))? else {
            return Ok(None);
        };
        let info = btrfs::subvolume_info(&trash, Path::new(""))?;
        let inode = (status.inode, status.uid);
        let mut object = self.object(Role::Trash, path, &info, inode)?;
        let made = btrfs::inode(&trash, status.inode)?;
        object.born = made.map_or(0, |made| made.born());
        Ok(Some(object))
    }

    fn object(
        &self,
        role: Role,
        path: &Path,
        info: &btrfs::SubvolumeInfo,
        (inode, owner): (u64, u32),
    ) -> Result<Object, Error> {
        let born = match role {
            Role::OldEntry => btrfs::inode(self.top, inode)?.map_or(0, |made| made.born()),
            _ => 0,
        };
        Ok(Object {
            role,
            filesystem: self.place().to_owned(),
            path: path.to_string_lossy().into_owned(),
            subvolume: uuid_text(info.uuid),
            id: info.id,
            inode,
            born,
            owner,
            generation: match role {
                Role::OldEntry | Role::OldSubvolume | Role::Nested => self.copied,
                Role::NewSubvolume | Role::Trash | Role::Home | Role::Staged => self.now,
            },
        })
    }
}
