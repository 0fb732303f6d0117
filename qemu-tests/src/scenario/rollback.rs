//! Back to the old system.

use anyhow::{Result, ensure};

use super::prove::verdict;
use super::{Armed, Context, part};
use crate::expectations::{ROLLED_BACK, stage};
use crate::machine::{Disk, End, Outcome};
use crate::proof::Verdict;
use crate::task::{REBOOTING, Task};

const REQUEST: &str = "
set -e
rootshift rollback --yes
exit 100
";

const PROVE: &str = r#"
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ status"
rootshift status --json
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
echo "@@ old"
./guest-probe compare flat /dev/disk/by-id/virtio-notes
echo "@@ end"
"#;

/// Boots the new system and asks for the rollback in it, as a user does; ends with its reboot.
pub fn request_rollback(context: &Context, name: &str, disk: &Disk) -> Result<Outcome> {
    let mut machine = context.machine(name, disk);
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(REQUEST))?;
    outcome.task(REBOOTING)?;
    outcome.expect(&End::Reset)?;
    Ok(outcome)
}

/// Boots the old system again and proves it: root where it was, every file as it was.
pub fn prove_rolled_back(
    context: &Context,
    name: &str,
    disk: &Disk,
    armed: &Armed,
) -> Result<(Outcome, Verdict)> {
    let mut machine = context.machine(name, disk);
    machine.processors = 1;
    machine.notes = Some(armed.copy_notes(context, name)?);
    let outcome = context.run(machine, &Task::new(PROVE).file(&context.probe))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?.clone();
    let layout = part(&said, "layout")?;
    let before = armed.root_line()?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(
        layout.lines().any(|line| words(line) == before),
        "the root is not what it was, {before}:\n{layout}"
    );
    let stage = stage(&part(&said, "status")?)?;
    ensure!(
        stage == ROLLED_BACK,
        "the machine is {stage}, not {ROLLED_BACK}"
    );
    let failed = part(&said, "failed")?;
    ensure!(
        failed.is_empty(),
        "failed units in the old system: {failed}"
    );
    let verdict = verdict(&part(&said, "old")?)?;
    Ok((outcome, verdict))
}
