//! The new system that is there has to be the one that was proved, by what it is: names are given
//! again.

use super::super::home::Migration;
use super::super::{Error, Stage};
use super::doomed::is_subvolume;
use crate::journal::{Object, Role};
use crate::sys::{Root, btrfs};

/// That each subvolume of the new system on one file system is the one that the commit knew. Journals
/// of before know none; once the deletion has begun that was seen.
///
/// # Errors
/// The first that is another, and where the right one is.
pub(super) fn is_there(top: &Root, migration: &Migration, place: &str) -> Result<(), Error> {
    let state = migration.state();
    let objects = state.inventory().unwrap_or_default();
    let is_new = |object: &&Object| object.role == Role::NewSubvolume && object.filesystem == place;
    if state.stage == Stage::Finalizing {
        return Ok(());
    }
    let all = btrfs::list_subvolumes(top)?;
    for object in objects.iter().filter(is_new) {
        let now = all.iter().find(|one| one.id == object.id);
        let now = now.filter(|_| matches!(is_subvolume(top, object), Ok(true)));
        let path = &object.path;
        let why = match now {
            Some(now) if now.path == object.path() => continue,
            Some(now) => format!(
                "it is named {} now: give each its name again on the mounted top level (mount -o \
                 subvolid=5), reboot, and run `rootshift finalize` again",
                now.path.display()
            ),
            None => "it is gone: `rootshift rollback` goes back to the old system, which is kept \
                     as long as it is not given up"
                .into(),
        };
        return Err(Error::NotNow(format!(
            "the subvolume {path} is not the one that was committed and proved; {why}. Until then \
             nothing is deleted"
        )));
    }
    Ok(())
}
