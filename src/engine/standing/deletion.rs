//! How far `finalize` is.

use serde::Serialize;

use crate::report::progress::{Part, amount};

/// A deletion of the old system that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deletion {
    /// Whether somebody is at work on it.
    pub running: bool,
    /// Entries deleted so far; null when nobody has said so since the boot.
    pub entries: Option<u64>,
    /// Of how many.
    pub of: Option<u64>,
}

impl Deletion {
    pub(super) fn of(part: Option<Part>, running: bool) -> Self {
        Self {
            running,
            entries: part.map(|part| part.done),
            of: part.and_then(|part| part.of),
        }
    }
}

pub(super) fn in_words(part: Option<Part>, running: bool) -> String {
    let amount = part.map(amount).unwrap_or_default();
    match (running, part) {
        (true, None) => "Deleting: at work now.".to_owned(),
        (true, Some(_)) => format!("Deleting: at work now, {amount}."),
        (false, None) => "Deleting: nobody is at work.".to_owned(),
        (false, Some(_)) => format!("Deleting: nobody is at work; stopped at {amount}."),
    }
}
