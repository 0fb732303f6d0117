//! Whether the package may be removed: decided by what the next boot, and the one after it, need.

use super::home::Migration;
use super::{Error, Stage, State};
use crate::documents::plan::{HOME, STAGING};
use crate::sys::{Root, btrfs};
use std::path::Path;

/// What has to come before the package's files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Nothing.
    Free,
    /// The images are made ordinary, and what was prepared is taken back.
    Disarm,
    /// Something that is a person's to decide: why, and which command.
    Refused(&'static str),
}

const ON_TRIAL: &str = "the new system is on trial, and only rootshift can validate it or go back; \
    let it pass (`rootshift validate`) and run `rootshift finalize`, or run `rootshift rollback` \
    and reboot";
const VALIDATED: &str = "the old system is kept, and only rootshift can give it up or go back to \
    it; run `rootshift finalize`, or `rootshift rollback` and reboot";
const ON_THE_WAY_BACK: &str = "the next boot goes back to the old system, and only rootshift can \
    do that; reboot";
const FINALIZING: &str = "the old system is being deleted; wait until `rootshift status` says that \
    it is done, or run `rootshift finalize`";

/// What follows from the journal. `offered`: whether the next images take a plan.
#[must_use]
pub fn departure(state: &State, offered: bool) -> Departure {
    match state.stage {
        // What an arming that was cut off has left in the images is not recorded.
        Stage::Planned => Departure::Disarm,
        Stage::Armed | Stage::Preparing | Stage::Failed => {
            if state.armed || offered || state.has_work() {
                Departure::Disarm
            } else {
                Departure::Free
            }
        }
        // The steps of a migration that was rolled back count as done; their work is put aside.
        Stage::RolledBack | Stage::Disarmed | Stage::Finalized => {
            if state.armed || offered {
                Departure::Disarm
            } else {
                Departure::Free
            }
        }
        Stage::Committed => Departure::Refused(ON_TRIAL),
        Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => Departure::Refused(VALIDATED),
        Stage::RollbackRequested | Stage::RollingBack => Departure::Refused(ON_THE_WAY_BACK),
        Stage::Finalizing => Departure::Refused(FINALIZING),
    }
}

/// Where a copy of the program waits for `purge`, which runs when the package's files are gone.
pub const ASIDE: &str = "/var/lib/rootshift/purge";
const TOOLS: &str = "/usr/lib/rootshift/rootshift-tools";

/// Lays the program aside. Durable after a sync; without it `purge` leaves the journal.
///
/// # Errors
/// When it can't be written.
pub fn lay_aside(system: &Root) -> Result<(), Error> {
    let aside = Path::new(ASIDE);
    if let Some(folder) = aside.parent() {
        system.create_directories(folder, 0o755)?;
    }
    Ok(system.copy_file(Path::new(TOOLS), aside)?)
}

/// What rootshift has in its own place: nothing else is deleted with it.
const OWN: [&str; 5] = ["journal", "plan.json", "logs", "new", "decided"];

/// Deletes rootshift's own place at the top level, once nothing depends on the journal in it.
/// Returns why it stays, where it does. Durable when it returns.
///
/// # Errors
/// When it can't be looked at or deleted.
pub fn purge(top: &Root, filesystem: &str) -> Result<Option<String>, Error> {
    let home = Path::new(HOME);
    let Some(status) = top.status(home)? else {
        return Ok(None);
    };
    let is_ours = status.uid == 0 && status.mode & 0o022 == 0 && btrfs::is_subvolume(top, home)?;
    if !is_ours {
        return Ok(Some("it is not as rootshift made it".into()));
    }
    let Some(migration) = Migration::open(top)? else {
        return Ok(Some("it holds no journal".into()));
    };
    if let Some(why) = still_needed(&migration, filesystem) {
        return Ok(Some(why.into()));
    }
    for name in top.list(home)? {
        let name = name.to_string_lossy().into_owned();
        let first = name.split('.').next().unwrap_or_default();
        let staged = name == "new" && !top.list(Path::new(STAGING))?.is_empty();
        if staged || !(OWN.contains(&name.as_str()) || first == "journal") {
            return Ok(Some(format!("{HOME}/{name} is in it")));
        }
    }
    drop(migration);
    btrfs::delete_subvolume(top, home)?;
    top.sync_filesystem()?;
    Ok(None)
}

fn still_needed(migration: &Migration, filesystem: &str) -> Option<&'static str> {
    let state = migration.state();
    if migration.plan().filesystem.uuid != filesystem {
        return Some("its journal is another file system's");
    }
    if departure(state, false) != Departure::Free {
        return Some("its migration is under way");
    }
    if !state.kept.is_empty() {
        return Some("its journal says what the subvolumes *.rolled-back-N are");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Record;

    fn after(records: &[Record]) -> State {
        let started = Record::Started {
            batch_id: "b".into(),
            plan: "p".into(),
            program: "0".into(),
        };
        State::after(std::iter::once(&started).chain(records)).unwrap()
    }

    fn goes_back() -> Record {
        Record::RollbackBegun { reason: "r".into() }
    }

    #[test]
    fn what_a_boot_needs_stays() {
        let armed = || Record::Armed { images: vec![] };
        let validated = || Record::Validated {
            passed: 1,
            failed: 0,
            at: None,
            loader_named_root: None,
        };
        let asked = Record::RollbackRequested { reason: "r".into() };
        for (records, command) in [
            (vec![armed(), Record::Committed], "`rootshift validate`"),
            (
                vec![armed(), Record::Committed, validated()],
                "`rootshift finalize`",
            ),
            (vec![armed(), Record::Committed, asked], "reboot"),
            (vec![armed(), Record::Committed, goes_back()], "reboot"),
            (
                vec![
                    armed(),
                    Record::Committed,
                    validated(),
                    Record::FinalizeBegun,
                ],
                "`rootshift status`",
            ),
        ] {
            let Departure::Refused(why) = departure(&after(&records), true) else {
                panic!("{records:?}")
            };
            assert!(why.contains(command), "{why}");
        }
    }

    #[test]
    fn what_the_old_system_does_not_need_is_taken_back() {
        let armed = || Record::Armed { images: vec![] };
        let failed = || Record::Failed {
            step: "s".into(),
            error: "e".into(),
        };
        let back = || Record::RolledBack { kept: vec![] };
        for records in [
            vec![],
            vec![armed()],
            vec![armed(), Record::Attempt { number: 1 }],
            vec![armed(), failed()],
            vec![armed(), Record::Committed, goes_back(), back()],
        ] {
            assert_eq!(departure(&after(&records), false), Departure::Disarm);
        }
        let done = Record::Finalized { entries: 1 };
        for mut records in [
            vec![armed()],
            vec![armed(), failed()],
            vec![armed(), Record::Committed, goes_back(), back()],
            vec![armed(), Record::Committed, Record::FinalizeBegun, done],
        ] {
            records.push(Record::Disarmed);
            assert_eq!(departure(&after(&records), false), Departure::Free);
            // The next image would hold a plan all the same.
            assert_eq!(departure(&after(&records), true), Departure::Disarm);
        }
    }
}
