//! Flat btrfs to subvolumes, without a cut.

use anyhow::{Result, ensure};

use crate::expectations::{ROLLED_BACK, stage};
use crate::machine::{Disk, End};
use crate::scenario::{migrate, part, prove, prove_rolled_back, request_rollback};
use crate::task::Task;
use crate::testing::Bench;

/// Armed, migrated, booted, validated, and every file compared in the guest.
pub(super) fn uncut(bench: &Bench) -> Result<()> {
    let disk = bench.armed()?.fork(&bench.context, "test-uncut")?;
    migrate(&bench.context, "test-uncut", &disk, 1)?;
    prove(
        &bench.context,
        "test-uncut-proof",
        &disk,
        bench.armed()?.as_ref(),
    )?;
    Ok(())
}

/// Asked for in the new system, carried out before root, proved in the old one.
pub(super) fn rolled_back(bench: &Bench) -> Result<()> {
    let disk = bench.armed()?.fork(&bench.context, "test-rollback")?;
    migrate(&bench.context, "test-rollback", &disk, 1)?;
    request_rollback(&bench.context, "test-rollback-asked", &disk)?;
    prove_rolled_back(
        &bench.context,
        "test-rolled-back",
        &disk,
        bench.armed()?.as_ref(),
    )?;
    disarmed(bench, &disk)
}

const DISARM: &str = r#"
set -e
rootshift disarm
echo "@@ images"
for image in /boot/initrd.img-*; do lsinitramfs "$image" | grep rootshift; done
echo "@@ marker"
ls -d /var/lib/rootshift/armed 2>/dev/null || true
echo "@@ status"
rootshift status --json
echo "@@ end"
"#;

/// The rolled-back system's images are made ordinary, in the guest.
fn disarmed(bench: &Bench, disk: &Disk) -> Result<()> {
    let mut machine = bench.context.machine("test-disarmed", disk);
    machine.processors = 1;
    let outcome = bench.context.run(machine, &Task::new(DISARM))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    let images = part(said, "images")?;
    ensure!(
        images == "scripts/local-premount/rootshift",
        "the images hold: {images}"
    );
    let marker = part(said, "marker")?;
    ensure!(marker.is_empty(), "still there: {marker}");
    ensure!(stage(&part(said, "status")?)? == ROLLED_BACK);
    Ok(())
}
