//! Looking for leftovers. Changes nothing.

use std::path::{Path, PathBuf};

use super::{Leftover, Machine, PLACES, staged};
use crate::documents::plan::HOME;
use crate::engine::look::Look;
use crate::engine::survey::Survey;
use crate::engine::transition::{Act, Book, Event, Images, Situation, answer};
use crate::engine::{Error, Stage, initramfs, situation};
use crate::sys::Root;
use crate::sys::mount::{Mount, parse_mountinfo};

/// Where commands of a running system replace files.
const REPLACED_IN: [&str; 4] = ["etc", "etc/default", "etc/initramfs-tools", "boot/grub"];

/// The number of another rootshift that runs on this root.
///
/// # Errors
/// When /proc can't be read.
pub fn at_work(survey: &Survey) -> Result<Option<u32>, Error> {
    let processes = Root::open(Path::new("/proc"))?;
    for name in processes.list(Path::new("."))? {
        let Some(number) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Gone meanwhile: it is not at work any more.
        let read = |file: &str| {
            processes
                .read_text(&Path::new(&name).join(file))
                .unwrap_or_default()
        };
        let command = read("comm");
        let ours = ["rootshift", "rootshift-tools"].contains(&command.trim_end());
        if ours && number != std::process::id() && is_root_of(survey, &read("mountinfo")) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Whether a process with these mounts has our root; one in a container has another.
fn is_root_of(survey: &Survey, mountinfo: &str) -> bool {
    let theirs = parse_mountinfo(mountinfo);
    let place = |mounts: &[Mount]| {
        let mut mounts = mounts.iter().rev();
        let root = mounts.find(|mount| mount.mount_point == Path::new("/"));
        root.map(|mount| (mount.device.clone(), mount.root.clone()))
    };
    place(&theirs) == place(&survey.mounts)
}

/// All that is found, in the order in which it is tidied.
///
/// # Errors
/// When something can't be looked at: nothing is touched then.
pub fn leftovers(machine: &mut Machine) -> Result<Vec<Leftover>, Error> {
    let survey = machine.survey;
    let mut found = mounts(machine);
    found.extend(unfinished(&survey.system, &places(machine), false)?);
    let Some(top) = &survey.top else {
        return Ok(found);
    };
    found.extend(unfinished(top, &[PathBuf::from(HOME)], true)?);
    let look = match &machine.migration {
        Some(_) => None, // its lock is ours
        None => Some(Look::at(top)),
    };
    if look.as_ref().is_some_and(|look| look.trouble.is_some()) {
        return Ok(found); // what is whose can't be told
    }
    let plan = match (&machine.migration, &look) {
        (Some(migration), _) => Some(&**migration.plan()),
        (None, Some(look)) => look.plan.as_ref().map(|frozen| &*frozen.plan),
        (None, None) => None,
    };
    let now = now(machine, top);
    let acts = answer(&now, Event::Recover).unwrap_or_default();
    found.extend(of_the_journal(machine, &acts));
    if is_over(machine) {
        found.extend(staged::look(top, plan, &survey.mounts)?);
    }
    found.extend(images(&now, &acts));
    found.extend(half_images(&survey.system)?);
    Ok(found)
}

/// The last one first: it may cover another.
fn mounts(machine: &Machine) -> Vec<Leftover> {
    let mounts = machine.survey.mounts.iter().rev();
    let ours = mounts.filter(|mount| {
        mount.mount_point.parent() == Some(Path::new(PLACES))
            && mount.fstype == "btrfs"
            && mount.root == Path::new("/")
    });
    ours.map(|mount| Leftover::Mount(mount.mount_point.clone()))
        .collect()
}

/// Directories in which a command may have been writing a file.
fn places(machine: &Machine) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = REPLACED_IN.iter().map(PathBuf::from).collect();
    let plan = machine.migration.as_ref().map(|migration| migration.plan());
    let restores = plan.and_then(|plan| plan.rollback_configuration.clone());
    for restore in restores
        .map_or(Ok(Vec::new()), |known| known.restores("batch"))
        .unwrap_or_default()
    {
        let file = Path::new(restore.file.trim_start_matches('/'));
        let place = file.parent().unwrap_or(Path::new(".")).to_owned();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn unfinished(root: &Root, places: &[PathBuf], at_top: bool) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    for place in places {
        if !root
            .resolved_status(place)?
            .is_some_and(|status| status.is_directory())
        {
            continue;
        }
        for (path, replaces) in root.unfinished_files(place)? {
            // In a system's own directory the file that it was to replace has to be there.
            let whole = root
                .status(&replaces)?
                .is_some_and(|status| status.is_file());
            if whole || at_top {
                found.push(Leftover::Unfinished { at_top, path });
            }
        }
    }
    Ok(found)
}

/// What the table has to be done beside the images.
fn of_the_journal(machine: &Machine, acts: &[Act]) -> Vec<Leftover> {
    let mut found = Vec::new();
    let Some(migration) = &machine.migration else {
        return found;
    };
    found.extend(migration.journal().dropped().map(Leftover::Tail));
    if acts.contains(&Act::TakeBack) {
        found.push(Leftover::Prepared);
    }
    found
}

/// Whether no migration is under way, nor any that a boot would go on with.
fn is_over(machine: &Machine) -> bool {
    let Some(migration) = &machine.migration else {
        return true;
    };
    let state = migration.state();
    match state.stage {
        Stage::Disarmed | Stage::RolledBack | Stage::Finalized => true,
        Stage::Failed => !state.has_work(),
        Stage::Planned
        | Stage::Armed
        | Stage::Preparing
        | Stage::Committed
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::RollbackRequested
        | Stage::RollingBack
        | Stage::Finalizing => false,
    }
}

/// Looking into images takes seconds each: the hook's directory is looked at first.
fn now(machine: &Machine, top: &Root) -> Situation {
    let survey = machine.survey;
    match &machine.migration {
        Some(migration) => situation::of(survey, top, migration),
        None => situation::without_journal(survey, top, Book::Missing),
    }
}

fn images(now: &Situation, acts: &[Act]) -> Option<Leftover> {
    let ours = [
        Act::Offer,
        Act::Withdraw,
        Act::MakeImages,
        Act::RecordRearmed,
        Act::RecordDisarmed,
        Act::LookOrdinary,
    ];
    let acts: Vec<Act> = acts
        .iter()
        .copied()
        .filter(|act| ours.contains(act))
        .collect();
    let seen = if acts.is_empty() {
        return None;
    } else if acts.contains(&Act::Offer) {
        "not every initramfs image holds the plan, and the journal asks for it".to_owned()
    } else if matches!(now.images, Images::Armed | Images::Mixed) {
        "an initramfs image holds a plan, and no journal asks for it".to_owned()
    } else {
        let armed = initramfs::ARMED;
        format!("{armed} puts a plan into the next images, and no journal asks for it")
    };
    Some(Leftover::Images(seen, acts))
}

fn half_images(system: &Root) -> Result<Vec<Leftover>, Error> {
    let boot = Path::new("boot");
    if !system.exists(boot)? {
        return Ok(Vec::new());
    }
    let half = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with("initrd.img-") && name.ends_with(".new")
    };
    let names = system.list(boot)?.into_iter().filter(half);
    Ok(names
        .map(|name| Leftover::HalfImage(boot.join(name)))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::is_root_of;
    use crate::engine::survey::Survey;
    use crate::sys::Root;
    use crate::sys::mount::parse_mountinfo;

    #[test]
    fn a_process_in_a_container_is_not_at_work_here() {
        let ours = "22 1 0:30 / / rw - btrfs /dev/sda2 rw,subvol=/\n";
        let survey = Survey {
            system: Root::open(Path::new("/")).unwrap(),
            mounts: parse_mountinfo(ours),
            top: None,
            old_root: String::new(),
            others: Arc::default(),
            identity: None,
        };
        assert!(is_root_of(&survey, ours));
        // The same root in a mount table of its own, as the other commands have it.
        let private = "99 70 0:30 / / rw - btrfs /dev/sda2 rw,subvol=/\n";
        assert!(is_root_of(&survey, private));
        let container = "99 70 0:55 / / rw - overlay overlay rw\n";
        assert!(!is_root_of(&survey, container));
        let snapshot = "99 70 0:30 /@other / rw - btrfs /dev/sda2 rw\n";
        assert!(!is_root_of(&survey, snapshot));
        assert!(!is_root_of(&survey, ""), "it is gone");
    }
}
