//! Machines that are small, have no clock, are watched, or have a disk that fails.

use anyhow::{Result, ensure};

use crate::expectations::{VALIDATED, ensure_old_layout, reason, stage};
use crate::machine::{Disk, End, Machine, Outcome};
use crate::scenario::{Wishes, arm_as_wished, migrate, migrate_on, part, prove};
use crate::task::Task;
use crate::testing::Bench;

/// Debian's usual initramfs holds every driver: with 128 MiB the kernel panics while it unpacks it,
/// before anything of rootshift runs. Who has so little has the drivers of his machine only.
const FEW_DRIVERS: &str = "echo MODULES=dep > /etc/initramfs-tools/conf.d/few-drivers";

/// What the kernel says of the machine's clock.
const IN_1970: &str = "setting system clock to 1970-01-01T";

/// 128 MiB of memory in all, and a clock that stands at 1970 at every boot.
pub(super) fn small_and_without_clock(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let wishes = Wishes {
        before: FEW_DRIVERS,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, "test-small-armed", wishes)?;
    let disk = Disk::Raw(armed.disk.clone());
    let small = |name: &str| -> Machine {
        let mut machine = context.machine(name, &disk);
        machine.memory = 128;
        machine.processors = 1;
        machine.options = ["-rtc", "base=1970-01-01T00:00:10"]
            .map(str::to_owned)
            .into();
        machine
    };
    let migrating = migrate_on(context, &small("test-small"))?;
    ensure!(
        migrating.line(IN_1970).is_some(),
        "the clock did not stand at 1970"
    );
    let outcome = context.run(small("test-small-trial"), &Task::new(LOOK))?;
    outcome.expect(&End::PoweredOff)?;
    let status = part(outcome.task(0)?, "status")?;
    ensure!(stage(&status)? == VALIDATED, "with 128 MiB: {status}");
    // What compares the files does not fit into so little.
    prove(context, "test-small-proof", &disk, &armed)?;
    Ok(())
}

/// The initramfs of a machine of this make starts a watchdog and pets it no more. (softdog resets
/// the machine as a device would; Debian's cloud kernel has no driver of one that QEMU has.)
const WATCHED: &str = r#"
echo "softdog soft_margin=10" >> /etc/initramfs-tools/modules
cat > /etc/initramfs-tools/scripts/init-premount/watchdog <<'SCRIPT'
#!/bin/sh
[ "$1" = prereqs ] && exit 0
[ "$(cat /sys/class/dmi/id/product_name)" = Watched ] || exit 0
echo 1 > /dev/watchdog0 && echo "the watchdog is started" > /dev/kmsg
SCRIPT
chmod 755 /etc/initramfs-tools/scripts/init-premount/watchdog
sed -e 's/"interactive_checkpoints": false/"interactive_checkpoints": true, "checkpoint_seconds": 25/' \
    /usr/share/rootshift/batches/flat-to-subvolumes.json > /root/asking.json
grep checkpoint_seconds /root/asking.json
ln -s /usr/share/rootshift/viscripts /root/viscripts
"#;

/// Two questions, answered at a terminal.
const ARM_AND_ANSWER: &str = r#"
printf 'y\ny\n' | script --quiet --return --command "rootshift arm --batch /root/asking.json" /dev/null
"#;

/// A checkpoint waits for a key for longer than the watchdog does.
pub(super) fn watched(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let wishes = Wishes {
        before: WATCHED,
        arm: ARM_AND_ANSWER,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, "test-watched-armed", wishes)?;
    let disk = Disk::Raw(armed.disk.clone());
    let mut machine = context.machine("test-watched", &disk);
    machine.processors = 1;
    machine.options = ["-smbios", "type=1,product=Watched"]
        .map(str::to_owned)
        .into();
    let migrated = migrate_on(context, &machine)?;
    ensure!(
        migrated.line("the watchdog is started").is_some(),
        "there was no watchdog"
    );
    // In the boot of the proof there is none.
    prove(context, "test-watched-proof", &disk, &armed)?;
    Ok(())
}

/// The first flush of the boot fails, once: the record that the migration begins is not durable.
pub(super) fn failing_flush(bench: &Bench) -> Result<()> {
    failing(bench, "flush")
}

/// The first write of the boot fails, once: it is of the same record.
pub(super) fn failing_write(bench: &Bench) -> Result<()> {
    failing(bench, "write")
}

/// What the system that booted says of its layout and of rootshift.
pub(super) const LOOK: &str = r#"
echo "@@ layout"
findmnt --noheadings --list --types btrfs --output TARGET,FSROOT
echo "@@ status"
rootshift status --json
echo "@@ end"
"#;

/// The old system boots and says why; the next boot migrates.
fn failing(bench: &Bench, operation: &str) -> Result<()> {
    let context = &bench.context;
    let name = format!("test-failing-{operation}");
    let disk = bench.armed()?.fork(context, &name)?;
    let mut machine = context.machine(&name, &disk);
    machine.processors = 1;
    machine.disk_fault = Some(format!(
        "inject-error.0.event=none,inject-error.0.iotype={operation},inject-error.0.errno=5,\
         inject-error.0.once=on"
    ));
    let outcome = context.run(machine, &Task::new(LOOK))?;
    outcome.expect(&End::PoweredOff)?;
    ensure_told(&outcome, operation)?;
    migrate(context, &format!("{name}-again"), &disk, 1)?;
    prove(
        context,
        &format!("{name}-proof"),
        &disk,
        bench.armed()?.as_ref(),
    )?;
    Ok(())
}

/// The old system looked, and `status` has the reason.
fn ensure_told(outcome: &Outcome, operation: &str) -> Result<()> {
    let said = outcome.task(0)?;
    ensure_old_layout(&part(said, "layout")?)?;
    let told = reason(&part(said, "status")?)?;
    ensure!(told.contains("I/O error"), "`status` says: {told}");
    println!("     a failing {operation} is told as: {told}");
    Ok(())
}
