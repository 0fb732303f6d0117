//! What plan and journal say to somebody who only looks: nothing is held, nothing is written, and
//! what can't be used is told together with what can.

use std::path::Path;

use super::home::{FrozenPlan, foreign_plan};
use super::{Error, State};
use crate::documents::Plan;
use crate::documents::plan::{HOME, JOURNAL, PLAN};
use crate::journal::{Entry, Glance, Journal, Record};
use crate::sys::{self, Root, btrfs};

/// What can be read at a top level.
#[derive(Debug, Default)]
pub struct Look {
    /// The frozen plan; none when it can't be used.
    pub plan: Option<FrozenPlan>,
    /// What the journal's readable records say; none without a journal.
    pub state: Option<State>,
    /// The readable records, oldest first.
    pub entries: Vec<Entry>,
    /// Why the journal, or the plan beside it, can't be used.
    pub trouble: Option<Error>,
    /// Whether another process holds the journal: all this may change at any moment.
    pub held: bool,
}

impl Look {
    /// Looks. Never fails: what can't be read is its [`Look::trouble`].
    #[must_use]
    pub fn at(top: &Root) -> Self {
        let plan = plan(top);
        let journal = Path::new(JOURNAL);
        let bytes = match top.read(journal) {
            Ok(bytes) => bytes,
            Err(cause) => {
                let trouble = (!cause.is_not_found()).then(|| cause.into());
                let plan = plan.ok();
                return Self {
                    plan,
                    trouble,
                    ..Self::default()
                };
            }
        };
        let Glance {
            entries, problem, ..
        } = Glance::at(&top.path().join(journal), &bytes);
        let state = State::after(entries.iter().map(|entry| &entry.record));
        let journal_trouble = problem.map(Error::from);
        let (plan, plan_trouble) = match (plan, &state) {
            (Ok(plan), Some(state)) if plan.digest != state.plan => {
                (Some(plan), Some(foreign_plan()))
            }
            (Ok(plan), Some(state)) if !state.is_over() && is_of_another(top, &plan.plan) => {
                (Some(plan), Some(other_file_system()))
            }
            (Err(cause), Some(_)) => (None, Some(cause)),
            (plan, _) => (plan.ok(), None),
        };
        Self {
            plan,
            state,
            entries,
            trouble: journal_trouble
                .or(plan_trouble)
                .or_else(|| not_to_be_written(top)),
            held: matches!(Journal::is_held(top, journal), Ok(true)),
        }
    }

    /// The same where the top level itself can't be had.
    #[must_use]
    pub fn without(trouble: sys::Error) -> Self {
        Self {
            trouble: Some(trouble.into()),
            ..Self::default()
        }
    }

    /// Whether this trouble is only that no record can be added.
    #[must_use]
    pub fn is_readable(&self, trouble: &Error) -> bool {
        self.state.is_some()
            && matches!(trouble, Error::System(cause) if is_kept_from_writing(cause))
    }

    /// Whether the images hold a plan, by the journal.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.armed)
    }

    /// The version of rootshift that began the journal.
    #[must_use]
    pub fn begun_by(&self) -> Option<&str> {
        match &self.entries.first()?.record {
            Record::Started { program, .. } => Some(program),
            _ => None,
        }
    }
}

/// Why no record can be added, where somebody saw to that. What can't be seen is no reason.
fn not_to_be_written(top: &Root) -> Option<Error> {
    let locked = top.require_unlocked(Path::new(JOURNAL)).err();
    let why = locked.or_else(|| btrfs::require_writable(top, Path::new(HOME)).err());
    Some(why.filter(is_kept_from_writing)?.into())
}

fn is_kept_from_writing(cause: &sys::Error) -> bool {
    cause.is_not_permitted() || cause.is_read_only()
}

/// Whether it is for the file system that this one is a copy of, with a UUID of its own.
pub(super) fn is_of_another(top: &Root, plan: &Plan) -> bool {
    btrfs::filesystem(top).is_ok_and(|found| found.uuid != plan.filesystem.uuid)
}

fn other_file_system() -> Error {
    let reason = "the journal is another file system's: this one has another UUID, and no boot does \
                  anything";
    let remedy = "rootshift disarm --discard-journal";
    Error::Stale {
        reason: reason.into(),
        remedy,
    }
}

fn plan(top: &Root) -> Result<FrozenPlan, Error> {
    Ok(FrozenPlan::from_bytes(PLAN, &top.read(Path::new(PLAN))?)?)
}
