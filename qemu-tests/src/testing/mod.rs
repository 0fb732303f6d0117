//! `cargo xtask test`: everything that can be red, in stages, with one closing line.

mod bench;
mod cargo;
mod cases;
mod pool;

use std::str::FromStr;

use anyhow::{Result, bail};

use crate::scenario::Context;
use crate::workspace::Workspace;
use crate::{package, setup};

pub use bench::Bench;

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
    /// Machine cases whose name contains this or, with commas, one of these; implies the machine tier.
    pub case: Option<String>,
    /// Every cut at every fault point, and more machine cases.
    pub thorough: bool,
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

fn ended<T>(work: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    work.join()
        .unwrap_or_else(|_| bail!("a part of the preparation panicked"))
}

/// The shipped binary is static and small enough.
fn size(workspace: &Workspace) -> Tally {
    let checked = package::check_size(workspace);
    match &checked {
        Ok(bytes) => println!("ok   size of the shipped binary: {bytes} bytes"),
        Err(error) => println!("FAIL size of the shipped binary: {error:#}"),
    }
    Tally::from(checked.is_ok())
}

/// Runs what is selected; an error when anything is red. The last line on standard output is
/// `N passed, N failed`.
pub fn run(workspace: Workspace, selection: &Selection) -> Result<()> {
    let wanted = |tier| match (&selection.case, selection.tier) {
        (Some(_), _) => tier == Tier::Machine,
        (None, chosen) => chosen.is_none_or(|chosen| chosen == tier),
    };
    let mut tally = Tally::default();
    let tools = setup::prepare(&workspace)?;
    std::thread::scope(|scope| -> Result<()> {
        // Image, package and cargo-deny are made, and a machine is armed, while the tests are
        // compiled and run.
        let prepare = || {
            let bench = Bench::new(Context::with_tools(workspace.clone(), tools)?);
            if selection.case.is_none() {
                bench.armed()?;
            }
            Ok(bench)
        };
        let bench = wanted(Tier::Machine).then(|| scope.spawn(prepare));
        let deny = wanted(Tier::Unit).then(|| scope.spawn(|| cargo::deny(&workspace)));
        if wanted(Tier::Unit) {
            tally.add(cargo::unit(&workspace)?);
        }
        if wanted(Tier::Loop) {
            tally.add(cargo::on_loop_devices(&workspace, selection.thorough)?);
            tally.add(cargo::cut_sweep(&workspace)?);
            tally.add(cargo::faults(&workspace)?);
            tally.add(cargo::machines(&workspace)?);
        }
        if let Some(deny) = deny {
            tally.add(ended(deny)?);
        }
        if let Some(bench) = bench {
            let bench = ended(bench)?;
            tally.add(size(&bench.context.workspace));
            let case = selection.case.as_deref();
            tally.add(cases::run(&bench, case, selection.thorough));
        }
        Ok(())
    })?;
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
