//! The end of a migration's life: the old system's space is given back.

use anyhow::{Result, ensure};

use super::Bench;
use crate::expectations::stage;
use crate::machine::End;
use crate::scenario::{migrate, part};
use crate::task::{REBOOTING, Task};

const FINALIZE: &str = "
set -e
rootshift finalize --yes
exit 100
";

const HAND_OVER: &str = r#"
set -e
systemctl is-active rootshift-finalize.timer && exit 1
rootshift finalize --yes --background
systemctl is-active rootshift-finalize.timer
for second in $(seq 300); do
    rootshift status --json | grep -Eq '"stage": ?"finalized"' && break
    sleep 1
done
journalctl --boot --unit rootshift-finalize.service --no-pager
test ! -e /var/lib/rootshift/finalizing
exit 100
"#;

const LOOK: &str = r#"
set -e
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ status"
rootshift status --json
echo "@@ top level"
mount -o subvolid=5 "$(findmnt --noheadings --output SOURCE --nofsroot /)" /mnt
ls -A /mnt
echo "@@ trash"
ls -d /.rootshift-trash /home/.rootshift-trash /var/log/.rootshift-trash 2>/dev/null || true
echo "@@ images"
for image in /boot/initrd.img-*; do lsinitramfs "$image" | grep rootshift; done
echo "@@ update-grub"
update-grub 2>&1 | tail -n 1
grep -c 'rootflags=subvol=@ ' /boot/grub/grub.cfg
echo "@@ failed"
systemctl list-units --failed --no-legend --plain
echo "@@ end"
"#;

/// Validated, finalized, booted once more: nothing of the old system is left, nor of the arming.
pub(super) fn finalized(bench: &Bench) -> Result<()> {
    finalized_by(bench, "test-finalize", FINALIZE)
}

/// The same by the systemd unit.
pub(super) fn in_the_background(bench: &Bench) -> Result<()> {
    finalized_by(bench, "test-finalize-unit", HAND_OVER)
}

fn finalized_by(bench: &Bench, name: &str, task: &str) -> Result<()> {
    let context = &bench.context;
    let disk = bench.armed.fork(context, name)?;
    migrate(context, name, &disk, 1)?;
    let mut machine = context.machine(&format!("{name}-asked"), &disk);
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(task))?;
    outcome.task(REBOOTING)?;
    outcome.expect(&End::Reset)?;
    let mut machine = context.machine(&format!("{name}-proof"), &disk);
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(LOOK))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    ensure!(stage(&part(said, "status")?)? == "finalized");
    ensure!(
        part(said, "layout")?.contains("/@home"),
        "not the new layout"
    );
    let mut left: Vec<String> = part(said, "top level")?
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    left.sort();
    ensure!(
        left == [".rootshift", "@", "@home", "@var_log", "boot"],
        "left over: {left:?}"
    );
    for empty in ["trash", "failed"] {
        let found = part(said, empty)?;
        ensure!(found.is_empty(), "{empty}: {found}");
    }
    let images = part(said, "images")?;
    ensure!(
        images == "scripts/local-premount/rootshift",
        "the images hold: {images}"
    );
    Ok(())
}
