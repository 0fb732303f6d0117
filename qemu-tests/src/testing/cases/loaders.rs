//! Machines that something else boots than the GRUB whose configuration would be edited.

use anyhow::{Result, ensure};

use crate::image::{self, Loader, Recipe};
use crate::machine::{Disk, End, fork};
use crate::scenario::part;
use crate::task::Task;
use crate::testing::Bench;

const ASK: &str = r#"
set -e
dpkg --install ./*.deb
echo "@@ command line"
cat /proc/cmdline
echo "@@ before"
find /boot /etc /usr -xdev -type f -newermt @0 -printf '%p %s %T@\n' | sort > /run/before
echo "@@ check"
rootshift check && code=0 || code=$?
echo "status $code"
echo "@@ arm"
rootshift arm --yes && code=0 || code=$?
echo "status $code"
echo "@@ changed"
find /boot /etc /usr -xdev -type f -newermt @0 -printf '%p %s %T@\n' | sort | diff /run/before - || true
ls -A / | grep -e '^@' -e '^\.rootshift' || true
echo "@@ end"
"#;

/// GRUB's files are all there, and nothing reads them.
pub(super) fn systemd_boot(bench: &Bench) -> Result<()> {
    let recipe = Recipe {
        loader: Loader::SystemdBoot,
        ..Recipe::USUAL
    };
    let context = &bench.context;
    let name = "test-systemd-boot";
    let image = image::debian(&context.workspace, &context.tools, recipe)?;
    let disk: Disk = fork(
        &context.tools.qemu,
        &image,
        &context.place(name, "disk.qcow2")?,
    )?;
    let mut machine = context.machine(name, &disk);
    machine.processors = 1;
    let outcome = context.run(machine, &Task::new(ASK).file(&context.deb))?;
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    let line = part(said, "command line")?;
    ensure!(
        !line.contains("BOOT_IMAGE="),
        "GRUB started this kernel: {line}"
    );
    let check = part(said, "check")?;
    ensure!(
        check.ends_with("status 1"),
        "`check` on a machine that systemd-boot boots ({line}):\n{check}"
    );
    ensure!(
        check.contains("systemd-boot"),
        "`check` does not name the loader:\n{check}"
    );
    let arm = part(said, "arm")?;
    ensure!(!arm.ends_with("status 0"), "`arm`:\n{arm}");
    let changed = part(said, "changed")?;
    ensure!(changed.is_empty(), "changed by the refusals:\n{changed}");
    Ok(())
}
