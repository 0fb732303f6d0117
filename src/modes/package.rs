//! `rootshift package`: what the maintainer scripts of the Debian package ask.

use std::path::Path;

use super::{Error, session};
use crate::cli::{Exit, Package};
use crate::documents::plan::HOME;
use crate::engine::departure::{self, Departure, departure, lay_aside};
use crate::engine::finalize::pending::MARK;
use crate::engine::home::Migration;
use crate::engine::initramfs::{self, ARMED};
use crate::engine::recover::at_work;
use crate::engine::situation;
use crate::engine::survey::Survey;
use crate::engine::transition::{Event, Images, ask};
use crate::engine::{self, Hands, Stage, carry_out};
use crate::report::print;
use crate::sys::Root;

pub(super) fn run(options: &Package) -> Result<Exit, Error> {
    match (options.before_removal, options.after_upgrade, options.purge) {
        (true, false, false) => before_removal(),
        (false, true, false) => after_upgrade(),
        (false, false, true) => purge(),
        _ => Err(Error::Usage(
            "one of --before-removal, --after-upgrade and --purge".into(),
        )),
    }
}

/// An error keeps the package where it is; dpkg shows its line.
fn before_removal() -> Result<Exit, Error> {
    let survey = match session::survey() {
        Err(Error::NotRoot) => return Err(Error::NotRoot),
        Err(why) => return out_of_reach(&Root::open(Path::new("/"))?, &why.to_string()),
        Ok(survey) => survey,
    };
    let Some(top) = &survey.top else {
        return out_of_reach(&survey.system, "the root file system is not btrfs");
    };
    if let Some(other) = at_work(&survey)? {
        return stays(&format!(
            "another rootshift is at work (process {other}); wait for it to end"
        ));
    }
    match session::migration_with_others(top) {
        Ok(migration) => leave(&survey, top, migration),
        Err(Error::NothingArmed) => without_journal(&survey.system),
        Err(why) => stays(&format!(
            "whether a migration is under way is not known: {why}; see `rootshift status`"
        )),
    }
}

/// In a chroot without /proc, or of a disk that is not mounted as a whole: the marks are all that
/// can be seen.
fn out_of_reach(system: &Root, why: &str) -> Result<Exit, Error> {
    if system.exists(Path::new(ARMED))? || system.exists(Path::new(MARK))? {
        return stays(&format!(
            "a migration is under way, and its journal can't be read here: {why}; start this \
             system, and run `rootshift status` in it"
        ));
    }
    Ok(Exit::Success)
}

fn without_journal(system: &Root) -> Result<Exit, Error> {
    if system.exists(Path::new(ARMED))? {
        print::line("rootshift: no journal asks for the plan in the images: they are made anew");
        initramfs::withdraw(system)?;
        initramfs::rebuild()?;
        initramfs::verify(system, None, &[])?;
    }
    Ok(Exit::Success)
}

fn leave(survey: &Survey, top: &Root, mut migration: Migration) -> Result<Exit, Error> {
    let system = &survey.system;
    let decided = departure(migration.state(), system.exists(Path::new(ARMED))?);
    let now = situation::of(survey, top, &migration);
    match (decided, ask(&now, Event::RemovePackage)) {
        // On the way back it depends on the images what comes next; and there may be no way back.
        (Departure::Refused(_), Err(why))
            if goes_back(migration.state().stage) || !now.old_is_there =>
        {
            return stays(&why.to_string());
        }
        (Departure::Refused(why), _) => return stays(why),
        (Departure::Free | Departure::Disarm, Err(why)) => return stays(&why.to_string()),
        (Departure::Free, Ok(acts)) if acts.is_empty() => {}
        (Departure::Free, Ok(_)) if now.images == Images::Unknown => {}
        (Departure::Free | Departure::Disarm, Ok(acts)) => {
            print::line("rootshift: disarming; every initramfs is made anew");
            let mut hands = Hands {
                system,
                top,
                migration: &mut migration,
                reason: "",
            };
            if let Err(why) = carry_out(&acts, &mut hands) {
                return stays(&format!("it can't be disarmed: {why}"));
            }
            print::line("rootshift: disarmed: the next boot is an ordinary one");
        }
    }
    if let Err(why) = lay_aside(system) {
        log::warn!("{why}: a purge will leave the journal");
    }
    Ok(Exit::Success)
}

fn goes_back(stage: Stage) -> bool {
    matches!(stage, Stage::RollbackRequested | Stage::RollingBack)
}

fn stays(why: &str) -> Result<Exit, Error> {
    let line = format!("this package is not removed: {why}");
    Err(engine::Error::NotNow(line).into())
}

/// The images hold the program that they were made with, and the journal's records are those of
/// the new one from now on.
fn after_upgrade() -> Result<Exit, Error> {
    let system = Root::open(Path::new("/"))?;
    let Some(digest) = initramfs::offered(&system)? else {
        return Ok(Exit::Success);
    };
    print::line("rootshift: a migration is under way: every initramfs takes the new program");
    let taken = initramfs::rebuild()
        .and_then(|()| initramfs::verify(&system, Some(&digest), &[]).map(drop));
    taken.map_err(|why| {
        let line = format!(
            "{why}. The images hold the program from before; when that is mended, run \
             `update-initramfs -u -k all`"
        );
        Error::from(engine::Error::NotNow(line))
    })?;
    Ok(Exit::Success)
}

/// A journal that somebody may still need stays, and is named.
fn purge() -> Result<Exit, Error> {
    let survey = session::survey()?;
    let (Some(top), Some(known)) = (&survey.top, &survey.identity) else {
        return Ok(Exit::Success);
    };
    let stays = match departure::purge(top, &known.uuid) {
        Ok(None) => return Ok(Exit::Success),
        Ok(Some(why)) => why,
        Err(why) => why.to_string(),
    };
    print::line(&format!(
        "rootshift: {HOME} at the top level of the disk stays: {stays}. To delete it: mount -o \
         subvolid=5 UUID={} /mnt && btrfs subvolume delete /mnt/{HOME} && umount /mnt",
        known.uuid
    ));
    Ok(Exit::NotWell)
}
