//! The seed's batch by name, phase by phase, each where it belongs.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::documents;
use crate::expectations::{VALIDATED, stage};
use crate::image;
use crate::machine::{Disk, End, TaskRun};
use crate::scenario::{Context, migrate, part};
use crate::task::{REBOOTING, Task};
use crate::testing::Bench;

/// The batch wants 50 GB free and 4 GB of memory.
const DISK_SIZE: &str = "56G";
const MEMORY: u32 = 4608;

/// The network that the batch wants: an address and a default route in QEMU's own.
const NETWORK: &str = r#"
for interface in /sys/class/net/*; do
    name=${interface##*/}
    [ "$name" = lo ] && continue
    ip link set "$name" up
    ip address add 10.0.2.15/24 dev "$name"
    ip route add default via 10.0.2.2
done
phase() { rootshift run --batch ubuntu_btrfs_installation --phase "$@" --yes --verbose; }
"#;

const BEFORE: &str = r#"
dpkg --install ./*.deb || exit 1
echo "@@ without network"
rootshift check --batch ubuntu_btrfs_installation; echo "status $?"
NETWORK
echo "@@ pre_installation_validation"
phase pre_installation_validation; echo "status $?"
echo "@@ core_installation"
phase core_installation 2>&1; echo "status $?"
echo "@@ arm"
rootshift arm --batch ubuntu_btrfs_installation --yes; echo "status $?"
echo "@@ end"
exit 100
"#;

const AFTER: &str = r#"
NETWORK
for name in partition_validation post_installation_validation service_validation; do
    echo "@@ $name"
    phase "$name"; echo "status $?"
done
echo "@@ backups"
ls /etc/fstab.backup.* /etc/default/grub.backup.* /etc/initramfs-tools/modules.backup.*
echo "@@ restore"
rootshift restore --list; echo "status $?"
echo "@@ status"
rootshift status --json
echo "@@ report"
rootshift report --json
echo "@@ end"
"#;

pub(super) fn seeds_batch(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let disk = context.place("test-seed", "disk.raw")?;
    image::copy(&context.image, &disk)?;
    image::grow(&disk, DISK_SIZE)?;
    let disk = Disk::Raw(disk);

    let said = boot(context, "test-seed", &disk, BEFORE, &End::Reset)?;
    let without = part(&said, "without network")?;
    ensure!(
        without.contains("network_connectivity: there is no default route")
            && without.ends_with("status 1"),
        "without a network: {without}"
    );
    ends_with(&said, "pre_installation_validation", "status 0")?;
    let core = part(&said, "core_installation")?;
    ensure!(
        core.contains("a reboot carry it out") && core.ends_with("status 4"),
        "core_installation by hand: {core}"
    );
    ends_with(&said, "arm", "status 0")?;
    migrate(context, "test-seed-migrate", &disk, 1)?;

    let said = boot(context, "test-seed-after", &disk, AFTER, &End::PoweredOff)?;
    for phase in [
        "partition_validation",
        "post_installation_validation",
        "service_validation",
    ] {
        ends_with(&said, phase, "status 0")?;
    }
    let backups = part(&said, "backups")?;
    ensure!(backups.lines().count() == 3, "backups: {backups}");
    ends_with(&said, "restore", "status 0")?;
    let stage = stage(&part(&said, "status")?)?;
    ensure!(stage == VALIDATED, "the new system is {stage}");
    let report = serde_json::from_str(&part(&said, "report")?).context("read the report")?;
    check_report(
        &context.workspace.root().join("schemas/report.schema.json"),
        &report,
    )
}

fn boot(context: &Context, name: &str, disk: &Disk, script: &str, end: &End) -> Result<TaskRun> {
    let mut machine = context.machine(name, disk);
    machine.memory = MEMORY;
    machine.processors = 1;
    machine.network = true;
    let script = script.replace("\nNETWORK\n", NETWORK);
    let outcome = context.run(machine, &Task::new(script).file(&context.deb))?;
    let status = if *end == End::Reset { REBOOTING } else { 0 };
    let said = outcome.task(status)?.clone();
    outcome.expect(end)?;
    Ok(said)
}

fn ends_with(said: &TaskRun, name: &str, end: &str) -> Result<()> {
    let text = part(said, name)?;
    ensure!(
        text.ends_with(end),
        "{name} did not end with \"{end}\":\n{text}"
    );
    Ok(())
}

/// It fits its schema, and says that all was done, in the batch's order, with what it cost.
fn check_report(schema: &Path, report: &Value) -> Result<()> {
    if let Err(problem) = documents::validate(schema, report) {
        anyhow::bail!("the report does not fit its schema: {problem}");
    }
    let log = &report["execution_log"];
    let phases = log["phases"].as_array().context("phases")?;
    let ends: Vec<(&str, &str)> = phases
        .iter()
        .map(|phase| {
            let text = |key: &str| phase[key].as_str().unwrap_or_default();
            (text("name"), text("status"))
        })
        .collect();
    let wanted = [
        ("pre_installation_validation", "completed"),
        ("core_installation", "completed"),
        ("pre_reboot_validation", "completed"),
        ("partition_validation", "completed"),
        ("post_installation_validation", "completed"),
        ("service_validation", "skipped"),
    ];
    ensure!(ends == wanted, "the phases ended as {ends:?}");
    let cost = &phases[1]["performance"];
    for key in [
        "milliseconds",
        "cpu_milliseconds",
        "peak_memory_bytes",
        "bytes_written",
    ] {
        ensure!(
            cost[key].as_u64() > Some(0),
            "core_installation: {key} in {cost}"
        );
    }
    Ok(())
}
