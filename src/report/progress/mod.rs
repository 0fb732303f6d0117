//! Progress: which step of how many, how much of it is done, how long the rest will take.
//!
//! [`Progress`] keeps count and says when something is worth showing; a [`Sink`] shows it: a line
//! that is redrawn on a terminal, lines elsewhere, the kernel log, the splash screen.

mod note;
mod render;
mod sink;

pub use note::noted;
pub use render::{amount, words};
pub use sink::{for_boot, for_long_work, for_terminal};

use crate::sys::clock;

/// No forecast before so many milliseconds: the first steps say little.
const FORECAST_AFTER: u64 = 2_000;
/// Nor before one part in so many is done.
const FORECAST_FROM: u128 = 10;
/// A step's weight in parts, so that a step can be partly done.
const PARTS: u128 = 1_000;

/// How much of a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Units done.
    pub done: u64,
    /// Units in all, where that is known.
    pub of: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// What is counted within a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Files, directories and the like.
    Entries,
}

/// What there is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// The phase that runs; empty when there are none.
    pub phase: &'a str,
    /// The step that runs.
    pub step: &'a str,
    /// Its number, from 1.
    pub number: usize,
    /// Steps in all, where that is known.
    pub steps: Option<usize>,
    /// How much of the step is done, where the step says it.
    pub part: Option<Part>,
    /// How much of all is done, 0 to 100, where a total is known.
    pub percent: Option<u64>,
    /// A forecast, where there is ground for one.
    pub seconds_left: Option<u64>,
}

/// Shows progress. Failing to is nobody's failure.
pub trait Sink: Send {
    /// Milliseconds that lie at least between two moments of the same step. A new step is always
    /// shown.
    fn interval(&self) -> u64;

    /// Shows it.
    fn show(&mut self, moment: &Moment);

    /// Takes away what should not stay.
    fn finish(&mut self) {}
}

/// Counts steps and their parts. Tells its sinks, each no more often than it wants.
pub struct Progress {
    sinks: Vec<(Box<dyn Sink>, u64)>,
    weights: Vec<u32>,
    clock: fn() -> u64,
    phase: String,
    step: String,
    number: usize,
    part: Option<Part>,
    /// When the first step was shown, and where that stood.
    start: Option<(u64, u128)>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Progress");
        debug.field("step", &self.step).finish_non_exhaustive()
    }
}

impl Progress {
    /// Progress through as many steps as there are weights; a step of weight 2 is expected to
    /// take twice as long as one of weight 1. Without weights the total is unknown.
    #[must_use]
    pub fn new(weights: Vec<u32>, sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            sinks: sinks.into_iter().map(|sink| (sink, 0)).collect(),
            weights,
            clock: clock::monotonic_milliseconds,
            phase: String::new(),
            step: String::new(),
            number: 0,
            part: None,
            start: None,
        }
    }

    /// Progress that nobody looks at.
    #[must_use]
    pub fn hidden() -> Self {
        Self::new(Vec::new(), Vec::new())
    }

    /// Whether anybody looks: else nothing need be counted.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.sinks.is_empty()
    }

    /// A step begins; all before it are done. Its number starts at 1 and may leap, as in a run
    /// that is resumed.
    pub fn step(&mut self, phase: &str, number: usize, step: &str) {
        phase.clone_into(&mut self.phase);
        step.clone_into(&mut self.step);
        self.number = number;
        self.part = None;
        self.tell(true);
    }

    /// So much of the step is done.
    pub fn part(&mut self, part: Part) {
        if self.part != Some(part) {
            self.part = Some(part);
            self.tell(false);
        }
    }

    /// All is done, or nothing more will be told.
    pub fn finish(&mut self) {
        for (sink, _) in &mut self.sinks {
            sink.finish();
        }
    }

    fn tell(&mut self, is_new: bool) {
        let now = (self.clock)();
        let position = self.position();
        let start = *self.start.get_or_insert((now, position));
        let total = sum(&self.weights) * PARTS;
        let moment = Moment {
            phase: &self.phase,
            step: &self.step,
            number: self.number,
            steps: Some(self.weights.len()).filter(|steps| *steps > 0),
            part: self.part,
            percent: (position * 100)
                .checked_div(total)
                .and_then(|percent| u64::try_from(percent.min(100)).ok()),
            seconds_left: forecast(start, (now, position), total),
        };
        for (sink, shown_at) in &mut self.sinks {
            if is_new || now.saturating_sub(*shown_at) >= sink.interval() {
                sink.show(&moment);
                *shown_at = now;
            }
        }
    }

    /// What is done, in parts of weights.
    fn position(&self) -> u128 {
        let before = self.number.saturating_sub(1).min(self.weights.len());
        let whole = sum(self.weights.get(..before).unwrap_or_default());
        let weight = self.weights.get(before).copied().unwrap_or(0);
        let part = self.part.and_then(|part| {
            let done = u128::from(part.done.min(part.of?));
            (done * PARTS * u128::from(weight)).checked_div(u128::from(part.of?))
        });
        whole * PARTS + part.unwrap_or(0)
    }
}

fn sum(weights: &[u32]) -> u128 {
    weights.iter().map(|weight| u128::from(*weight)).sum()
}

/// Seconds left, if the rest goes on as what was done since the start. Each point in time is
/// milliseconds and the position then.
fn forecast(start: (u64, u128), now: (u64, u128), total: u128) -> Option<u64> {
    let elapsed = now.0.saturating_sub(start.0);
    let done = now.1.saturating_sub(start.1);
    let left = total.saturating_sub(now.1);
    let from_start = total.saturating_sub(start.1);
    if elapsed < FORECAST_AFTER || done == 0 || done * FORECAST_FROM < from_start {
        return None;
    }
    let milliseconds = u128::from(elapsed) * left / done;
    u64::try_from(milliseconds.div_ceil(1000)).ok()
}

#[cfg(test)]
mod tests;
