//! What is said: a line for each red point with the command that repeats it, and a table.

use std::time::Duration;

use super::scene::PHASES;
use super::trouble::{Full, Kind, Trouble};
use super::{CHECKED, Ended, Selection};

/// Points from line to line about how far it is.
const TOLD: usize = 250;

/// What came of a phase.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    /// Of each kind of a device's faults.
    device: [usize; Kind::ALL.len()],
    /// Data, metadata.
    disk: [usize; Full::ALL.len()],
    /// The fault was never come to, or mended by the file system: nothing to be seen.
    came_through: usize,
    /// The kernel left a name half deleted.
    half_deleted: usize,
    failed: usize,
    longest: Duration,
}

impl Row {
    fn take(&mut self, one: &Ended) {
        match one.point.trouble {
            Trouble::Device(fault) => {
                let same = |kind: &Kind| *kind == fault.kind;
                let index = Kind::ALL.iter().position(same);
                self.device[index.unwrap_or_default()] += 1;
            }
            Trouble::Disk { full, .. } => self.disk[usize::from(full == Full::Metadata)] += 1,
        }
        match &one.ended {
            Ok(passed) => {
                self.came_through += usize::from(passed.came_through);
                self.half_deleted += usize::from(passed.half_deleted);
                self.longest = self.longest.max(passed.took);
            }
            Err(_) => self.failed += 1,
        }
    }

    fn add(&mut self, other: Self) {
        for (sum, more) in self.device.iter_mut().zip(other.device) {
            *sum += more;
        }
        for (sum, more) in self.disk.iter_mut().zip(other.disk) {
            *sum += more;
        }
        self.came_through += other.came_through;
        self.half_deleted += other.half_deleted;
        self.failed += other.failed;
        self.longest = self.longest.max(other.longest);
    }

    fn points(self) -> usize {
        self.device.iter().chain(&self.disk).sum()
    }

    fn print(self, name: &str) {
        let counts = self.device.iter().chain(&self.disk);
        let counts: Vec<String> = counts.map(usize::to_string).collect();
        println!(
            "| {name} | {} | {} | {} | {} | {} | {:.1} s |",
            counts.join(" | "),
            self.points(),
            self.came_through,
            self.half_deleted,
            self.failed,
            self.longest.as_secs_f64()
        );
    }
}

/// What came of all.
#[derive(Debug, Clone)]
pub struct Tally {
    rows: Vec<(&'static str, Row)>,
    total: Row,
    took: Duration,
}

impl Tally {
    /// Counts.
    pub(super) fn of(ended: &[Ended], took: Duration) -> Self {
        let mut rows = Vec::new();
        let mut total = Row::default();
        for phase in PHASES {
            let mut row = Row::default();
            let own = ended.iter().filter(|one| one.point.phase == phase);
            own.for_each(|one| row.take(one));
            total.add(row);
            rows.push((phase.name(), row));
        }
        Self { rows, total, took }
    }

    /// Points that are red.
    pub fn failed(&self) -> usize {
        self.total.failed
    }

    pub(super) fn print(&self, selection: &Selection) {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        println!(
            "| phase | {} | data full | metadata full | points | came through | half deleted | failures | longest |",
            kinds.join(" | ")
        );
        println!("|---{}|", "|---".repeat(kinds.len() + 7));
        let tried = |(_, row): &&(&str, Row)| row.points() > 0;
        for (name, row) in self.rows.iter().filter(tried) {
            row.print(name);
        }
        self.total.print("all");
        let (points, seconds) = (self.total.points(), self.took.as_secs_f64());
        println!(
            "faults: {points} points, {} failures, {seconds:.1} s, {:.3} s a point; `btrfs check` at one in \
             {CHECKED}; way {}, seed {}",
            self.total.failed,
            seconds / points.max(1) as f64,
            selection.way,
            selection.seed
        );
    }
}

/// A red point, with the command that repeats it.
pub(super) fn one(ended: &Ended, selection: &Selection) {
    let Err(error) = &ended.ended else {
        return;
    };
    let line: String = error.replace('\n', " / ").chars().take(1500).collect();
    println!(
        "FAIL {}: {line} [cargo xtask faults --way {} --only {}]",
        ended.point, selection.way, ended.point
    );
}

/// A line for every so many points.
pub(super) fn progress(done: usize, took: Duration) {
    if done.is_multiple_of(TOLD) {
        println!("faults: {done} points after {:.0} s", took.as_secs_f64());
    }
}
