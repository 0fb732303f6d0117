//! The account that a newcomer reads.

use anyhow::Result;

use super::Story;
use super::timing::MORE;
use crate::expectations::{open_step, seconds_before_root};
use crate::machine::Outcome;
use crate::proof::Verdict;
use crate::scenario::part;

pub(super) fn print(story: &Story) -> Result<()> {
    layouts(story)?;
    boots(story)?;
    way_back(story);
    times(story)?;
    println!("Journal of the migration");
    story
        .proof
        .log
        .lines()
        .for_each(|line| println!("  {line}"));
    verdict(story);
    Ok(())
}

fn layouts(story: &Story) -> Result<()> {
    println!("Layout before");
    part(story.armed.said()?, "layout")?
        .lines()
        .for_each(|line| println!("  {line}"));
    println!("Layout after");
    story
        .proof
        .layout
        .lines()
        .for_each(|line| println!("  {line}"));
    println!();
    Ok(())
}

fn boots(story: &Story) -> Result<()> {
    println!("Boots");
    boot(
        1,
        &story.armed.outcome,
        "Debian: dpkg -i, check, plan, arm, reboot",
    );
    boot(
        2,
        &story.cut.outcome,
        &format!(
            "migration; POWER CUT when the console showed step {} of {}: {} unflushed writes lost, {} kept",
            story.cut_step, story.armed.steps, story.cut.lost, story.cut.kept
        ),
    );
    let took = seconds_before_root(&story.resumed)?;
    let open = open_step(&story.resumed).unwrap_or("no step");
    let resumed = format!("{open} was open: resumed, committed, restarted ({took:.2} s of work)");
    boot(3, &story.resumed, &resumed);
    boot(
        4,
        &story.proof.outcome,
        "the new system by its own GRUB path: validated, compared",
    );
    println!();
    Ok(())
}

fn way_back(story: &Story) {
    let (asked, back, verdict) = &story.rollback;
    println!("Back again, on a copy of the disk");
    boot(5, asked, "the new system: rootshift rollback, reboot");
    boot(6, back, "the old system is root");
    files("old system after the rollback", verdict);
    println!();
}

fn times(story: &Story) -> Result<()> {
    let timing = &story.timing;
    println!("Work before root was mounted");
    println!("  {:8.3} s  the image as it is", timing.plain);
    println!(
        "  {:8.3} s  with {MORE} more files: {:.2} times",
        timing.many,
        timing.ratio()
    );
    println!();
    Ok(())
}

fn verdict(story: &Story) {
    println!();
    println!("Proved inside the guest");
    println!(
        "  {} steps planned, the same {} in the journal",
        story.armed.steps, story.proof.steps
    );
    files("new system", &story.proof.new);
    files("old system, untouched beside it", &story.proof.old);
    println!();
    println!(
        "VERDICT: every file is intact in the new system, in the old one, and after the rollback."
    );
}

fn boot(number: usize, outcome: &Outcome, what: &str) {
    let seconds = outcome.elapsed.as_secs_f64();
    println!(
        "  {number}  {seconds:6.1} s  {:<11}  {what}",
        outcome.end.to_string()
    );
}

fn files(what: &str, verdict: &Verdict) {
    println!(
        "  {} files equal in everything, {} not: {what}",
        verdict.same(),
        verdict.different()
    );
}
