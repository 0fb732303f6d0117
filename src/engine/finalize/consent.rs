//! What was decided about the old system when its deletion was begun, as long as that is under way:
//! whoever goes on with it asks nobody.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::home::Migration;
use super::super::{Error, Stage};
use crate::documents::{json, parse};
use crate::sys::Root;

const NOTE: &str = ".rootshift/decided";

/// What is to be done with what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Changed {
    /// Nothing is deleted while there is any.
    #[default]
    Refuse,
    /// It is deleted as well, if it is so many files and directories.
    Delete(u64),
    /// The trees in which it is stay whole, where they are.
    Keep,
}

/// The note, by file systems.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// The digest of the plan that it is about; empty in notes of before.
    #[serde(default)]
    plan: String,
    /// Changes up to this transaction were looked at: there was none, or it may go.
    #[serde(default)]
    pub(super) known: BTreeMap<String, u64>,
    /// Trees that stay, by their paths at the commit.
    #[serde(default)]
    pub(super) kept: BTreeMap<String, Vec<String>>,
}

impl Decided {
    /// What was decided for this migration. Until its deletion is recorded as begun that is
    /// nothing, whatever a cut has left: then it is asked again.
    pub(super) fn of(top: &Root, migration: &Migration) -> Result<Self, Error> {
        let note = Path::new(NOTE);
        let plan = &migration.frozen.digest;
        if migration.state().stage == Stage::Finalizing && top.exists(note)? {
            let decided: Self = parse::document(NOTE, &top.read(note)?)?;
            if decided.plan.is_empty() || decided.plan == *plan {
                return Ok(decided);
            }
        }
        Ok(Self {
            plan: plan.clone(),
            ..Self::default()
        })
    }

    /// Durable when it returns.
    pub(super) fn write(&self, top: &Root) -> Result<(), Error> {
        let text = json::text(self).unwrap_or_default();
        top.replace_private_file(Path::new(NOTE), &text)?;
        Ok(top.sync_filesystem()?)
    }

    pub(super) fn is_kept(&self, place: &str, path: &str) -> bool {
        let kept = self.kept.get(place);
        kept.is_some_and(|kept| kept.iter().any(|kept| kept == path))
    }

    pub(super) fn known(&self, place: &str) -> u64 {
        self.known.get(place).copied().unwrap_or(0)
    }
}

/// Takes the note away: to be called once the end is recorded, or another migration begins. Not
/// durable before a sync.
///
/// # Errors
/// When it can't be removed.
pub fn forget(top: &Root) -> Result<(), Error> {
    if top.exists(Path::new(NOTE))? {
        top.remove_file(Path::new(NOTE))?;
    }
    Ok(())
}
