//! Power cuts at named fault points, in a real boot: the initramfs of the armed machine with the
//! program that has fault points laid over the shipped one. Everything unflushed is lost; the
//! boots after the cut go through GRUB, with the images as they were armed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::expectations::attempts;
use crate::image::{self, AttachedDisk};
use crate::machine::{DirectBoot, Disk, Kill};
use crate::package;
use crate::power_cut::cut;
use crate::run::{run, tool};
use crate::scenario::{migrate, prove};
use crate::testing::Bench;

/// Made once, by the first case that needs it.
static BOOT: Mutex<Option<DirectBoot>> = Mutex::new(None);

/// In the middle of the renames of the second promoted directory.
pub(super) fn among_the_renames(bench: &Bench) -> Result<()> {
    cut_and_resume(bench, "test-fault-renames", "subvolume-renames:7", false)
}

/// All is prepared, nothing is committed.
pub(super) fn before_the_commit(bench: &Bench) -> Result<()> {
    cut_and_resume(bench, "test-fault-before-commit", "before-commit", false)
}

/// Committed, and GRUB still reads the old path.
pub(super) fn after_the_commit(bench: &Bench) -> Result<()> {
    cut_and_resume(bench, "test-fault-committed", "committed", true)
}

/// The boot path is exchanged and not flushed.
pub(super) fn at_the_exchange(bench: &Bench) -> Result<()> {
    let last = format!("step-applied:{}", bench.armed()?.steps);
    cut_and_resume(bench, "test-fault-exchange", &last, true)
}

fn cut_and_resume(bench: &Bench, name: &str, fault: &str, committed: bool) -> Result<()> {
    let context = &bench.context;
    let mut direct = fault_boot(bench)?;
    direct.cmdline = format!("{} ROOTSHIFT_FAULT={fault}", direct.cmdline);
    let armed = Disk::Raw(bench.armed()?.disk.clone());
    let mut machine = context.machine(&format!("{name}-cut"), &armed);
    machine.direct = Some(direct);
    machine.processors = 1;
    let line = format!(
        "fault point {} reached",
        fault.split(':').next().unwrap_or(fault)
    );
    let kill = Kill {
        line,
        delay: Duration::from_millis(50),
    };
    let after = context.place(name, "disk.raw")?;
    cut(
        machine,
        &bench.armed()?.disk,
        kill,
        &after,
        &context.workspace,
        &context.tools.qemu,
    )?;
    let disk = Disk::Raw(after);
    if !committed {
        migrate(context, name, &disk, 1)?;
    }
    let proof = prove(
        context,
        &format!("{name}-proof"),
        &disk,
        bench.armed()?.as_ref(),
    )?;
    let wanted = if committed { 1 } else { 2 };
    let found = attempts(&proof.log_json)?;
    ensure!(
        found == wanted,
        "{found} boots took the migration up, not {wanted}"
    );
    Ok(())
}

fn fault_boot(bench: &Bench) -> Result<DirectBoot> {
    let mut boot = BOOT
        .lock()
        .map_err(|_| anyhow::anyhow!("another fault case panicked"))?;
    if boot.is_none() {
        *boot = Some(make_fault_boot(bench)?);
    }
    boot.clone().context("it was just made")
}

fn make_fault_boot(bench: &Bench) -> Result<DirectBoot> {
    let context = &bench.context;
    let binary = package::fault_binary(&context.workspace)?;
    let copy = context.place("test-fault-boot", "disk.raw")?;
    image::copy(&bench.armed()?.disk, &copy)?;
    let attached = AttachedDisk::new(&copy)?;
    let uuid = attached.root_uuid()?;
    let mounted = attached.mount_top_level()?;
    let boot = mounted.path().join("boot");
    let kernel = context.place("test-fault-boot", "vmlinuz")?;
    fs::copy(newest(&boot, "vmlinuz-")?, &kernel)?;
    let mut initrd = fs::read(newest(&boot, "initrd.img-")?)?;
    mounted.unmount()?;
    drop(attached);
    fs::remove_file(copy)?;
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(overlay(
        &context.place("test-fault-boot", "overlay")?,
        &binary,
    )?);
    let path = context.place("test-fault-boot", "initrd.img")?;
    fs::write(&path, initrd)?;
    let cmdline =
        format!("root=UUID={uuid} ro console=ttyS0,115200 norandmaps mitigations=off quiet");
    Ok(DirectBoot {
        kernel,
        initrd: Some(path),
        cmdline,
    })
}

fn newest(boot: &Path, prefix: &str) -> Result<PathBuf> {
    let names = fs::read_dir(boot)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let newest = names.filter(|name| name.starts_with(prefix)).max();
    Ok(boot.join(newest.with_context(|| format!("no {prefix}* in /boot"))?))
}

/// A cpio archive: the kernel unpacks it over the first one.
fn overlay(folder: &Path, binary: &Path) -> Result<Vec<u8>> {
    let sbin = folder.join("usr/sbin");
    fs::create_dir_all(&sbin)?;
    fs::copy(binary, sbin.join("rootshift"))?;
    let script = "cd \"$0\" && echo usr/sbin/rootshift | cpio --quiet --create --format=newc > ../overlay.cpio";
    run(tool("sh").args(["-c", script]).arg(folder))?;
    Ok(fs::read(folder.with_file_name("overlay.cpio"))?)
}
