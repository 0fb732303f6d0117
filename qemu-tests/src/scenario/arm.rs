//! Installing and arming, inside the guest, as a user does it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Context, part};
use crate::expectations::planned_steps;
use crate::machine::{Disk, End, Outcome, TaskRun, fork};
use crate::proof::NOTES_SIZE;
use crate::task::{REBOOTING, Task};
use crate::{image, run};

const SCRIPT: &str = r#"
set -e
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ install"
dpkg --install ./*.deb
echo "@@ before"
DO_BEFORE
echo "@@ check"
rootshift check
echo "@@ plan"
rootshift plan
echo "@@ plan.json"
rootshift plan --json
echo "@@ arm"
DO_ARM
echo "@@ then"
DO_THEN
echo "@@ record"
./guest-probe record /dev/disk/by-id/virtio-notes
echo "@@ end"
exit 100
"#;

/// What else is done in the guest that arms itself.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// A script after the installation.
    pub before: &'a str,
    /// The command that arms.
    pub arm: &'a str,
    /// A script before the reboot.
    pub then: &'a str,
}

impl Default for Wishes<'_> {
    fn default() -> Self {
        Self {
            before: "",
            arm: "rootshift arm --yes",
            then: "",
        }
    }
}

/// An armed machine, switched off.
#[derive(Debug, Clone)]
pub struct Armed {
    /// Its raw disk.
    pub disk: PathBuf,
    /// The manifest of the old system, taken in the guest right before its reboot.
    pub notes: PathBuf,
    /// The boot that armed it.
    pub outcome: Outcome,
    /// What `plan --json` said.
    pub plan: String,
    /// The number of its steps.
    pub steps: usize,
}

impl Armed {
    /// What the guest printed.
    pub fn said(&self) -> Result<&TaskRun> {
        self.outcome.task(REBOOTING)
    }

    /// The line that says where its root was when it was armed.
    pub fn root_line(&self) -> Result<String> {
        let layout = part(self.said()?, "layout")?;
        let line = layout
            .lines()
            .find(|line| line.split_whitespace().next() == Some("/"));
        let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        Ok(words.join(" "))
    }

    /// A copy of the notes, for the machine of this name: two guests can't share a disk.
    pub fn copy_notes(&self, context: &Context, name: &str) -> Result<PathBuf> {
        let copy = context.place(name, "notes.raw")?;
        image::copy(&self.notes, &copy)?;
        Ok(copy)
    }

    /// A fork of the disk, for the machine of this name.
    pub fn fork(&self, context: &Context, name: &str) -> Result<Disk> {
        fork(
            &context.tools.qemu,
            &self.disk,
            &context.place(name, "disk.qcow2")?,
        )
    }
}

/// Boots a copy of the image, installs the package with dpkg, checks, plans, arms, reboots.
pub fn arm(context: &Context, name: &str) -> Result<Armed> {
    arm_copy_of(context, &context.image, name)
}

/// The same with another image than the context's.
pub fn arm_copy_of(context: &Context, image: &Path, name: &str) -> Result<Armed> {
    arm_as_wished(context, image, name, Wishes::default())
}

/// The same with more work in the guest.
pub fn arm_as_wished(context: &Context, image: &Path, name: &str, wishes: Wishes) -> Result<Armed> {
    let script = SCRIPT
        .replace("DO_BEFORE", wishes.before)
        .replace("DO_ARM", wishes.arm)
        .replace("DO_THEN", wishes.then);
    let disk = context.place(name, "disk.raw")?;
    let notes = context.place(name, "notes.raw")?;
    image::copy(image, &disk)?;
    _ = std::fs::remove_file(&notes);
    run::run(
        run::tool("truncate")
            .args(["--size", &NOTES_SIZE.to_string()])
            .arg(&notes),
    )?;
    let task = Task::new(script).file(&context.deb).file(&context.probe);
    let mut machine = context.machine(name, &Disk::Raw(disk.clone()));
    machine.notes = Some(notes.clone());
    let outcome = context.run(machine, &task)?;
    // The task's own words say more than the way the machine ended.
    let task = outcome.task(REBOOTING)?;
    outcome.expect(&End::Reset)?;
    let plan = part(task, "plan.json")?;
    let steps = planned_steps(&plan).context("read the plan")?.len();
    Ok(Armed {
        disk,
        notes,
        plan,
        steps,
        outcome,
    })
}
