//! `cargo xtask test`: everything that can be red, in stages, with one closing line.

mod cargo;
mod cases;
mod pool;

use std::str::FromStr;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

pub use cases::Bench;

/// A group of stages that need the same things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Style, lints, tests that need nothing.
    Unit,
    /// Tests on loop devices: root.
    Loop,
    /// Virtual machines: root.
    Machine,
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "unit" => Ok(Self::Unit),
            "loop" => Ok(Self::Loop),
            "machine" => Ok(Self::Machine),
            other => Err(format!("no tier \"{other}\": unit, loop or machine")),
        }
    }
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// One tier; all without.
    pub tier: Option<Tier>,
    /// Machine cases whose name contains this; implies the machine tier.
    pub case: Option<String>,
}

/// How many passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Green.
    pub passed: usize,
    /// Red.
    pub failed: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl From<bool> for Tally {
    fn from(good: bool) -> Self {
        Self {
            passed: usize::from(good),
            failed: usize::from(!good),
        }
    }
}

/// Runs what is selected; an error when anything is red. The last line on standard output is
/// `N passed, N failed`.
pub fn run(workspace: Workspace, selection: &Selection) -> Result<()> {
    let wanted = |tier| match (&selection.case, selection.tier) {
        (Some(_), _) => tier == Tier::Machine,
        (None, chosen) => chosen.is_none_or(|chosen| chosen == tier),
    };
    let mut tally = Tally::default();
    if wanted(Tier::Unit) {
        tally.add(cargo::unit(&workspace)?);
    }
    if wanted(Tier::Loop) {
        tally.add(cargo::on_loop_devices(&workspace)?);
    }
    if wanted(Tier::Machine) {
        tally.add(cases::run(workspace, selection.case.as_deref())?);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    match tally {
        Tally {
            passed: 0,
            failed: 0,
        } => bail!("nothing was run"),
        Tally { failed: 0, .. } => Ok(()),
        _ => bail!("something is red"),
    }
}
