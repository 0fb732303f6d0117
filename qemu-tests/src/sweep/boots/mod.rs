//! The sample of the cut sweep that really boots: a Debian in a virtual machine, its disk's writes
//! recorded from arming to finalizing, cut at flushes that a seed chooses, and booted through GRUB.
//!
//! The sweep on loop devices has every flush of rootshift's own; this one has those of the images
//! being made, of systemd and of the journal besides, and the whole boot chain.

mod judge;
mod life;
mod point;

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::scenario::Context;
use crate::workers::{caught, share_out};
use crate::workspace::Workspace;
pub use life::Chapter;
use life::Life;
pub use point::Point;

/// Guests that run at once: one for each core, one processor each.
const WORKERS: usize = 2;

/// What to boot.
#[derive(Debug, Clone)]
pub struct Selection {
    /// How many points, shared out among the chapters.
    pub boots: usize,
    /// Decides which.
    pub seed: u64,
    /// Only this chapter.
    pub chapter: Option<Chapter>,
}

/// Records a life, boots the chosen points, and prints a line for each and a table.
pub fn run(workspace: &Workspace, selection: &Selection) -> Result<()> {
    ensure!(selection.boots > 0, "--boots 0: there is nothing to do");
    let start = Instant::now();
    let context = Context::prepare(workspace.clone())?;
    let life = Life::record(&context)?;
    println!(
        "cut-sweep: recorded {} flushes in {:.0} s",
        life.flushes(),
        start.elapsed().as_secs_f64()
    );
    let points = point::chosen(&life, selection);
    let boot = |worker: &usize, index: usize| {
        let point = points.get(index).copied().into_iter();
        let booted = point.map(|point| {
            (
                point,
                boot_one(&context, &life, point, selection.seed, *worker),
            )
        });
        booted.collect()
    };
    let ended = share_out(points.len(), WORKERS, &Ok, &boot)?;
    print_table(&life, &ended, start.elapsed().as_secs());
    let red = ended.iter().filter(|(_, good)| !good).count();
    ensure!(red == 0, "{red} points failed");
    Ok(())
}

fn boot_one(context: &Context, life: &Life, point: Point, seed: u64, worker: usize) -> bool {
    let start = Instant::now();
    let judged = caught(|| judge::judge(context, life, point, seed, worker));
    let seconds = start.elapsed().as_secs_f64();
    match &judged {
        Ok(rests) => println!("ok   {point}: {rests} ({seconds:.0} s)"),
        Err(error) => println!("FAIL {point} --seed {seed} ({seconds:.0} s)\n{error:#}"),
    }
    judged.is_ok()
}

fn print_table(life: &Life, ended: &[(Point, bool)], seconds: u64) {
    println!("| chapter | flushes | points | failures |");
    println!("|---|---|---|---|");
    for tape in &life.tapes {
        let ours = ended
            .iter()
            .filter(|(point, _)| point.chapter == tape.chapter);
        let red = ours.clone().filter(|(_, good)| !good).count();
        let flushes = tape.flushes.len();
        println!(
            "| {} | {flushes} | {} | {red} |",
            tape.chapter.name(),
            ours.count()
        );
    }
    let red = ended.iter().filter(|(_, good)| !good).count();
    println!("{} points booted, {red} failures, {seconds} s", ended.len());
}
