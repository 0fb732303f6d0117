//! Renewing: after an update of a kernel or of an image, every image is looked into again, and the
//! journal takes note of the new images and the new grub.cfg. The plan itself stays as it is.

use super::fits::{Present, look_at, same_machine, updated};
use super::home::Migration;
use super::transition::{Act, Book, Event, Images, Known, Seen, Situation, ask};
use super::{Error, initramfs};
use crate::checks::CheckContext;
use crate::documents::CheckSpec;
use crate::journal::Record;
use crate::sys::Root;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The journal knows the new images; durable.
    Renewed,
    /// Nothing was changed since.
    Fits,
    /// No migration is about to begin: nothing is held against grub.cfg and the images.
    NotNeeded,
}

/// Makes the armed plan fit again, when nothing else than grub.cfg and the images was changed. A
/// cut before the end leaves it as stale as it was.
///
/// # Errors
/// When something else was changed, an image does not hold the plan, or a check does not pass:
/// the next boot is an ordinary one then.
pub fn renew(
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
) -> Result<Renewal, Error> {
    let now = Situation {
        book: Book::Sound(Known::of(migration.state(), Some(migration.plan()))),
        images: Images::Unknown,
        offered: true,
        running: Seen::Unknown, // the plan says below which one it has to be
        loader_agrees: true,
        old_is_there: true,
    };
    if !ask(&now, Event::Renew)?.contains(&Act::RecordRenewed) {
        return Ok(Renewal::NotNeeded);
    }
    if context.old_root != migration.plan().old_system.root {
        return Err(Error::NotNow(
            "this is not the system that was armed: boot that one".into(),
        ));
    }
    let old = top.within(&migration.plan().old_system.path(""))?;
    let present = Present::of(&old)?;
    same_machine(top, migration, &present)?;
    if updated(migration, &present).is_none() {
        return Ok(Renewal::Fits);
    }
    let images = initramfs::verify(
        &old,
        Some(&migration.frozen.digest),
        &migration.state().images,
    )?;
    // All that `arm` looks at, but for what walks through the whole disk. Prepared work has taken
    // the names already.
    let begun = migration.state().has_work();
    look_at(context, &|check| match check {
        CheckSpec::NoStraddlingLinks {} => false,
        CheckSpec::NamesFree {} => !begun,
        _ => true,
    })?;
    // The journal must not say more than the disk holds.
    top.sync_filesystem()?;
    migration.record(Record::Renewed {
        images,
        fingerprints: present.fingerprints,
    })?;
    Ok(Renewal::Renewed)
}
