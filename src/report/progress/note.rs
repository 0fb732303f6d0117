//! How far it is, in a file for whoever asks while it runs.

use std::path::Path;

use super::{Moment, Part, Sink, Unit};
use crate::sys::Root;

/// Gone with the next boot.
const FILE: &str = "run/rootshift/progress";

/// Writes the amount into the file. What can't be written is left out.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) system: Root,
}

impl Sink for Noted {
    fn interval(&self) -> u64 {
        1_000
    }

    fn show(&mut self, moment: &Moment) {
        let text = match moment.part {
            None => "0\n".to_owned(),
            Some(Part { done, of: None, .. }) => format!("{done}\n"),
            Some(Part {
                done, of: Some(of), ..
            }) => format!("{done} {of}\n"),
        };
        self.system
            .replace_file(Path::new(FILE), text.as_bytes())
            .ok();
    }

    fn finish(&mut self) {
        self.system.remove_file(Path::new(FILE)).ok();
    }
}

/// The entries that were done of how many, by the file; `None` when nothing runs that writes it,
/// nor was cut off since the boot.
#[must_use]
pub fn noted(system: &Root) -> Option<Part> {
    let text = system.read_text(Path::new(FILE)).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let (done, of) = (numbers.next()?.ok()?, numbers.next().transpose().ok()?);
    let unit = Unit::Entries;
    Some(Part { done, of, unit })
}
