//! The dress rehearsal: before the old system goes, one boot in which the image only looks on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::expectations::{REHEARSED, VALIDATED, stage};
use crate::image::{Loader, Recipe};
use crate::machine::{End, Kill, TaskRun};
use crate::scenario::{Life, part};
use crate::testing::Bench;

/// What this boot says of how it came to its root. The initramfs of the armed machines leaves
/// there what initramfs-tools was told by its scripts.
pub(super) const HOW: &str = r#"
echo "@@ command line"
cat /proc/cmdline
echo "@@ override"
cat /run/told-to-initramfs
echo "@@ root"
findmnt --noheadings --output FSROOT /
echo "@@ status"
rootshift status --json
echo "@@ standing"
rootshift status || true
"#;

/// Asks for the end of the old system.
const FINALIZE: &str = r#"
echo "@@ finalize"
rootshift finalize --yes 2>&1 && code=0 || code=$?
echo "status $code"
echo "@@ end"
"#;

/// Every file of the old system is there still.
const COMPARE: &str = r#"
echo "@@ old system"
./guest-probe compare flat /dev/disk/by-id/virtio-notes 2>&1 | tail -c 600
echo "@@ end"
"#;

/// After the end.
pub(super) const GONE: &str = r#"
set -e
mount -o subvolid=5 "$(findmnt --noheadings --output SOURCE --nofsroot /)" /mnt
echo "@@ top level"
ls -A /mnt
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
echo "@@ end"
"#;

pub(super) fn bios(bench: &Bench) -> Result<()> {
    rehearsed_and_finalized(bench, Recipe::USUAL)
}

pub(super) fn uefi(bench: &Bench) -> Result<()> {
    let recipe = Recipe {
        loader: Loader::GrubEfi,
        ..Recipe::USUAL
    };
    rehearsed_and_finalized(bench, recipe)
}

/// `finalize` refuses before it, and does it after.
fn rehearsed_and_finalized(bench: &Bench, recipe: Recipe) -> Result<()> {
    let armed = bench.armed_as(recipe)?;
    let mut life = Life::new(&bench.context, &armed, &format!("test-rehearsal-{recipe}"))?;
    life.migrate()?;
    let trial = life.boot("trial", &format!("{HOW}{FINALIZE}{COMPARE}exit 100\n"))?;
    is_new(&trial, VALIDATED)?;
    ensure!(
        part(&trial, "override")?.contains("ROOTFLAGS"),
        "on trial the image names the root; it said:\n{}",
        part(&trial, "override")?
    );
    refused(&trial)?;
    finalized_after_rehearsal(&mut life)
}

/// The boot after the validating one, and the end of the old system.
pub(super) fn finalized_after_rehearsal(life: &mut Life<'_>) -> Result<()> {
    let rehearsal = life.boot("rehearsal", &format!("{HOW}{FINALIZE}exit 100\n"))?;
    looked_on(&rehearsal)?;
    let said = part(&rehearsal, "finalize")?;
    ensure!(said.ends_with("status 0"), "after the rehearsal:\n{said}");
    is_gone(&life.boot("the end", &format!("{HOW}{GONE}"))?)
}

/// GRUB's configuration is made anew after the rehearsal: another one is needed.
pub(super) fn chain_changed(bench: &Bench) -> Result<()> {
    let armed = bench.armed()?;
    let mut life = Life::new(&bench.context, &armed, "test-rehearsal-changed")?;
    life.migrate()?;
    life.boot("trial", "exit 100\n")?;
    let change =
        "sed --in-place 's/^GRUB_TIMEOUT=.*/GRUB_TIMEOUT=1/' /etc/default/grub\nupdate-grub\n";
    let rehearsal = life.boot(
        "rehearsal",
        &format!("{HOW}{change}{FINALIZE}{COMPARE}exit 100\n"),
    )?;
    looked_on(&rehearsal)?;
    refused(&rehearsal)?;
    finalized_after_rehearsal(&mut life)
}

/// The power goes in the rehearsal, before its validation: the next boot overrides as before, and
/// says that it failed.
pub(super) fn cut_off(bench: &Bench) -> Result<()> {
    let armed = bench.armed()?;
    let mut life = Life::new(&bench.context, &armed, "test-rehearsal-cut")?;
    life.migrate()?;
    life.boot("trial", "exit 100\n")?;
    let mut machine = life.machine("rehearsal");
    machine.kill = Some(Kill {
        line: "systemd[1]: Detected".to_owned(),
        delay: Duration::from_millis(500),
    });
    let outcome = bench.context.power_on(&machine)?;
    outcome.expect(&End::Killed).context("the rehearsal")?;
    let next = life.boot("next", &format!("{HOW}{FINALIZE}{COMPARE}exit 100\n"))?;
    is_new(&next, VALIDATED)?;
    ensure!(
        part(&next, "override")?.contains("ROOTFLAGS"),
        "after a rehearsal that came to nothing the image names the root again"
    );
    refused(&next)
}

/// In the new system, by the loader's words alone.
pub(super) fn looked_on(said: &TaskRun) -> Result<()> {
    is_new(said, REHEARSED)?;
    let line = part(said, "command line")?;
    ensure!(
        line.split_whitespace()
            .any(|word| word == "rootflags=subvol=@"),
        "the loader did not name the new root: {line}"
    );
    let told = part(said, "override")?;
    ensure!(
        !told.contains("ROOTFLAGS") && !told.contains("ROOT="),
        "the image overrode the root in the rehearsal:\n{told}"
    );
    Ok(())
}

/// `finalize` said no, said what is missing, and deleted nothing.
fn refused(said: &TaskRun) -> Result<()> {
    let finalize = part(said, "finalize")?;
    ensure!(
        !finalize.ends_with("status 0"),
        "it was finalized without a rehearsal:\n{finalize}"
    );
    ensure!(
        finalize.contains("reboot"),
        "`finalize` does not say what is missing:\n{finalize}"
    );
    let old = part(said, "old system")?;
    ensure!(old.contains("\"different\":0"), "the old system: {old}");
    Ok(())
}

fn is_new(said: &TaskRun, wanted: &str) -> Result<()> {
    let root = part(said, "root")?;
    ensure!(root == "/@", "root is {root}");
    let stage = stage(&part(said, "status")?)?;
    ensure!(
        stage == wanted,
        "the new system is {stage}, not {wanted}:\n{}",
        part(said, "standing")?
    );
    Ok(())
}

pub(super) fn is_gone(said: &TaskRun) -> Result<()> {
    is_new(said, "finalized")?;
    let top = part(said, "top level")?;
    let mut left: Vec<&str> = top.split_whitespace().collect();
    left.retain(|name| !matches!(*name, ".rootshift" | "boot" | "@rootfs"));
    ensure!(left == ["@", "@home", "@var_log"], "left over: {left:?}");
    let failed = part(said, "failed")?;
    ensure!(failed.is_empty(), "failed units: {failed}");
    Ok(())
}
