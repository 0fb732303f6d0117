//! A point of the sweep: where the power is cut, once or twice.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use super::chance::Chance;
use super::life::{Life, Phase};
use super::tape::{Instant, Left};

/// Points of each phase that a small sweep has at least.
const LEAST: usize = 3;

/// Where the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    /// In which phase.
    pub phase: Phase,
    /// When.
    pub cut: Instant,
    /// When in what follows the first cut.
    pub again: Option<Instant>,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.phase, self.cut)?;
        match self.again {
            None => Ok(()),
            Some(again) => write!(formatter, "+{again}"),
        }
    }
}

impl FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || format!("{text}: a point is written as migrate:7:r1, or migrate:7+3:t0");
        let (phase, cuts) = text.split_once(':').with_context(wrong)?;
        let (cut, again) = match cuts.split_once('+') {
            Some((cut, again)) => (cut, Some(again.parse()?)),
            None => (cuts, None),
        };
        Ok(Self {
            phase: phase.parse()?,
            cut: cut.parse()?,
            again,
        })
    }
}

/// What a sweep goes through.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How many points with one cut; all without.
    pub points: Option<usize>,
    /// Subsets of what was not flushed, at each flush.
    pub reorder: usize,
    /// Only the last write after each flush, torn at each of its sectors.
    pub torn: bool,
    /// Only this phase.
    pub phase: Option<Phase>,
    /// Decides which subsets, which torn sectors, and which points.
    pub seed: u64,
}

/// Points with one cut, in the order of a life.
pub fn once(life: &Life, extent: Extent) -> Vec<Point> {
    let mut all = Vec::new();
    let wanted = |phase: Phase| extent.phase.is_none_or(|only| only == phase);
    for (phase, tape) in life.tapes.iter().filter(|(phase, _)| wanted(*phase)) {
        let instants = match extent.torn {
            true => tape.torn_everywhere(),
            false => tape.instants(extent.reorder, extent.seed, phase.name()),
        };
        let point = |cut| Point {
            phase: *phase,
            cut,
            again: None,
        };
        all.push(instants.into_iter().map(point).collect::<Vec<Point>>());
    }
    let total: usize = all.iter().map(Vec::len).sum();
    let wanted = extent.points.unwrap_or(total);
    let mut chance = Chance::of(extent.seed, "points");
    let mut chosen = Vec::new();
    for points in all {
        let share = (points.len() * wanted).div_ceil(total.max(1));
        chosen.extend(chance.pick(&points, share.max(LEAST)));
    }
    chosen
}

/// The points whose resume is cut as well: every twentieth, two at least.
pub fn to_cut_again(points: &[Point], seed: u64) -> Vec<Point> {
    let whole: Vec<Point> = points
        .iter()
        .filter(|point| !matches!(point.cut.left, Left::Torn(_)))
        .copied()
        .collect();
    Chance::of(seed, "again").pick(&whole, (points.len() / 20).max(2))
}

#[cfg(test)]
mod tests {
    use super::Point;

    #[test]
    fn a_point_is_read_as_it_is_written() {
        for text in [
            "migrate:7",
            "arm:0:r3",
            "give-up-new:12:t0",
            "rollback:7:r1+3:r0",
        ] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
        for text in ["migrate", "nothing:1", "migrate:x", "migrate:1+"] {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
