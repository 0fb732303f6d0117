//! What must not be migrated, is not: an ordinary boot of the old system, with a reason.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::expectations::ensure_old_layout;
use crate::image::{self, AttachedDisk};
use crate::machine::{Disk, End};
use crate::scenario::part;
use crate::task::Task;
use crate::testing::Bench;

const LOOK: &str = r#"
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ status"
rootshift status 2>&1
echo "@@ boot log"
cat /run/initramfs/rootshift.log
echo "@@ check"
rootshift check 2>&1
echo "@@ names"
ls -A /
echo "@@ end"
"#;

/// fstab was edited between arming and the reboot.
pub(super) fn changed_fstab(bench: &Bench) -> Result<()> {
    let disk = spoilt(bench, "test-stale", |top| {
        let fstab = top.join("etc/fstab");
        let text = fs::read_to_string(&fstab)? + "# edited since\n";
        Ok(fs::write(fstab, text)?)
    })?;
    refused(
        bench,
        "test-stale",
        &disk,
        None,
        &["/etc/fstab was changed since", "rootshift arm"],
    )
}

/// One bit of the journal is flipped.
pub(super) fn damaged_journal(bench: &Bench) -> Result<()> {
    let disk = spoilt(bench, "test-damaged", |top| {
        let journal = top.join(".rootshift/journal");
        let mut bytes = fs::read(&journal)?;
        if let Some(byte) = bytes.get_mut(700) {
            *byte ^= 16;
        }
        Ok(fs::write(journal, bytes)?)
    })?;
    let wanted = ["damaged at byte 512", "disarm --discard-journal"];
    refused(bench, "test-damaged", &disk, None, &wanted)
}

/// A disk holds a hibernated system. Nothing is even mounted.
pub(super) fn hibernated(bench: &Bench) -> Result<()> {
    let disk = spoilt(bench, "test-hibernated", |_| Ok(()))?;
    let swap = bench.context.place("test-hibernated", "swap.raw")?;
    let mut bytes = vec![0; 1 << 20];
    bytes.splice(4086..4096, *b"S1SUSPEND\0");
    fs::write(&swap, bytes)?;
    refused(
        bench,
        "test-hibernated",
        &disk,
        Some(&swap),
        &["holds a hibernated system"],
    )
}

fn spoilt(bench: &Bench, name: &str, spoil: impl FnOnce(&Path) -> Result<()>) -> Result<Disk> {
    let disk = bench.context.place(name, "disk.raw")?;
    image::copy(&bench.armed()?.disk, &disk)?;
    let attached = AttachedDisk::new(&disk)?;
    let mounted = attached.mount_top_level()?;
    spoil(mounted.path())?;
    mounted.unmount()?;
    Ok(Disk::Raw(disk))
}

/// The old system boots, untouched, and somebody says why.
fn refused(
    bench: &Bench,
    name: &str,
    disk: &Disk,
    swap: Option<&Path>,
    wanted: &[&str],
) -> Result<()> {
    let mut machine = bench.context.machine(name, disk);
    machine.processors = 1;
    machine.notes = swap.map(Path::to_path_buf);
    let outcome = bench.context.run(machine, &Task::new(LOOK))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    ensure_old_layout(&part(said, "layout")?)?;
    let check = part(said, "check")?;
    let line = check
        .lines()
        .find(|line| line.contains("no hibernated system"))
        .unwrap_or_default();
    let found = line.contains("holds a hibernated system; start that system");
    ensure!(found == swap.is_some(), "`check` says:\n{check}");
    let names = part(said, "names")?;
    ensure!(
        !names.lines().any(|name| name.starts_with('@')),
        "something was made:\n{names}"
    );
    let log = part(said, "boot log")?;
    // A page for a console breaks its lines.
    let status: Vec<String> = part(said, "status")?
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    for text in [&log, &status.join(" ")] {
        let hibernated = swap.is_some() && !text.contains("hibernated");
        let complete = wanted.iter().all(|part| text.contains(part));
        ensure!(complete || hibernated, "{wanted:?} is not said in:\n{text}");
    }
    ensure!(
        wanted.iter().all(|part| log.contains(part)),
        "{wanted:?} is not said in:\n{log}"
    );
    Ok(())
}
