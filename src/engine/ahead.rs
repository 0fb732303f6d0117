//! Looking ahead: what the initramfs would do with a batch on this machine, by the code that it will
//! do it with, as far as nothing has to be changed for it.

use std::sync::Arc;

use super::kept::{Doubt, Found, clashes};
use super::others::context_of;
use super::phase::tolerates;
use super::preflight::{Finding, Preflight, finding};
use super::trial::refused_options;
use crate::bootchain::{MenuEntry, own_entries};
use crate::checks::{MountedFilesystem, Outcome};
use crate::documents::parse::SIZE_LIMIT;
use crate::documents::plan::PlannedStep;
use crate::documents::{Action, CheckSpec, Layout, Plan};
use crate::steps;
use crate::sys::{Root, btrfs};

/// What stands in the way of what stays as it is.
#[must_use]
pub fn of_kept(found: &Found, layout: &Layout, old_root: &str) -> Vec<Finding> {
    const NAME: &str = "every subvolume has one place";
    let mut doubts: Vec<Doubt> = found.doubts.clone();
    doubts.extend(clashes(&found.kept, layout, old_root));
    if doubts.is_empty() {
        return vec![finding(NAME, Ok(Outcome::Pass))];
    }
    let failed = doubts.into_iter();
    let failed = failed.map(|doubt| Ok(Outcome::fail(doubt.problem, doubt.remedy)));
    failed.map(|outcome| finding(NAME, outcome)).collect()
}

/// What the steps of this plan would fail at. What another finding says already is not repeated.
#[must_use]
pub fn of_steps(
    plan: &Plan,
    top: &Root,
    others: &Arc<Vec<MountedFilesystem>>,
    known: &Preflight,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let failed = |check: &CheckSpec| {
        let mut known = known.findings.iter();
        known.any(|one| one.blocks() && one.check.as_ref() == Some(check))
    };
    for (step, decides) in steps_of(plan) {
        if told_by(&step.action).iter().any(failed) {
            continue;
        }
        let Err(problem) = foresee(plan, top, others, step) else {
            continue;
        };
        let outcome = Outcome::fail(problem, "mend that, then run it again");
        let mut found = finding(&format!("step {}", step.id), Ok(outcome));
        found.required = decides;
        findings.push(found);
    }
    if findings.is_empty() {
        findings.push(finding("the steps can be carried out", Ok(Outcome::Pass)));
    }
    findings
}

/// All steps, and whether the failure of each is one of the run: not where the batch lets it pass, or
/// has something to try then.
fn steps_of(plan: &Plan) -> Vec<(&PlannedStep, bool)> {
    let mut steps = Vec::new();
    for phase in &plan.phases {
        let decides = !tolerates(plan, phase);
        for step in phase.viscripts.iter().flat_map(|script| &script.steps) {
            steps.push((step, decides && step.on_failure.is_empty()));
        }
    }
    steps
}

fn foresee(
    plan: &Plan,
    top: &Root,
    others: &[MountedFilesystem],
    step: &PlannedStep,
) -> Result<(), String> {
    let context = context_of(plan, top, others, step).map_err(|error| error.to_string())?;
    let foreseen = steps::of(&step.action).foresee(&context);
    foreseen.map_err(|error| error.to_string())
}

/// The checks that look at what this kind of step would fail at.
fn told_by(step: &Action) -> Vec<CheckSpec> {
    match step {
        Action::Snapshot(_) => vec![CheckSpec::NestedSubvolumes {}],
        Action::PromoteDirectory(_) | Action::VacateDirectory(_) | Action::PlaceSubvolume(_) => {
            vec![CheckSpec::NamesFree {}]
        }
        Action::WriteGrubDefaults(_) | Action::WriteGrubConfig(_) | Action::SwitchBootPath(_) => {
            vec![CheckSpec::BootLoader {}]
        }
        Action::BackUpFile(_) | Action::WriteFstab(_) | Action::ClearStaging(_) => vec![],
    }
}

/// A plan that is longer than any document may be could be frozen and never read.
#[must_use]
pub fn of_length(plan: &Plan) -> Option<Finding> {
    let length = plan.to_bytes().ok()?.len();
    if length <= SIZE_LIMIT {
        return None;
    }
    let count = plan.old_system.nested.len() + plan.old_system.entries.len();
    let problem = format!(
        "the plan would have {length} bytes, and {SIZE_LIMIT} is all that is read: it names {count} \
         subvolumes and entries of the top level"
    );
    let remedy = "move some of the subvolumes that `rootshift plan` names to another file system, or \
                  delete those that nobody needs";
    let name = "the plan can be frozen";
    Some(finding(name, Ok(Outcome::fail(problem, remedy))))
}

/// Menu entries that people wrote for the system as it is: `finalize` waits until they are changed.
#[must_use]
pub fn of_menus(plan: &Plan, system: &Root) -> Option<Finding> {
    // Another root's name leads to the new system.
    let is_flat = plan.old_system.root.is_empty();
    let entries = own_entries(system, &plan.filesystem)
        .ok()
        .filter(|_| is_flat)?;
    let is_old = |entry: &&MenuEntry| entry.loads.root.as_ref() == Some(&plan.old_system.root);
    let entry = entries.iter().find(is_old)?;
    let new = plan.root_subvolume();
    let problem = format!(
        "\"{}\" in /{} boots this system as it is, and stays as it is written",
        entry.loads.title,
        entry.file.display()
    );
    let remedy = format!(
        "once the new system runs, give it the paths /{new}/… and rootflags=subvol={new}, or take \
         it out, and run `update-grub`: `rootshift finalize` waits for that"
    );
    let mut said = finding(
        "menu entries of your own",
        Ok(Outcome::fail(problem, remedy)),
    );
    said.required = false;
    Some(said)
}

/// Mount options of the new fstab that the running kernel refuses; nothing where it can't be asked.
#[must_use]
pub fn of_options(plan: &Plan, top: &Root) -> Option<Finding> {
    const NAME: &str = "the kernel takes the mount options";
    // A fstab that can't be read is said by the step that rewrites it.
    let refused = refused_options(top, plan).ok()?;
    if refused.is_empty() {
        return None;
    }
    let problem = format!("the running kernel's btrfs refuses {}", refused.join(", "));
    let remedy = "take them out of /etc/fstab and of the batch's layout";
    Some(finding(NAME, Ok(Outcome::fail(problem, remedy))))
}

/// Read-only snapshots that get another id: said, for a chain of `btrfs send` begins anew there.
/// What can't be asked (a name that is no text) stands in the way by itself.
#[must_use]
pub fn of_read_only(plan: &Plan, top: &Root) -> Option<Finding> {
    let nested = plan.old_system.nested.iter();
    let infos = nested.map(|path| btrfs::subvolume_info(top, &plan.old_system.path(path)));
    let count = infos.flatten().filter(|info| info.read_only).count();
    if count == 0 {
        return None;
    }
    let mut said = finding(
        "read-only snapshots",
        Ok(Outcome::fail(
            format!(
                "{count} are carried over, read-only, what they were received as included, under \
                 new ids"
            ),
            "nothing has to be done; the next `btrfs send -p` from one that was made here is to be \
             a whole one",
        )),
    );
    said.required = false;
    Some(said)
}
