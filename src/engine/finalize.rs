//! `finalize`: gives the space of the old system back. The only act that can't be undone.
//!
//! Deletes only what the commit's inventory knows of the old system, and the trash of the new
//! subvolumes; each by what it is, and only where nothing changed since the commit. The symlink
//! `boot` or `@rootfs` stays: core.img and an ESP's stub may still point at it.

mod at_work;
mod changes;
mod consent;
mod delete;
mod doomed;
mod doubts;
mod lines;
mod menus;
pub mod pending;
mod proved;
mod quota;
mod room;

use std::path::Path;
use std::sync::Arc;

pub use self::consent::{Changed, forget};
pub use self::room::explain as no_room;

use self::changes::{Changes, Look};
use self::consent::Decided;
use self::doomed::{Doomed, Found};
use super::home::Migration;
use super::mount_lines::Mounting;
use super::others::{all_there, remove_homes, top_at};
use super::transition::{Act, Book, Event, Images, Known, Seen, Situation, ask};
use super::{Error, Hands, Stage, carry_out, inventory, rehearsal};
use crate::bootchain::{self, NewSystem};
use crate::checks;
use crate::documents::Plan;
use crate::documents::plan::STAGING;
use crate::fault;
use crate::journal::Record;
use crate::report::progress::{Part, Progress, Unit};
use crate::sys::{Root, btrfs};
use crate::tree::remove::count_tree;

const COUNTING: &str = "counting the old system's files";
const DELETING: &str = "deleting the old system";

/// Counting takes about so much of the time, for it reads what deleting reads as well.
#[must_use]
pub fn weights() -> Vec<u32> {
    vec![1, 4]
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Entries that this run deleted.
    pub entries: u64,
    /// What stays where it is, and why.
    pub left: Vec<String>,
}

/// Deletes the old system from the new one, for who knows that this runs, as long as nothing in it
/// changed since the commit. May be repeated after a cut. `progress` is made with [`weights`].
/// Returns the number of entries that this run deleted.
///
/// # Errors
/// When the state or anything else is in doubt, before anything is deleted; or the first act that
/// failed.
pub fn finalize(
    system: &Root,
    top: &Root,
    migration: &mut Migration,
    progress: &mut Progress,
) -> Result<u64, Error> {
    let images = match migration.state().armed {
        true => Images::Armed,
        false => Images::Ordinary,
    };
    let now = Situation {
        book: Book::Sound(Known::of(migration.state(), Some(migration.plan()))),
        images,
        offered: true,
        running: Seen::New,
        loader_agrees: true,
        old_is_there: true,
    };
    let acts = ask(&now, Event::Finalize)?;
    begin(system, top, migration, &acts, Changed::Refuse)?;
    Ok(delete(top, migration, progress)?.entries)
}

/// Makes the images ordinary and records the decision, as far as these acts of the table say;
/// from here on there is no way back. May be repeated after a cut. Durable when it returns.
///
/// # Errors
/// When anything is in doubt, before anything is changed; or an image that still holds the plan.
pub fn begin(
    system: &Root,
    top: &Root,
    migration: &mut Migration,
    acts: &[Act],
    changed: Changed,
) -> Result<(), Error> {
    let decided = may_finalize(system, top, migration, changed)?;
    let (decision, images): (Vec<Act>, Vec<Act>) = acts
        .iter()
        .filter(|act| **act != Act::Delete)
        .partition(|act| **act == Act::BeginFinalize);
    let plan = Arc::clone(migration.plan());
    let mut hands = Hands {
        system,
        top,
        migration,
        reason: "",
    };
    // Images first: a program that fails here leaves the way back open.
    carry_out(&images, &mut hands).map_err(|cause| room::explain(top, hands.migration, cause))?;
    if !images.is_empty() {
        still_boots(top, &plan)?;
    }
    decided.0.write(top)?;
    fault::reached("finalize-decided");
    carry_out(&decision, &mut hands)?;
    fault::reached("finalize-begun");
    Ok(())
}

