//! A moment as text.

use super::{Moment, Part, Unit};
use crate::report::{print, units};

/// `[ 3/15] the step`: the form that never changes, for the log.
pub(super) fn step(moment: &Moment) -> String {
    let number = moment.number;
    match moment.steps {
        Some(steps) => format!("[{number:>2}/{steps}] {}", moment.step),
        None => format!("[{number:>2}] {}", moment.step),
    }
}

/// Everything in one line of at most `width` characters: the phase only where there is room, and
/// the end cut off where there is not enough. Names from documents can't move the cursor.
pub(super) fn line(moment: &Moment, width: usize) -> String {
    let mut head = step(&Moment {
        step: "",
        ..*moment
    })
    .trim_end()
    .to_owned();
    if let Some(percent) = moment.percent {
        head.push_str(&format!(" {percent:>3} %"));
    }
    if let Some(left) = moment.seconds_left {
        head.push_str(&format!(", {} left", units::rough(left)));
    }
    let what = match moment.part {
        Some(part) => format!("{}, {}", moment.step, amount(part)),
        None => moment.step.to_owned(),
    };
    let with_phase = format!("{head}  {}: {what}", moment.phase);
    let fits = !moment.phase.is_empty() && with_phase.chars().count() <= width;
    let text = if fits {
        with_phase
    } else {
        format!("{head}  {what}")
    };
    print::fit(&text, width)
}

/// For a splash screen, whose reader knows no step by its name.
#[must_use]
pub fn words(moment: &Moment) -> String {
    let mut text = format!("rootshift: step {}", moment.number);
    if let Some(steps) = moment.steps {
        text.push_str(&format!(" of {steps}"));
    }
    if let Some(percent) = moment.percent {
        text.push_str(&format!(", {percent} %"));
    }
    if let Some(left) = moment.seconds_left {
        text.push_str(&format!(", {} left", units::rough(left)));
    }
    text
}

/// `1.5 GiB of 3.0 GiB`, `1200 of 5000 entries`.
#[must_use]
pub fn amount(part: Part) -> String {
    match (part.unit, part.of) {
        (Unit::Bytes, None) => units::bytes(part.done),
        (Unit::Bytes, Some(of)) => format!("{} of {}", units::bytes(part.done), units::bytes(of)),
        (Unit::Entries, None) => format!("{} entries", part.done),
        (Unit::Entries, Some(of)) => format!("{} of {of} entries", part.done),
    }
}
