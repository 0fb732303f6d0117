//! What was decided about the old system when its deletion was begun, as long as that is under way:
//! whoever goes on with it asks nobody.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::Error;
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
    /// Changes up to this transaction were looked at: there was none, or it may go.
    #[serde(default)]
    pub(super) known: BTreeMap<String, u64>,
    /// Trees that stay, by their paths at the commit.
    #[serde(default)]
    pub(super) kept: BTreeMap<String, Vec<String>>,
}

impl Decided {
    pub(super) fn read(top: &Root) -> Result<Self, Error> {
        let note = Path::new(NOTE);
        if !top.exists(note)? {
            return Ok(Self::default());
        }
        Ok(parse::document(NOTE, &top.read(note)?)?)
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

/// Takes the note away. Not durable before a sync.
pub(super) fn forget(top: &Root) -> Result<(), Error> {
    if top.exists(Path::new(NOTE))? {
        top.remove_file(Path::new(NOTE))?;
    }
    Ok(())
}
