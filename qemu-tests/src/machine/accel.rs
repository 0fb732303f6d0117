//! KVM or emulation: decided by booting a kernel, because `/dev/kvm` may exist and still hang
//! its guests (nested virtualisation).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{DirectBoot, Disk, Machine};
use crate::setup::Tools;
use crate::workspace::Workspace;

/// How a guest's instructions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// By the processor.
    Kvm,
    /// Emulated, one thread a virtual processor.
    Tcg,
}

const PROBE_LIMIT: Duration = Duration::from_secs(8);
/// The last words of a kernel without a root file system: it ran all of its own start.
const PROBE_LINE: &str = "VFS: Unable to mount root fs";

impl Accelerator {
    /// KVM when a probe boot gets through with it. The answer holds until the host reboots.
    pub fn choose(workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let answer = workspace.target().join("kvm-probe");
        let said = fs::read_to_string(&answer).unwrap_or_default();
        match said.strip_prefix(&boot) {
            Some("kvm") => return Ok(Self::Kvm),
            Some("tcg") => return Ok(Self::Tcg),
            _ => {}
        }
        let (chosen, word) = match kvm_works(workspace, tools)? {
            true => (Self::Kvm, "kvm"),
            false => (Self::Tcg, "tcg"),
        };
        fs::write(&answer, format!("{boot}{word}"))
            .with_context(|| format!("write {}", answer.display()))?;
        println!("setup: virtual machines run with {word}");
        Ok(chosen)
    }

    pub(super) fn options(self, processors: u32) -> Vec<String> {
        let words = match (self, processors) {
            (Self::Kvm, _) => ["-accel", "kvm", "-cpu", "host"],
            // Without svm the guest doesn't load kvm_amd; qemu64 is the fastest model that
            // boots Debian (facts e2e.md part 2).
            (Self::Tcg, 1) => ["-accel", "tcg,thread=single", "-cpu", "qemu64,-svm"],
            (Self::Tcg, _) => ["-accel", "tcg,thread=multi", "-cpu", "qemu64,-svm"],
        };
        words.map(str::to_owned).to_vec()
    }
}

fn kvm_works(workspace: &Workspace, tools: &Tools) -> Result<bool> {
    if fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(false);
    }
    let mut probe = Machine::new("kvm-probe", Disk::Raw(Default::default()), Accelerator::Kvm);
    probe.disk = None;
    probe.memory = 512;
    probe.processors = 1;
    probe.limit = PROBE_LIMIT;
    probe.direct = Some(DirectBoot {
        kernel: crate::image::kernel(workspace, tools)?,
        initrd: None,
        cmdline: "console=ttyS0,115200 panic=-1".to_owned(),
    });
    let outcome = probe.run(workspace, &tools.qemu)?;
    Ok(outcome.line(PROBE_LINE).is_some())
}
