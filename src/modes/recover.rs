//! `rootshift recover`: says what a crashed or killed command left behind, and tidies it up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Error;
use super::status::Told;
use crate::cli::{Exit, Recover};
use crate::engine::home::Migration;
use crate::engine::look::Look;
use crate::engine::recover::{Leftover, Machine, at_work, leftovers, remove_places, tidy};
use crate::engine::survey::Survey;
use crate::engine::{self, others};
use crate::report::{page, print};
use crate::sys::{Root, mount, process};

/// What is mounted here is at once taken out of sight again: a mount table of one's own would hide
/// the leftovers that are to be unmounted.
const MOUNT_AT: &str = "/run/rootshift/recover";

pub(super) fn run(options: &Recover) -> Result<Exit, Error> {
    if !process::effective_user_is_root() {
        return Err(Error::NotRoot);
    }
    let mut survey = Survey::of(Path::new("/"))?;
    if let Some(other) = at_work(&survey)? {
        return not_now(&format!(
            "another rootshift is at work (process {other}); wait for it to end"
        ));
    }
    mount_top(&mut survey)?;
    let mut migration = migration(&survey)?;
    let mut machine = Machine {
        survey: &survey,
        migration: migration.as_mut(),
    };
    let found = leftovers(&mut machine)?;
    let outcome = act(options, &mut machine, &found)?;
    drop(migration); // its lock, before somebody else looks
    if !options.dry_run {
        remove_places(&survey);
    }
    let look = survey.top.as_ref().map_or_else(Look::default, Look::at);
    let told = Told::of(&survey, look, None);
    if options.json {
        let done = matches!(outcome, Outcome::Tidy | Outcome::Left);
        let found: Vec<Value> = found.iter().map(as_json).collect();
        print::json(&json!({ "found": found, "done": done, "status": told.as_json()? }));
    } else if !found.is_empty() {
        print::line("");
        told.print();
    }
    // A journal that can't be used is told, and is the failure, as for `rootshift status`.
    told.end()?;
    Ok(outcome.exit())
}

fn as_json(one: &Leftover) -> Value {
    json!({
        "kind": one.kind(),
        "what": one.what(),
        "act": one.act(),
        "by_hand": one.by_hand(),
    })
}

fn not_now<T>(why: &str) -> Result<T, Error> {
    Err(engine::Error::NotNow(why.to_owned()).into())
}

fn mount_top(survey: &mut Survey) -> Result<(), Error> {
    let Some(device) = survey.device().filter(|_| survey.identity.is_some()) else {
        return Ok(());
    };
    let at = Path::new(MOUNT_AT);
    survey.system.create_directories(at, 0o700)?;
    mount::mount_top_level(&device, at)?;
    let top = Root::open(at);
    let_go(&survey.system, at)?;
    survey.top = Some(top?);
    Ok(())
}

/// The mount lives on as long as somebody has it open.
fn let_go(system: &Root, at: &Path) -> Result<(), Error> {
    mount::detach(at)?;
    Ok(system.remove_directory(at)?)
}

/// None without a journal, or with one that can't be used: that is told at the end.
fn migration(survey: &Survey) -> Result<Option<Migration>, Error> {
    let Some(top) = &survey.top else {
        return Ok(None);
    };
    let mut migration = match Migration::open(top) {
        Ok(Some(migration)) => migration,
        Err(busy) if busy.is_busy() => return Err(busy.into()),
        Ok(None) => return Ok(None),
        // What somebody who only looks can read is no journal to do without.
        Err(why) if Look::at(top).trouble.is_none() => return Err(why.into()),
        Err(_) => return Ok(None),
    };
    let base = Path::new(MOUNT_AT);
    let system = &survey.system;
    let there = others::mount_of_plan(system, migration.plan(), base, Duration::ZERO);
    for number in 1..=migration.plan().other_filesystems.len() {
        let at = others::numbered(base, number);
        if system.exists(&at)? {
            // Nothing is mounted where the file system is missing.
            mount::detach(&at).ok();
            system.remove_directory(&at)?;
        }
    }
    migration.others = Arc::new(there);
    Ok(Some(migration))
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing was found, or all of it is tidy.
    Tidy,
    /// Something is left, to be seen to by hand.
    Left,
    /// Only looked.
    Looked,
    /// The answer was no.
    Declined,
    /// An act failed.
    Failed,
}

impl Outcome {
    fn exit(self) -> Exit {
        match self {
            Self::Tidy => Exit::Success,
            Self::Left | Self::Looked => Exit::NotWell,
            Self::Declined => Exit::NotNow,
            Self::Failed => Exit::Failure,
        }
    }
}

fn act(options: &Recover, machine: &mut Machine, found: &[Leftover]) -> Result<Outcome, Error> {
    if found.is_empty() {
        if !options.json {
            print::line("Nothing to tidy up.");
        }
        return Ok(Outcome::Tidy);
    }
    if !options.json {
        tell(found);
    }
    let mut doable = found.iter().filter(|one| one.act().is_some()).peekable();
    if options.dry_run {
        return Ok(Outcome::Looked);
    }
    if doable.peek().is_none() {
        return Ok(Outcome::Left);
    }
    if !options.yes && !print::confirmed("Tidy up?") {
        print::error("nothing was changed");
        return Ok(Outcome::Declined);
    }
    let mut all_done = true;
    for one in doable {
        match tidy(machine, one) {
            Ok(()) if options.json => {}
            Ok(()) => print::line(&format!("Done: {}.", one.act().unwrap_or_default())),
            Err(cause) => {
                all_done = false;
                print::error(&format!("{}: {cause}", one.act().unwrap_or_default()));
            }
        }
    }
    Ok(
        match (all_done, found.iter().all(|one| one.act().is_some())) {
            (false, _) => Outcome::Failed,
            (true, true) => Outcome::Tidy,
            (true, false) => Outcome::Left,
        },
    )
}

fn tell(found: &[Leftover]) {
    for one in found {
        page::section("Found", &[one.what()]);
        match one.act() {
            Some(act) => page::section("", &[format!("-> {act}")]),
            None => {
                page::section("", &["-> left alone; by hand:".to_owned()]);
                page::to_copy(&one.by_hand());
            }
        }
    }
}
