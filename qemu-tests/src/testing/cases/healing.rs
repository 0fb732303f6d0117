//! Nobody touches the machine: a new system that comes to nothing gives way to the old one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::expectations::{COMMITTED, EMERGENCY, reason, stage};
use crate::image::{self, AttachedDisk};
use crate::machine::{Disk, End};
use crate::scenario::{migrate, part, prove_rolled_back};
use crate::task::{REBOOTING, Task};
use crate::testing::Bench;

/// A disk that never comes, in the new system's fstab: systemd waits for it, and gives up.
const NEVER_COMES: &str = "UUID=9d3c6a51-0f0e-4a39-8d5e-7b1c2f4e6a80 /srv btrfs \
    defaults,x-systemd.device-timeout=5s 0 0\n";

/// The mount fails, local-fs.target with it: emergency mode, and nobody at the console.
pub(super) fn emergency(bench: &Bench) -> Result<()> {
    let name = "test-emergency";
    let disk = spoilt_after_commit(bench, name, |new| {
        let fstab = new.join("etc/fstab");
        Ok(fs::write(
            &fstab,
            fs::read_to_string(&fstab)? + NEVER_COMES,
        )?)
    })?;
    let mut machine = bench.context.machine(&format!("{name}-trial"), &disk);
    machine.processors = 1;
    let outcome = bench.context.power_on(&machine)?;
    outcome
        .expect(&End::Reset)
        .context("the restart out of the emergency mode")?;
    outcome
        .line(EMERGENCY)
        .with_context(|| format!("the console never said \"{EMERGENCY}\""))?;
    went_back(bench, name, &disk, EMERGENCY)
}

/// Waits for all that an ordinary boot starts, and is not content.
const REFUSAL: &str = "[Unit]
After=multi-user.target
Before=boot-complete.target
[Service]
Type=oneshot
ExecStart=/bin/false
";

const LOOK: &str = r#"
echo "@@ status"
rootshift status --json
echo "@@ unit"
systemctl show --property=ActiveState,Result rootshift-test-refusal.service
echo "@@ end"
exit 100
"#;

/// A unit that boot-complete.target requires fails: no boot is validated, and the fourth one goes
/// back.
pub(super) fn boot_not_complete(bench: &Bench) -> Result<()> {
    let name = "test-boot-complete";
    let disk = spoilt_after_commit(bench, name, |new| {
        let (unit, units) = ("rootshift-test-refusal.service", "etc/systemd/system");
        let required = new.join(units).join("boot-complete.target.requires");
        fs::create_dir_all(&required)?;
        fs::write(new.join(units).join(unit), REFUSAL)?;
        Ok(symlink(format!("../{unit}"), required.join(unit))?)
    })?;
    for trial in 1..=3 {
        let mut machine = bench.context.machine(&format!("{name}-{trial}"), &disk);
        machine.processors = 1;
        let outcome = bench.context.run(machine, &Task::new(LOOK))?;
        let said = outcome.task(REBOOTING)?;
        outcome.expect(&End::Reset)?;
        let stage = stage(&part(said, "status")?)?;
        ensure!(stage == COMMITTED, "trial {trial}: the system is {stage}");
        let unit = part(said, "unit")?;
        ensure!(unit.contains("failed"), "trial {trial}: the unit: {unit}");
    }
    went_back(bench, name, &disk, "did not pass its validation in 3 boots")
}

/// A disk that was migrated, its new system changed before it is booted.
fn spoilt_after_commit(
    bench: &Bench,
    name: &str,
    spoil: impl FnOnce(&Path) -> Result<()>,
) -> Result<Disk> {
    let path = bench.context.place(name, "disk.raw")?;
    image::copy(&bench.armed()?.disk, &path)?;
    let disk = Disk::Raw(path.clone());
    migrate(&bench.context, name, &disk, 1)?;
    let attached = AttachedDisk::new(&path)?;
    let mounted = attached.mount_top_level()?;
    spoil(&mounted.path().join("@"))?;
    mounted.unmount()?;
    Ok(disk)
}

/// The old system is root, every file as it was, and `status` says why.
fn went_back(bench: &Bench, name: &str, disk: &Disk, why: &str) -> Result<()> {
    let proof = format!("{name}-proof");
    let (outcome, _) = prove_rolled_back(&bench.context, &proof, disk, bench.armed()?.as_ref())?;
    let status = part(outcome.task(0)?, "status")?;
    let told = reason(&status)?;
    ensure!(told.contains(why), "`status` says: {told}");
    ensure!(status.contains("@.rolled-back-1"), "kept names: {status}");
    Ok(())
}
