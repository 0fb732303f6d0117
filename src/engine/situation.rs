//! What is seen of a running machine, as the transition table asks for it. Changes nothing.

use std::path::Path;

use super::home::Migration;
use super::initramfs::{ARMED, Held, held};
use super::look::{Look, is_of_another};
use super::rollback::present_root;
use super::survey::{Survey, boot_images};
use super::transition::{Book, Images, Known, Seen, Situation};
use super::{Error, State, old_system};
use crate::bootcfg::cmdline::CommandLine;
use crate::bootchain::choice;
use crate::documents::Plan;
use crate::journal::record::BootImage;
use crate::sys::{Root, btrfs};

/// The subvolume of the top level itself (btrfs, `BTRFS_FS_TREE_OBJECTID`).
const TOP_LEVEL: u64 = 5;

/// Of a migration whose journal is held, with a look into its images.
#[must_use]
pub fn of(survey: &Survey, top: &Root, migration: &Migration) -> Situation {
    let plan = migration.plan();
    let digest = Some(migration.frozen.digest.as_str());
    let known = known_images(migration.state());
    let images = images(&survey.system, Some((top, plan)), digest, known);
    Situation {
        images,
        ..without_images(survey, top, migration)
    }
}

/// The same, where the images do not matter.
#[must_use]
pub fn without_images(survey: &Survey, top: &Root, migration: &Migration) -> Situation {
    let is_its = migration.state().is_over() || !is_of_another(top, migration.plan());
    let book = match is_its {
        true => Book::Sound(Known::of(migration.state(), Some(migration.plan()))),
        false => Book::Foreign, // no boot does anything with it
    };
    Situation {
        book,
        images: Images::Unknown,
        offered: offered(&survey.system),
        running: running(survey, top, migration.plan()),
        loader_agrees: loader_agrees(survey, top),
        old_is_there: old_system::problem(top, migration.plan(), migration.state()).is_none(),
    }
}

/// Where there is no journal, or none that can be used.
#[must_use]
pub fn without_journal(survey: &Survey, top: &Root, book: Book) -> Situation {
    Situation {
        book,
        images: images(&survey.system, None, None, &[]),
        offered: offered(&survey.system),
        running: Seen::Unknown,
        loader_agrees: loader_agrees(survey, top),
        old_is_there: true,
    }
}

/// Why the old system is not there to go back to.
#[must_use]
pub fn old_problem(top: &Root, plan: &Plan, state: &State) -> Option<String> {
    old_system::problem(top, plan, state)
}

fn offered(system: &Root) -> bool {
    matches!(system.exists(Path::new(ARMED)), Ok(true))
}

/// Of what somebody sees who only looks.
#[must_use]
pub fn book(look: &Look) -> Book {
    use crate::journal::Error as Trouble;
    match (&look.trouble, &look.state, &look.plan) {
        (Some(Error::Journal(cause)), ..) if matches!(**cause, Trouble::OtherVersion { .. }) => {
            Book::OtherVersion
        }
        (Some(Error::Stale { .. }), ..) => Book::Foreign,
        (Some(trouble), ..) if !look.is_readable(trouble) => Book::Damaged,
        (_, Some(state), frozen) => {
            let plan = frozen.as_ref().map(|frozen| &*frozen.plan);
            Book::Sound(Known::of(state, plan))
        }
        (_, None, _) => Book::Missing,
    }
}

/// Images that are as they were when they were seen to hold the plan are not looked into again.
#[must_use]
pub fn known_images(state: &State) -> &[BootImage] {
    if state.armed { &state.images } else { &[] }
}

/// Which system is root: held against the plan, as names alone say nothing.
#[must_use]
pub fn running(survey: &Survey, top: &Root, plan: &Plan) -> Seen {
    let old = present_root(top, plan);
    match survey.old_root.as_str() {
        now if now == plan.root_subvolume() => Seen::New,
        now if now == old.trim_matches('/') => Seen::Old,
        _ => Seen::Another,
    }
}

/// Whether the boot loader by itself named the root that is mounted; without `subvol=` it names
/// the default subvolume.
#[must_use]
pub fn loader_agrees(survey: &Survey, top: &Root) -> bool {
    let text = survey.system.read_text(Path::new("proc/cmdline"));
    let text = text.unwrap_or_default();
    let line = CommandLine::parse(&text);
    let choice = choice(line.value("rootflags").unwrap_or_default());
    let named = match (choice.name, choice.number) {
        (Some(name), _) => return name == survey.old_root,
        (None, Some(number)) => number.parse().ok().map(or_top_level),
        (None, None) => btrfs::default_subvolume(top).ok(),
    };
    named.is_some() && named == id_of(top, &survey.old_root)
}

/// 0 is another word for it.
fn or_top_level(number: u64) -> u64 {
    if number == 0 { TOP_LEVEL } else { number }
}

fn id_of(top: &Root, name: &str) -> Option<u64> {
    if name.is_empty() {
        return Some(TOP_LEVEL);
    }
    let all = btrfs::list_subvolumes(top).ok()?;
    let ours = all.into_iter().find(|one| one.path == Path::new(name))?;
    Some(ours.id)
}

/// What the images are that the boot loader can load: those that its path leads to from the top
/// level, else those of the running system (a /boot of its own). Without a digest it is asked
/// whether they hold any plan.
#[must_use]
pub fn images(
    system: &Root,
    along: Option<(&Root, &Plan)>,
    digest: Option<&str>,
    known: &[BootImage],
) -> Images {
    let read = along.and_then(|(top, plan)| {
        let root = top.within(&plan.old_system.path("")).ok()?;
        let found = boot_images(&root).ok().filter(|found| !found.is_empty())?;
        Some(all_of(system, &root, &found, digest, known))
    });
    read.unwrap_or_else(|| match boot_images(system) {
        Ok(found) => all_of(system, system, &found, digest, known),
        Err(_) => Images::Unknown,
    })
}

fn all_of(
    system: &Root,
    root: &Root,
    found: &[BootImage],
    digest: Option<&str>,
    known: &[BootImage],
) -> Images {
    let mut all: Option<Images> = None;
    for image in found {
        let one = match known.contains(image) {
            true => Images::Armed,
            false => match held(system, root, image, digest) {
                Ok(Held::Plan) => Images::Armed,
                Ok(Held::Nothing) => Images::Ordinary,
                Ok(Held::Something) => Images::Mixed,
                Err(cause) => {
                    log::info!("{cause}");
                    Images::Unknown
                }
            },
        };
        all = Some(match all {
            None => one,
            Some(Images::Unknown) => Images::Unknown,
            Some(all) if all == one || one == Images::Unknown => one,
            Some(_) => Images::Mixed,
        });
    }
    all.unwrap_or(Images::Unknown)
}
