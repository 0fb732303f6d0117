//! Generated machines: what Csmith is to compilers, for migrations.
//!
//! A machine is a seed, a set of features and a life: what it is, and what happens to it. It is
//! built on a loop device, and the program is driven through its life as its owner would, beside a
//! hostile user. What must hold is judged by programs that share no code with it: rsync, mount,
//! findmnt, GRUB's own reading of the disk, `btrfs check`. A machine that fails is made smaller
//! while it still fails in the same way.

mod act;
mod base;
mod bench;
mod booting;
mod features;
mod grub;
mod honest;
mod hostile;
mod life;
mod machine;
mod oracle;
mod report;
mod shell;
mod shrink;
mod violation;
mod world;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use rootshift::sys::mount;

use crate::run::is_root;
use crate::workers::{caught, one_a_processor, share_out};
use crate::workspace::Workspace;
use crate::{package, setup};
use bench::{Bench, Place};
pub use machine::Machine;
use report::Ended;
pub use report::Tally;
use violation::Violation;

/// Which machines.
#[derive(Debug, Clone)]
pub struct Selection {
    /// How many.
    pub points: usize,
    /// Decides which.
    pub seed: u64,
    /// Only this one.
    pub only: Option<Machine>,
    /// A program with this bug built in.
    pub mutant: Option<String>,
    /// This program, with all commands and fault points in it.
    pub binary: Option<PathBuf>,
    /// Stop at so many machines that fail.
    pub stop_after: usize,
    /// A machine that fails is printed as it is.
    pub keep_whole: bool,
    /// What each machine did is told as it does it.
    pub verbose: bool,
    /// How many at once.
    pub workers: Option<usize>,
}

/// Lives them all, and prints what came of it. What is red is in the tally.
///
/// # Errors
/// When a machine can't be built at all.
pub fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    ensure!(is_root(), "machines are mounted: run it as root");
    setup::prepare_for_machines()?;
    let program = match (&selection.binary, &selection.mutant) {
        (Some(binary), _) => binary.clone(),
        (None, Some(name)) => package::mutant_with_fault_points(workspace, name)?,
        (None, None) => package::fault_binary(workspace)?,
    };
    // Nobody else holds on to what is mounted here.
    mount::private_namespace()?;
    let place = Place::new(workspace, &program)?;
    let lived = live(&place, selection);
    place.leave();
    lived
}

fn live(place: &Place, selection: &Selection) -> Result<Tally> {
    let start = Instant::now();
    let found = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let count = selection.only.as_ref().map_or(selection.points, |_| 1);
    let begin = |number: usize| Bench::new(place, number, selection.verbose);
    let work = |bench: &Bench, index: usize| {
        if found.load(Ordering::Relaxed) >= selection.stop_after {
            return Vec::new();
        }
        let machine = match &selection.only {
            Some(machine) => machine.clone(),
            None => Machine::random(selection.seed, index),
        };
        let ended = one(bench, machine, index, selection);
        if ended.violation.is_some() {
            found.fetch_add(1, Ordering::Relaxed);
            report::one(&ended, selection);
        }
        report::progress(done.fetch_add(1, Ordering::Relaxed) + 1, start);
        vec![ended]
    };
    let workers = selection.workers.unwrap_or_else(one_a_processor);
    let workers = if count == 1 { 1 } else { workers };
    let ended = share_out(count, workers, &begin, &work)?;
    let tally = Tally::of(ended, start.elapsed());
    tally.print(selection);
    Ok(tally)
}

fn one(bench: &Bench, machine: Machine, index: usize, selection: &Selection) -> Ended {
    let lived = lived(bench, &machine);
    let (end, violation) = match lived {
        Ok(end) => (Some(end), None),
        Err(violation) => (None, Some(violation)),
    };
    let mut ended = Ended {
        index,
        machine,
        end,
        violation,
        tries: 0,
    };
    if !selection.keep_whole
        && bench.is_new_kind(ended.violation.as_ref())
        && let Some(violation) = ended.violation.clone()
    {
        let again = |machine: &Machine| lived_to(bench, machine);
        let small = shrink::shrink(&ended.machine, &violation, &again);
        ended.machine = small.machine;
        ended.violation = Some(small.violation);
        ended.tries = small.tries;
    }
    ended
}

/// How a machine's life ended, or what was violated in it. A panic of the harness is one as well.
fn lived(bench: &Bench, machine: &Machine) -> Result<life::End, Violation> {
    let lived = caught(|| life::live(bench, machine));
    bench.clear();
    lived.map_err(Violation::of)
}

fn lived_to(bench: &Bench, machine: &Machine) -> Option<Violation> {
    lived(bench, machine).err()
}

/// Each bug on purpose, and how many machines it may take.
const MUTANTS: [(&str, usize); 3] = [
    ("trash-by-name", 400),
    ("mounted-is-nested", 400),
    ("any-device", 400),
];

/// Lives machines with the programs that have a bug on purpose: each has to be found.
///
/// # Errors
/// When one is not.
pub fn find_mutants(workspace: &Workspace, selection: &Selection) -> Result<()> {
    let mut missed = Vec::new();
    for (name, points) in MUTANTS {
        let selection = Selection {
            points,
            mutant: Some(name.to_owned()),
            stop_after: 1,
            ..selection.clone()
        };
        match run(workspace, &selection)?.first_failure() {
            Some(first) => println!("ok   the mutant {name} is found: {first}"),
            None => missed.push(name),
        }
    }
    ensure!(missed.is_empty(), "not found: {}", missed.join(", "));
    Ok(())
}