/// That the new system is found by what GRUB reads now, as it was made anew or edited.
///
/// # Errors
/// When grub.cfg does not lead to the new system.
pub fn still_boots(top: &Root, plan: &Plan) -> Result<(), Error> {
    let new = NewSystem {
        top,
        root: plan.root_subvolume(),
        old_root: &plan.old_system.root,
        identity: Some(&plan.filesystem),
    };
    match bootchain::broken_link(&new).map_err(checks::Error::from)? {
        None => Ok(()),
        Some(problem) => Err(Error::NotNow(format!(
            "{problem}; mend that and run `rootshift finalize` again: nothing is deleted yet"
        ))),
    }
}

/// Deletes what [`begin`] decided to, and records that it is gone. May be repeated after a cut.
///
/// # Errors
/// The first act that failed; that this process was asked to stop; that somebody wrote into what
/// is to be deleted.
pub fn delete(
    top: &Root,
    migration: &mut Migration,
    progress: &mut Progress,
) -> Result<Deleted, Error> {
    let others = Arc::clone(&migration.others);
    let plan = Arc::clone(migration.plan());
    let decided = Decided::of(top, migration)?;
    let all = all_doomed(top, migration, &plan, &decided)?;
    let of = count(&all, progress);
    let mut done = Deleted::default();
    progress.step("", 2, DELETING);
    for (place, doomed) in &all {
        quota::note(doomed)?;
        let before = done.entries;
        let tell = &mut |count| progress.part(part(before + count, of));
        done.entries += delete::remove(doomed, decided.known(place), tell)?;
        done.left
            .extend(doomed.left.iter().map(|left| named(place, left)));
        let (removed, left) = delete::remove_staging(doomed.top)?;
        done.entries += removed;
        progress.part(part(done.entries, of));
        done.left.extend(left.iter().map(|left| named(place, left)));
    }
    for (_, doomed) in &all {
        quota::remove(doomed.top)?;
    }
    remove_homes(&others)?;
    top.sync_filesystem()?;
    progress.finish();
    for left in &done.left {
        log::warn!("left where it is: {left}");
    }
    let entries = done.entries;
    fault::reached("finalize-deleted");
    migration.record(Record::Finalized { entries })?;
    // Not before: what is to be kept is known from there alone.
    forget(top)?;
    top.sync_filesystem()?;
    fault::reached("finalize-complete");
    Ok(done)
}

fn named(place: &str, left: &str) -> String {
    match place {
        "/" => left.to_owned(),
        place => format!("on the file system of {place}: {left}"),
    }
}

fn part(done: u64, of: Option<u64>) -> Part {
    let unit = Unit::Entries;
    Part { done, of, unit }
}

/// How much there is to delete, for whoever looks on; `None` when nobody does, or when something
/// can't be counted: whether that can be deleted is another question.
fn count(all: &[(String, Doomed)], progress: &mut Progress) -> Option<u64> {
    if !progress.is_shown() {
        return None;
    }
    progress.step("", 1, COUNTING);
    let mut entries = 0;
    for (_, doomed) in all {
        entries += u64::from(doomed.top.exists(Path::new(STAGING)).ok()?);
        for tree in &doomed.trees {
            let tell = &mut |count| progress.part(part(entries + count, None));
            let path = Path::new("");
            entries += match doomed::find(doomed.top, tree).ok()? {
                Some(Found::Entry(_)) => count_tree(doomed.top, &tree.path, tell).ok()?,
                Some(Found::Trash(trash)) => count_tree(&trash, path, tell).ok()?,
                Some(Found::Subvolume) | None => 0, // deleted as a whole
            };
        }
    }
    Some(entries)
}

/// What a person decided about what changed, ready to be written down.
#[derive(Debug)]
pub struct Decision(Decided);

