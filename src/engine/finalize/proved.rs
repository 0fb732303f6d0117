//! The root that is there has to be the one that was proved, by what it is: names are given again.

use std::path::Path;

use super::super::home::Migration;
use super::super::{Error, Stage};
use crate::journal::Role;
use crate::sys::block::uuid_text;
use crate::sys::{Root, btrfs};

/// That the new root is the one that the last rehearsal booted, or the one that was committed. Who
/// puts a snapshot back in its place has it proved by the next boot. Journals of before know none;
/// once the deletion has begun that was seen.
///
/// # Errors
/// When it is another, with where the right one is.
pub(super) fn is_there(top: &Root, migration: &Migration) -> Result<(), Error> {
    let state = migration.state();
    if state.stage == Stage::Finalizing {
        return Ok(());
    }
    let name = migration.plan().root_subvolume();
    let is_root = |role, path: &str| role == Role::NewSubvolume && path == name;
    let mut committed = state.inventory().unwrap_or_default().iter();
    let committed =
        committed.find(|object| object.filesystem == "/" && is_root(object.role, &object.path));
    let rehearsed = state.rehearsed_root.as_ref();
    let rehearsed = rehearsed.map(|root| (root.id, root.subvolume.as_str()));
    let committed = committed.map(|object| (object.id, object.subvolume.as_str()));
    let Some((id, uuid)) = rehearsed.or(committed) else {
        return Ok(());
    };
    let now = btrfs::subvolume_info(top, Path::new(name))?;
    if (now.id, &*uuid_text(now.uuid)) == (id, uuid) {
        return Ok(());
    }
    let all = btrfs::list_subvolumes(top)?;
    let place = all.iter().find(|one| one.id == id);
    let place = place.map_or_else(String::new, |one| {
        format!(", which is {} now,", one.path.display())
    });
    Err(Error::NotNow(format!(
        "the subvolume {name} is not the one{place} that was proved: reboot once more, and its \
         validation proves this one; or give that one its name again. Until then nothing is deleted"
    )))
}
