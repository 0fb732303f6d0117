//! What is said: a line for each machine that fails with the command that repeats it, and a table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Selection;
use super::life::End;
use super::machine::Machine;
use super::violation::{Kind, Violation};

/// How a machine ended.
#[derive(Debug)]
pub struct Ended {
    pub index: usize,
    pub machine: Machine,
    pub end: Option<End>,
    pub violation: Option<Violation>,
    /// Lives that making it smaller took.
    pub tries: usize,
}

/// What came of all.
#[derive(Debug, Clone)]
pub struct Tally {
    ends: BTreeMap<&'static str, usize>,
    kinds: BTreeMap<&'static str, usize>,
    first: Option<String>,
    took: Duration,
}

impl Tally {
    /// Counts.
    pub(super) fn of(mut all: Vec<Ended>, took: Duration) -> Self {
        all.sort_by_key(|ended| ended.index);
        let mut tally = Self {
            ends: BTreeMap::new(),
            kinds: BTreeMap::new(),
            first: None,
            took,
        };
        for ended in &all {
            if let Some(end) = ended.end {
                *tally.ends.entry(end.name()).or_default() += 1;
            }
            if let Some(violation) = &ended.violation {
                *tally.kinds.entry(violation.kind.name()).or_default() += 1;
                let (number, machine) = (ended.index + 1, &ended.machine);
                let first = || format!("machine {number}, {machine}: {}", short(violation, 200));
                tally.first.get_or_insert_with(first);
            }
        }
        tally
    }

    /// The first machine that failed.
    pub fn first_failure(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Machines that failed.
    pub fn failed(&self) -> usize {
        self.kinds.values().sum()
    }

    /// Machines that did not.
    pub fn passed(&self) -> usize {
        self.ends.values().sum()
    }

    pub(super) fn print(&self, selection: &Selection) {
        for (name, count) in &self.ends {
            println!("  {count:6}  {name}");
        }
        for (name, count) in &self.kinds {
            println!("  {count:6}  FAILED: {name}");
        }
        let (machines, seconds) = (self.passed() + self.failed(), self.took.as_secs_f64());
        println!(
            "machines: {machines} machines, {} failures, {seconds:.0} s, {:.2} s a machine, seed {}",
            self.failed(),
            seconds / machines.max(1) as f64,
            selection.seed
        );
    }
}

/// A machine that failed, with the command that repeats it.
pub(super) fn one(ended: &Ended, selection: &Selection) {
    let Some(violation) = &ended.violation else {
        return;
    };
    let mutant = selection.mutant.as_ref();
    let mutant = mutant.map(|name| format!(" --mutant {name}"));
    let own = if violation.kind == Kind::Harness {
        " (the harness itself)"
    } else {
        ""
    };
    println!(
        "FAIL machine {}{own}, made smaller in {} lives: {}\n     cargo xtask machines{} --only '{}'",
        ended.index + 1,
        ended.tries,
        short(violation, 1500),
        mutant.unwrap_or_default(),
        ended.machine
    );
}

/// A line now and then.
pub(super) fn progress(done: usize, start: Instant) {
    if done.is_multiple_of(50) {
        let seconds = start.elapsed().as_secs_f64();
        println!("machines: {done} after {seconds:.0} s");
    }
}

fn short(violation: &Violation, characters: usize) -> String {
    let line = violation.to_string().replace('\n', " / ");
    line.chars().take(characters).collect()
}
