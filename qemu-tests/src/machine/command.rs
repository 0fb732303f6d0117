//! The command line of QEMU.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Disk, Machine, qmp};
use crate::setup::Qemu;

impl Machine {
    pub(super) fn command(
        &self,
        qemu: &Qemu,
        agent: &Path,
        socket: &qmp::Socket,
    ) -> Result<Command> {
        let mut command = qemu.system();
        // -nographic also makes SeaBIOS and with it a failing GRUB speak on the serial port.
        command.args(["-nodefaults", "-nographic", "-serial", "stdio"]);
        command
            .arg("-serial")
            .arg(format!("file:{}", agent.display()));
        command.arg("-qmp").arg(socket.option());
        command.args([
            "-m",
            &self.memory.to_string(),
            "-smp",
            &self.processors.to_string(),
        ]);
        command.args(self.accelerator.options(self.processors));
        if !self.reboots {
            command.arg("-no-reboot");
        }
        if let Some(vars) = self.disk.as_ref().and_then(Disk::vars) {
            let (code, _) = qemu.firmware();
            let (code, vars) = (code.display(), vars.display());
            let code = format!("if=pflash,unit=0,format=raw,readonly=on,file={code}");
            let vars = format!("if=pflash,unit=1,format=raw,file={vars}");
            command.args(["-drive", &code, "-drive", &vars]);
        }
        if let Some(disk) = &self.disk {
            self.add_disk(&mut command, disk)?;
        }
        if let Some(task) = &self.task {
            let node = format!(
                "driver=file,node-name=task,filename={},read-only=on",
                task.display()
            );
            command.arg("-blockdev").arg(node);
            command.args(["-device", "virtio-blk-pci,drive=task,serial=task"]);
        }
        if let Some(notes) = &self.notes {
            let node = format!("driver=file,node-name=notes,filename={}", notes.display());
            command.arg("-blockdev").arg(node);
            command.args(["-device", "virtio-blk-pci,drive=notes,serial=notes"]);
        }
        if self.network {
            command.args(["-netdev", "user,id=network,restrict=on"]);
            command.args(["-device", "virtio-net-pci,netdev=network,romfile="]);
        }
        command.args(&self.options);
        if let Some(direct) = &self.direct {
            command
                .arg("-kernel")
                .arg(&direct.kernel)
                .arg("-append")
                .arg(&direct.cmdline);
            if let Some(initrd) = &direct.initrd {
                command.arg("-initrd").arg(initrd);
            }
        }
        Ok(command)
    }

    fn add_disk(&self, command: &mut Command, disk: &Disk) -> Result<()> {
        let (path, format) = match disk {
            Disk::Raw(path) => (path, "raw"),
            Disk::Overlay(path) => (path, "qcow2"),
        };
        // The image may lose everything when the *host* fails; a cut is rebuilt from the log.
        // Below the log flushes are dropped, so that the log still sees them.
        let unsafe_cache = "cache.direct=off,cache.no-flush=on";
        let file = format!(
            "driver=file,node-name=file,{unsafe_cache},filename={}",
            path.display()
        );
        let image = format!("driver={format},node-name=image,{unsafe_cache},file=file");
        command.args(["-blockdev", &file, "-blockdev", &image]);
        let mut top = "image";
        if let Some(fault) = &self.disk_fault {
            let node = format!("driver=blkdebug,node-name=fault,image={top},{fault}");
            command.args(["-blockdev", &node]);
            top = "fault";
        }
        if let Some(log) = &self.write_log {
            fs::write(log, "").with_context(|| format!("write {}", log.display()))?;
            let file = format!(
                "driver=file,node-name=logfile,{unsafe_cache},filename={}",
                log.display()
            );
            let log = format!(
                "driver=blklogwrites,node-name=log,file={top},log=logfile,\
                 log-sector-size=512,log-super-update-interval=1"
            );
            command.args(["-blockdev", &file, "-blockdev", &log]);
            top = "log";
        }
        // A discarded block may read as anything; the guest is told that there is no discard.
        let device = format!(
            "virtio-blk-pci,drive={top},serial=system,bootindex=1,discard=off,write-zeroes=off"
        );
        command.args(["-device", &device]);
        Ok(())
    }
}
