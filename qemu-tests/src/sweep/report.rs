//! What a sweep says: a line for each red point with the command that repeats it, and a table.

use std::time::Duration;

use super::Selection;
use super::life::{Life, Phase};
use super::tape::Left;
use super::work::{CHECKED, Ended, Job};

/// What came of a phase.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    flushes: usize,
    plain: usize,
    subsets: usize,
    torn: usize,
    mended: usize,
    twice: usize,
    failed: usize,
}

impl Row {
    fn add(&mut self, other: Self) {
        self.flushes += other.flushes;
        self.plain += other.plain;
        self.subsets += other.subsets;
        self.torn += other.torn;
        self.mended += other.mended;
        self.twice += other.twice;
        self.failed += other.failed;
    }

    fn points(self) -> usize {
        self.plain + self.subsets + self.torn + self.twice
    }

    fn print(self, name: &str) {
        println!(
            "| {name} | {} | {} | {} | {} ({}) | {} | {} | {} |",
            self.flushes,
            self.plain,
            self.subsets,
            self.torn,
            self.mended,
            self.twice,
            self.points(),
            self.failed
        );
    }
}

/// What came of a sweep.
#[derive(Debug, Clone)]
pub struct Tally {
    rows: Vec<(&'static str, Row)>,
    total: Row,
    took: Duration,
    first_failure: Option<String>,
}

impl Tally {
    /// Counts.
    pub(super) fn of(life: &Life, ended: &[Ended], took: Duration) -> Self {
        let mut rows = Vec::new();
        let mut total = Row::default();
        for (phase, tape) in &life.tapes {
            let mut row = row(*phase, ended);
            if row.points() > 0 {
                row.flushes = tape.flushes();
            }
            total.add(row);
            rows.push((phase.name(), row));
        }
        let red = ended.iter().find(|one| one.error.is_some());
        let first_failure = red.map(|one| {
            let error = one.error.clone().unwrap_or_default();
            format!("{}: {}", one.point, short(&error, 160))
        });
        Self {
            rows,
            total,
            took,
            first_failure,
        }
    }

    /// Points that are not red.
    pub fn passed(&self) -> usize {
        self.total.points() - self.total.failed
    }

    /// One that is red, and why.
    pub fn first_failure(&self) -> Option<&str> {
        self.first_failure.as_deref()
    }

    /// Points that are red.
    pub fn failed(&self) -> usize {
        self.total.failed
    }

    /// The table, and one line.
    pub(super) fn print(&self, selection: &Selection) {
        println!(
            "| phase | flushes | cuts at a flush | subsets | torn (superblock mended) | cut twice | points | failures |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let swept = |(_, row): &&(&str, Row)| row.points() > 0;
        for (name, row) in self.rows.iter().filter(swept) {
            row.print(name);
        }
        self.total.print("all");
        let points = self.total.points();
        let seconds = self.took.as_secs_f64();
        println!(
            "cut-sweep: {points} points, {} failures, {seconds:.1} s, {:.3} s a point; `btrfs check` at one in \
             {CHECKED}; way {}, reorder {}, seed {}",
            self.total.failed,
            seconds / points.max(1) as f64,
            selection.way,
            selection.reorder,
            selection.seed
        );
    }
}

fn row(phase: Phase, ended: &[Ended]) -> Row {
    let mut row = Row::default();
    for one in ended.iter().filter(|one| one.point.phase == phase) {
        let count = match (one.point.again, one.point.cut.left) {
            (Some(_), _) => &mut row.twice,
            (None, Left::Nothing) => &mut row.plain,
            (None, Left::Subset(_)) => &mut row.subsets,
            (None, Left::Torn(_)) => &mut row.torn,
        };
        *count += 1;
        row.mended += usize::from(one.mended);
        row.failed += usize::from(one.error.is_some());
    }
    row
}

/// What lies ahead.
pub(super) fn beginning(life: &Life, jobs: &[Job], recorded: Duration) {
    let flushes: usize = life.tapes.iter().map(|(_, tape)| tape.flushes()).sum();
    let once = jobs
        .iter()
        .filter(|job| matches!(job, Job::Once(_)))
        .count();
    println!(
        "cut-sweep: recorded {} phases with {flushes} flushes in {:.1} s; {once} points, and second cuts in \
         the resume of {}",
        life.tapes.len(),
        recorded.as_secs_f64(),
        jobs.len() - once
    );
}

/// A red point, with the command that repeats it.
pub(super) fn one(ended: &Ended, selection: &Selection) {
    let Some(error) = &ended.error else {
        return;
    };
    let mutant = selection.mutant.as_ref();
    let mutant = mutant
        .map(|name| format!(" --mutant {name}"))
        .unwrap_or_default();
    println!(
        "FAIL {}: {} [cargo xtask cut-sweep --way {} --seed {}{mutant} --only {}]",
        ended.point,
        short(error, 1500),
        selection.way,
        selection.seed,
        ended.point
    );
}

/// On one line, and not more of it than that.
fn short(error: &str, characters: usize) -> String {
    let line = error.replace('\n', " / ");
    line.chars().take(characters).collect()
}
