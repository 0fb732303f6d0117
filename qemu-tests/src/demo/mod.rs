//! `cargo xtask demo`: a whole migration of a real Debian, with a power cut in its middle, and
//! the way back. Every claim is proved inside the guest; a missing proof is an error.

mod account;
mod timing;

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::expectations::attempts;
use crate::image;
use crate::machine::{Disk, Outcome};
use crate::power_cut::PowerCut;
use crate::proof::Verdict;
use crate::scenario::{
    Armed, Context, Proof, arm, cut_at_step, migrate, prove, prove_rolled_back, request_rollback,
};
use crate::workspace::Workspace;

use timing::Timing;

/// Everything the account is made of.
#[derive(Debug)]
struct Story {
    armed: Armed,
    cut_step: usize,
    cut: PowerCut,
    resumed: Outcome,
    proof: Proof,
    rollback: (Outcome, Outcome, Verdict),
    timing: Timing,
}

/// Runs it all and prints the account.
pub fn run(workspace: Workspace) -> Result<()> {
    let start = Instant::now();
    let say = |what: &str| println!("[{:6.1} s] {what}", start.elapsed().as_secs_f64());
    say("building the binary, its package and the guest's probe; finding the Debian image");
    let context = Context::prepare(workspace)?;
    say("booting Debian: dpkg -i, rootshift check, plan, arm, reboot");
    let armed = arm(&context, "demo-arm")?;
    say("migrating two forks of it, one with 200,000 more files, to compare their times");
    let timing = timing::measure(&context, &armed)?;
    let cut_step = armed.steps.div_ceil(2);
    say(&format!(
        "migrating, and cutting the power in step {cut_step} of {}",
        armed.steps
    ));
    let disk = context.place("demo", "disk.raw")?;
    let cut = cut_at_step(&context, "demo-cut", &armed, cut_step, &disk)?;
    say("power on again: resume, commit, restart");
    let disk = Disk::Raw(disk);
    let resumed = migrate(&context, "demo-resume", &disk, 2)?;
    say("booting the new system, and on a copy of the disk going back to the old one");
    let (proof, rollback) = both_ways(&context, &armed, &disk)?;
    ensure!(
        attempts(&proof.log_json)? > 1,
        "the journal knows of no second attempt"
    );
    let story = Story {
        armed,
        cut_step,
        cut,
        resumed,
        proof,
        rollback,
        timing,
    };
    println!();
    account::print(&story)?;
    timing::judge(&story.timing)?;
    say("done");
    Ok(())
}

/// The new system proves itself while a copy of it is rolled back; the two share nothing.
fn both_ways(
    context: &Context,
    armed: &Armed,
    disk: &Disk,
) -> Result<(Proof, (Outcome, Outcome, Verdict))> {
    let Disk::Raw(path) = disk else {
        anyhow::bail!("the migrated disk is a raw one")
    };
    let copy = context.place("demo-rollback", "disk.raw")?;
    image::copy(path, &copy)?;
    std::thread::scope(|scope| {
        let back = scope.spawn(|| roll_back(context, armed, &Disk::Raw(copy)));
        let proof = prove(context, "demo-proof", disk, armed).context("the new system");
        let back = back
            .join()
            .map_err(|_| anyhow::anyhow!("the rollback panicked"))?;
        Ok((proof?, back.context("the rollback")?))
    })
}

fn roll_back(context: &Context, armed: &Armed, disk: &Disk) -> Result<(Outcome, Outcome, Verdict)> {
    let asked = request_rollback(context, "demo-rollback", disk, 1)?;
    let (outcome, verdict) = prove_rolled_back(context, "demo-rolled-back", disk, armed)?;
    Ok((asked, outcome, verdict))
}
