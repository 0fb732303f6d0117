//! The end of a migration's life: the old system's space is given back.

use anyhow::{Result, ensure};

use crate::expectations::stage;
use crate::machine::{End, TaskRun};
use crate::scenario::{migrate, part};
use crate::task::{REBOOTING, Task};
use crate::testing::Bench;

const FINALIZE: &str = "
set -e
rootshift finalize --yes
exit 100
";

const HAND_OVER: &str = r#"
set -e
systemctl is-active rootshift-finalize.timer && exit 1
btrfs quota enable /
btrfs quota rescan -w /
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
echo "@@ quotas"
btrfs qgroup show / 2>/dev/null | grep --count '^0/' || true
echo "@@ quota groups"
btrfs subvolume list /mnt | awk '{ print "0/" $2 }' > /run/subvolumes
btrfs qgroup show --raw / 2>/dev/null | awk '/^0\/[0-9]/ && $1 != "0/5" { print $1 }' |
    grep --invert-match --line-regexp --fixed-strings --file /run/subvolumes || true
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
    finalized_by(bench, "test-finalize", FINALIZE)?;
    Ok(())
}

/// The same by the systemd unit, with quotas on: Debian 12's kernel leaves the quota groups of
/// deleted subvolumes behind.
pub(super) fn in_the_background(bench: &Bench) -> Result<()> {
    let said = finalized_by(bench, "test-finalize-unit", HAND_OVER)?;
    let groups = part(&said, "quotas")?;
    ensure!(
        groups.parse().is_ok_and(|count: u32| count >= 4),
        "quotas are not on: {groups}"
    );
    Ok(())
}

fn finalized_by(bench: &Bench, name: &str, task: &str) -> Result<TaskRun> {
    let context = &bench.context;
    let disk = bench.armed()?.fork(context, name)?;
    migrate(context, name, &disk, 1)?;
    // The first boot validates, the second one is the rehearsal that `finalize` wants.
    let mut machine = context.machine(&format!("{name}-trial"), &disk);
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new("exit 100"))?;
    outcome.task(REBOOTING)?;
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
    for empty in ["trash", "quota groups", "failed"] {
        let found = part(said, empty)?;
        ensure!(found.is_empty(), "{empty}: {found}");
    }
    let images = part(said, "images")?;
    ensure!(
        images == "scripts/local-premount/rootshift",
        "the images hold: {images}"
    );
    Ok(said.clone())
}