/// Whether anything speaks against deleting the old system now, whatever the stage. Changes nothing.
///
/// # Errors
/// What is in doubt, with its remedy.
pub fn may_finalize(
    system: &Root,
    top: &Root,
    migration: &Migration,
    changed: Changed,
) -> Result<Decision, Error> {
    all_there(migration)?;
    let plan = migration.plan();
    for filesystem in plan.filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        for subvolume in &filesystem.layout.subvolumes {
            let name = &subvolume.name;
            if !btrfs::is_subvolume(top, Path::new(name))? {
                return Err(Error::NotNow(format!(
                    "the subvolume {name} is missing; nothing is deleted"
                )));
            }
        }
    }
    proved::is_there(top, migration)?;
    let mut decided = Decided::of(top, migration)?;
    let mut all = all_doomed(top, migration, plan, &decided)?;
    // Before anything is said to be in the way: what is in use is not to be deleted, but to stay.
    decide(&mut all, migration.state().stage, changed, &mut decided)?;
    let mounting = Mounting::of_files(system)?;
    for (place, doomed) in &all {
        if place == "/" {
            menus::none_is_old(system, plan, doomed)?;
        }
        lines::none_is_old(&mounting, plan, place, doomed)?;
    }
    let all: Vec<Doomed> = all.into_iter().map(|(_, doomed)| doomed).collect();
    for doomed in &all {
        doomed::unknown_subvolume(doomed)?;
    }
    doubts::none(system, &all, plan.root_subvolume())?;
    if migration.state().stage.is_validated()
        && let Some(why) = rehearsal::missing(system, migration.state(), plan.root_subvolume())?
    {
        return Err(Error::NotNow(why));
    }
    Ok(Decision(decided))
}

/// Nothing that changed since the commit is deleted unless somebody says so who saw how much it is.
fn decide(
    all: &mut [(String, Doomed)],
    stage: Stage,
    changed: Changed,
    decided: &mut Decided,
) -> Result<(), Error> {
    let how = match stage {
        Stage::Finalizing => Look::During,
        _ => Look::Before,
    };
    let mut changes = Changes::default();
    for (place, doomed) in all {
        doomed.top.sync_filesystem()?;
        let now = btrfs::filesystem(doomed.top)?.generation;
        let found = changes::since(doomed, &doomed.trees, how, decided.known(place))?;
        if changed == Changed::Keep && found.count > 0 {
            keep(place, doomed, &found, decided);
        }
        // Until then it was looked at, and agreed to.
        decided.known.insert(place.clone(), now);
        changes.add(found);
    }
    let count = changes.count;
    match changed {
        Changed::Delete(expected) if expected != count => Err(Error::NotNow(format!(
            "{} and not {expected}: look at them; nothing is deleted",
            changes.in_words()
        ))),
        Changed::Refuse if count > 0 => Err(Error::NotNow(format!(
            "{}: if anybody still needs them run `rootshift finalize --keep-changed`, which \
             leaves what they are in where it is; to delete them as well run `rootshift finalize \
             --also-changed {count}`. Until then nothing is deleted",
            changes.in_words()
        ))),
        _ => Ok(()),
    }
}

fn keep(place: &str, doomed: &mut Doomed, found: &Changes, decided: &mut Decided) {
    let kept = decided.kept.entry(place.to_owned()).or_default();
    let changed = doomed
        .trees
        .iter()
        .filter(|tree| found.trees.contains(&tree.path));
    kept.extend(changed.map(|tree| tree.object.path.clone()));
    doomed.leave(&|path| kept.iter().any(|kept| kept == path));
}

fn all_doomed<'a>(
    top: &'a Root,
    migration: &'a Migration,
    plan: &'a Plan,
    decided: &Decided,
) -> Result<Vec<(String, Doomed<'a>)>, Error> {
    let mut all = Vec::new();
    for filesystem in plan.filesystems() {
        let place = &filesystem.layout.mounted_at;
        let Some(top) = top_at(top, &migration.others, place) else {
            continue;
        };
        let known = match migration.state().inventory() {
            Some(all) => {
                let here = all.iter().filter(|object| object.filesystem == *place);
                here.cloned().collect()
            }
            None => inventory::afterwards(top, plan, filesystem)?,
        };
        let mut doomed = doomed::look(top, &filesystem.identity.uuid, plan, known)?;
        doomed.leave(&|path| decided.is_kept(place, path));
        all.push((place.clone(), doomed));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::sys::Root;
    use std::fs;

    /// A system of these files, with their text.
    pub(super) fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }
}
