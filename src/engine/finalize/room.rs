//! A full disk: the old system holds the space that `finalize` gives back, and the images that are
//! made first need some.

use super::super::Error;
use super::super::home::Migration;
use crate::journal::Record;
use crate::sys::Root;

/// With less, making the images may have failed for that.
const ENOUGH: u64 = 128 << 20;

/// Why something could not be written before the decision, and what makes room: only files that the
/// old system does not have.
#[must_use]
pub fn explain(top: &Root, migration: &Migration, cause: Error) -> Error {
    let free = top
        .free_space()
        .map_or(u64::MAX, |space| space.available_bytes);
    if free >= ENOUGH {
        return cause;
    }
    let layout = &migration.plan().layout.filesystems;
    let own = layout.iter().filter(|one| one.mounted_at == "/");
    let places: Vec<&str> = own
        .flat_map(|one| &one.subvolumes)
        .map(|one| one.mount_point.as_str())
        .collect();
    let found = validated_at(migration).map_or_else(String::new, |at| {
        let places = places.join(" ");
        format!(" (`find {places} -xdev -type f -size +1M -newerct @{at}` names them)")
    });
    Error::NotNow(format!(
        "{cause}; only {} MiB are free, and deleting what the old system has as well frees nothing: \
         delete or move away files that were made since the migration{found}, then run `rootshift \
         finalize` again. Until then nothing is deleted",
        free >> 20
    ))
}

fn validated_at(migration: &Migration) -> Option<i64> {
    let entries = migration.journal().entries().iter();
    let mut times = entries.filter_map(|entry| {
        let Record::Validated { at, .. } = &entry.record else {
            return None;
        };
        *at
    });
    times.next()
}
