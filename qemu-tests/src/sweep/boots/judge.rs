//! A cut disk, booted until it is at rest, and held against what was before.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::life::{Chapter, LIMIT, Life, NOTES, disk_at};
use super::point::Point;
use crate::expectations::{ROLLED_BACK, VALIDATED, stage};
use crate::image::{self, AttachedDisk};
use crate::machine::{Disk, End, TaskRun};
use crate::proof::Verdict;
use crate::run::{run, tool};
use crate::scenario::{Context, part, told};
use crate::task::{REBOOTING, Task};

/// A machine whose arming was cut off is armed again; one whose arming was not migrates.
const ARM_AGAIN: &str = r#"
if [ "$(findmnt --noheadings --output FSROOT /)" = / ]; then
    echo "@@ cut"
    rm -rf /var/tmp/mkinitramfs[_-]* # Debian's own, which a cut leaves there
    ./guest-probe compare flat NOTES
    echo "@@ again"
    rootshift status
    rootshift arm --yes || { rootshift disarm && rootshift arm --yes; } || exit 1
    ./guest-probe record NOTES || exit 1
    echo "@@ end"
    exit 100
fi
"#;
const FINALIZE: &str = "
rootshift status
rootshift status --json | grep -q '\"finalized\"' || rootshift finalize --yes || exit 1
";
const LOOK: &str = r#"
echo "@@ root"
findmnt --noheadings --output FSROOT /
echo "@@ status"
rootshift status --json
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
if [ "$(findmnt --noheadings --output FSROOT /)" = /@ ]; then
    echo "@@ new"
    ./guest-probe compare subvolumes NOTES
fi
if [ CHAPTER != finalize ]; then
    echo "@@ old"
    ./guest-probe compare flat NOTES
fi
echo "@@ end"
exit 0
"#;
/// What `rootshift arm` changes, and `finalize` changes back; a cut leaves some of it changed.
const CHANGED_BY_ARMING: [&str; 5] = [
    "initrd.img",
    "var/lib/initramfs-tools",
    "var/lib/rootshift",
    "\"var/lib\":",
    "var/tmp",
];

/// Boots the point until it is at rest; where that is.
pub(super) fn judge(
    context: &Context,
    life: &Life,
    point: Point,
    seed: u64,
    worker: usize,
) -> Result<String> {
    let name = format!("sweep-boot-{worker}");
    let disk = context.place(&name, "disk.raw")?;
    let notes = context.place(&name, "notes.raw")?;
    image::copy(&life.notes, &notes)?;
    let mut chance = point.chance(seed);
    let mut keep = || point.subset && chance.below(2) == 0;
    disk_at(life.tape(point.chapter)?, point.flush, &mut keep, &disk)?;
    let mut machine = context.machine(&name, &Disk::Raw(disk.clone()));
    machine.processors = 1;
    machine.notes = Some(notes);
    machine.reboots = true;
    machine.limit = LIMIT;
    let before = match point.chapter {
        Chapter::Arm => ARM_AGAIN,
        Chapter::Finalize => FINALIZE,
        Chapter::Migrate | Chapter::Trial | Chapter::RollBack => "",
    };
    let script = format!("{before}{LOOK}");
    let script = script
        .replace("NOTES", NOTES)
        .replace("CHAPTER", point.chapter.name());
    let outcome = context.run(machine, &Task::new(script).file(&context.probe))?;
    outcome.expect(&End::PoweredOff)?;
    let (last, before) = outcome.tasks.split_last().context("no task was run")?;
    for task in before {
        ensure!(
            task.exit == Some(REBOOTING),
            "it ended with:\n{}",
            task.output
        );
        cut_while_arming(task)?;
    }
    ensure!(last.exit == Some(0), "it ended with:\n{}", last.output);
    let rests = at_rest(point.chapter, last)?;
    check(&disk)?;
    Ok(format!("{rests}, {} restarts", outcome.resets))
}

/// Only what arming itself writes may differ.
fn cut_while_arming(task: &TaskRun) -> Result<()> {
    only_armed_or_disarmed(&told(&part(task, "cut")?)?)
}

/// Whether a line of the probe's is about what arming writes.
fn is_of_arming(shown: &str) -> bool {
    CHANGED_BY_ARMING.iter().any(|known| shown.contains(known))
}

fn only_armed_or_disarmed(verdict: &Verdict) -> Result<()> {
    for section in &verdict.sections {
        let all_shown = section.shown.len() == section.different;
        let strange = section.shown.iter().find(|shown| !is_of_arming(shown));
        ensure!(
            all_shown && strange.is_none(),
            "these differ:\n  {}",
            section.shown.join("\n  ")
        );
    }
    Ok(())
}

fn at_rest(chapter: Chapter, task: &TaskRun) -> Result<String> {
    let root = part(task, "root")?;
    let root = root.trim();
    let stage = stage(&part(task, "status")?)?;
    let fits = match (chapter, root, stage.as_str()) {
        (Chapter::Finalize, "/@", "finalized") => true,
        (Chapter::Finalize, ..) => false,
        (Chapter::RollBack, "/", stage) => stage == ROLLED_BACK,
        (_, "/@", stage) => stage == VALIDATED,
        _ => false,
    };
    ensure!(fits, "it is {stage} with root on {root}");
    let failed = part(task, "failed")?;
    ensure!(failed.is_empty(), "failed units: {failed}");
    for (name, wanted) in [("new", root == "/@"), ("old", chapter != Chapter::Finalize)] {
        if wanted {
            let verdict = told(&part(task, name)?)?;
            match chapter {
                // It makes the images ordinary.
                Chapter::Finalize => only_armed_or_disarmed(&verdict)?,
                _ => ensure!(verdict.is_clean(), "the {name} system: {verdict:#?}"),
            }
        }
    }
    Ok(format!("{stage} on {root}"))
}

fn check(disk: &Path) -> Result<()> {
    let attached = AttachedDisk::new(disk)?;
    let mut check = tool("btrfs");
    check.args(["check", "--readonly"]);
    run(check.arg(attached.root_partition()))
}

#[cfg(test)]
mod tests {
    use super::is_of_arming;

    #[test]
    fn what_arming_writes_is_known_and_nothing_beside_it() {
        for known in [
            r#"missing "var/lib/rootshift/armed""#,
            r#"changed "var/lib": modified 1795374699.540000000 -> 1795371858.963929414"#,
            r#"changed "boot/initrd.img-6.1.0-50-cloud-amd64": content a -> b"#,
        ] {
            assert!(is_of_arming(known), "{known}");
        }
        for strange in [
            r#"changed "etc/fstab": content a -> b"#,
            r#"missing "var/lib/dpkg/status""#,
        ] {
            assert!(!is_of_arming(strange), "{strange}");
        }
    }
}
