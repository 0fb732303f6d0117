//! The cut sweep: a migration's whole life is recorded as writes and flushes of its disk, and the
//! power cut at every instant of it.
//!
//! After each cut the disk is what an honest device keeps: all that was flushed, and any subset
//! of the rest. The shipped binary goes on from there at boot mode, until the machine is at rest.

pub mod boots;
pub(crate) mod chance;
pub(crate) mod disk;
pub(crate) mod fuse;
pub(crate) mod host;
pub(crate) mod judge;
pub(crate) mod life;
mod point;
mod recorder;
pub(crate) mod records;
mod report;
#[path = "../../../tests/common/sample.rs"]
mod sample;
pub(crate) mod served;
pub(crate) mod shown;
pub(crate) mod tape;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use rootshift::sys::mount;

use crate::run::is_root;
use crate::workspace::Workspace;
use crate::{package, setup};
use host::Setting;
use life::Life;
pub use life::Phase;
use point::Extent;
pub use point::Point;
pub use report::Tally;
use work::{Job, Sweep};

/// What to sweep.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The kind of old system: `a` or `rootfs`.
    pub way: String,
    /// How many points with one cut; all without.
    pub points: Option<usize>,
    /// Subsets of the writes that were not flushed, at each flush.
    pub reorder: usize,
    /// Only torn writes: the last one after each flush, at each of its sectors.
    pub torn: bool,
    /// Decides all that is left to chance.
    pub seed: u64,
    /// Only this phase.
    pub phase: Option<Phase>,
    /// Only this point.
    pub only: Option<Point>,
    /// A program with this bug built in, instead of the shipped one.
    pub mutant: Option<String>,
    /// Only the closing table is printed.
    pub quiet: bool,
    /// This program, with all commands in it, instead of the shipped ones.
    pub binary: Option<PathBuf>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            way: "a".to_owned(),
            points: None,
            reorder: 4,
            torn: false,
            seed: 1,
            phase: None,
            only: None,
            mutant: None,
            quiet: false,
            binary: None,
        }
    }
}

/// Sweeps, and prints what it found. What is red is in the tally.
pub fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    ensure!(is_root(), "the cut sweep mounts disks: run it as root");
    setup::prepare(workspace)?;
    let (binary, tools) = match (&selection.binary, &selection.mutant) {
        (Some(binary), _) => (binary.clone(), binary.clone()),
        (None, Some(name)) => {
            let mutant = package::mutant(workspace, name)?;
            (mutant.clone(), mutant)
        }
        (None, None) => (package::binary(workspace)?, package::tools(workspace)?),
    };
    // Nobody else holds on to what is mounted here.
    mount::private_namespace()?;
    let folder = host::folder_in_memory()?;
    let setting = Arc::new(Setting {
        binary,
        tools,
        kind: life::kind_of(&selection.way)?,
        folder: folder.clone(),
    });
    let swept = sweep(&setting, selection);
    _ = std::fs::remove_dir_all(folder);
    swept
}

/// Each bug on purpose, and how little it takes to find it: phase, points, subsets.
const MUTANTS: [(&str, Phase, Option<usize>, usize); 3] = [
    ("skip-sync", Phase::Migrate, Some(60), 1),
    ("flip-early", Phase::Migrate, None, 0),
    ("write-in-place", Phase::Restore, None, 1),
];

/// Sweeps the programs with a bug on purpose: each has to be found.
pub fn find_mutants(workspace: &Workspace) -> Result<()> {
    let mut missed = Vec::new();
    for (name, phase, points, reorder) in MUTANTS {
        let selection = Selection {
            points,
            reorder,
            phase: Some(phase),
            mutant: Some(name.to_owned()),
            quiet: true,
            ..Selection::default()
        };
        match run(workspace, &selection)?.first_failure() {
            Some(first) => println!("ok   the mutant {name} is found, first at {first}"),
            None => missed.push(name),
        }
    }
    ensure!(missed.is_empty(), "not found: {}", missed.join(", "));
    Ok(())
}

fn sweep(setting: &Arc<Setting>, selection: &Selection) -> Result<Tally> {
    let start = Instant::now();
    let life = Life::record(setting)?;
    let recorded = start.elapsed();
    let extent = Extent {
        points: selection.points,
        reorder: selection.reorder,
        torn: selection.torn,
        phase: selection.phase,
        seed: selection.seed,
    };
    let jobs = jobs(&life, extent, selection.only);
    report::beginning(&life, &jobs, recorded);
    let sweep = Sweep {
        setting,
        life: &life,
        seed: selection.seed,
    };
    let start = Instant::now();
    let count = AtomicUsize::new(0);
    let tell = |ended: &work::Ended| {
        let done = count.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(500) {
            println!(
                "cut-sweep: {done} points after {:.0} s",
                start.elapsed().as_secs_f64()
            );
        }
        if !selection.quiet {
            report::one(ended, selection);
        }
    };
    let ended = sweep.run(&jobs, &tell)?;
    let tally = Tally::of(&life, &ended, start.elapsed());
    tally.print(selection);
    if ended.is_empty() {
        bail!("no point was swept");
    }
    Ok(tally)
}

fn jobs(life: &Life, extent: Extent, only: Option<Point>) -> Vec<Job> {
    match only {
        Some(point) if point.again.is_some() => vec![Job::Twice(point)],
        Some(point) => vec![Job::Once(point)],
        None => {
            let points = point::once(life, extent);
            let twice = point::to_cut_again(&points, extent.seed);
            let twice = twice.into_iter().map(Job::Twice);
            points.into_iter().map(Job::Once).chain(twice).collect()
        }
    }
}
