//! Which points are booted.

use std::fmt;

use super::Selection;
use super::life::{Chapter, Life};
use crate::sweep::chance::Chance;

/// Where the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// In which chapter.
    pub chapter: Chapter,
    /// Right after which of its flushes.
    pub flush: usize,
    /// Whether some of the writes since are kept; none otherwise.
    pub subset: bool,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.subset { ":r0" } else { "" };
        write!(
            formatter,
            "boots:{}:{}{kept}",
            self.chapter.name(),
            self.flush
        )
    }
}

impl Point {
    /// Which of the writes since the flush are kept.
    pub(super) fn chance(self, seed: u64) -> Chance {
        Chance::of(seed, &self.to_string())
    }
}

/// The points that the seed chooses, every second one with some of the unflushed writes.
pub(super) fn chosen(life: &Life, selection: &Selection) -> Vec<Point> {
    let wanted = |chapter| selection.chapter.is_none_or(|only| only == chapter);
    let tapes = || life.tapes.iter().filter(|tape| wanted(tape.chapter));
    let shares: usize = tapes().map(|tape| tape.chapter.share()).sum();
    let mut chance = Chance::of(selection.seed, "boots");
    let mut points = Vec::new();
    for tape in tapes() {
        let count = (selection.boots * tape.chapter.share()).div_ceil(shares.max(1));
        let all: Vec<usize> = (0..tape.flushes.len()).collect();
        for flush in chance.pick(&all, count) {
            points.push(Point {
                chapter: tape.chapter,
                flush,
                subset: points.len() % 2 == 1,
            });
        }
    }
    points
}
