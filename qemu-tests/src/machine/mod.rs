//! One run of a virtual machine, from power on to a named end.
//!
//! The first serial port is the console, read line by line with the time since power on; the
//! second carries what the task in the guest prints. Both are kept below `target/machines/NAME/`.

mod accel;
mod command;
mod console;
mod outcome;
mod qmp;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::setup::Qemu;
use crate::workspace::Workspace;

pub use accel::Accelerator;
pub use console::Line;
pub use outcome::{End, Outcome, TaskRun};

/// How the machine's disk is used.
#[derive(Debug, Clone)]
pub enum Disk {
    /// Written to as it is.
    Raw(PathBuf),
    /// A qcow2 file, written to; see [`fork`].
    Overlay(PathBuf),
}

impl Disk {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Raw(path) | Self::Overlay(path) => path,
        }
    }

    /// The firmware's variables beside it: its machine starts by UEFI. None: by BIOS.
    pub(crate) fn vars(&self) -> Option<PathBuf> {
        Some(vars_beside(self.path())).filter(|vars| vars.exists())
    }
}

/// Where the variables of UEFI firmware lie that belong to this disk.
pub fn vars_beside(disk: &Path) -> PathBuf {
    let mut name = disk.to_path_buf().into_os_string();
    name.push(".vars");
    PathBuf::from(name)
}

/// Gives `to` the variables of `from`, or none when it has none.
pub(crate) fn copy_vars(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (vars_beside(from), vars_beside(to));
    _ = fs::remove_file(&to);
    if from.exists() {
        fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}

/// A power cut: the process is killed, once, after a line on the console.
#[derive(Debug, Clone)]
pub struct Kill {
    /// Text that a console line must contain.
    pub line: String,
    /// How long the machine goes on after that line.
    pub delay: Duration,
}

/// A kernel started without firmware and boot loader.
#[derive(Debug, Clone)]
pub struct DirectBoot {
    /// The kernel image.
    pub kernel: PathBuf,
    /// The initramfs, if any.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub cmdline: String,
}

/// What to start. Fields are set directly; [`Machine::new`] gives the usual values.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name of the run and of its directory.
    pub name: String,
    /// The system disk; a bare kernel needs none.
    pub disk: Option<Disk>,
    /// The disk made by [`crate::task::Task`].
    pub task: Option<PathBuf>,
    /// A raw disk that keeps what a guest notes for a later boot; see [`crate::proof`].
    pub notes: Option<PathBuf>,
    /// Memory in MiB.
    pub memory: u32,
    /// Virtual processors.
    pub processors: u32,
    /// Whether it has a network interface, on a network of QEMU's own that leads nowhere.
    pub network: bool,
    /// What else it has or lacks: options of QEMU.
    pub options: Vec<String>,
    /// How its disk fails: options of the block driver blkdebug (QEMU's docs/devel/blkdebug).
    pub disk_fault: Option<String>,
    /// Record every write and flush here (made anew).
    pub write_log: Option<PathBuf>,
    /// Start this kernel instead of what the disk's boot loader chooses.
    pub direct: Option<DirectBoot>,
    /// A reboot of the guest goes on in the same run instead of ending it with [`End::Reset`].
    pub reboots: bool,
    /// Cut the power.
    pub kill: Option<Kill>,
    /// More than this is [`End::Timeout`].
    pub limit: Duration,
    /// How instructions are run.
    pub accelerator: Accelerator,
}

impl Machine {
    /// 1 GiB, two processors, a reboot ends the run, ten minutes: an image made beside other work takes five.
    pub fn new(name: &str, disk: Disk, accelerator: Accelerator) -> Self {
        Self {
            name: name.to_owned(),
            disk: Some(disk),
            task: None,
            notes: None,
            memory: 1024,
            processors: 2,
            network: false,
            options: Vec::new(),
            disk_fault: None,
            write_log: None,
            direct: None,
            reboots: false,
            kill: None,
            limit: patience(),
            accelerator,
        }
    }

    /// Powers on and waits for the end. Every end of the guest is an `Ok`; an error means that
    /// the harness itself failed.
    pub fn run(&self, workspace: &Workspace, qemu: &Qemu) -> Result<Outcome> {
        let home = workspace.machine(&self.name)?;
        let agent = home.join("agent.log");
        fs::write(&agent, "").with_context(|| format!("write {}", agent.display()))?;
        let errors = fs::File::create(home.join("qemu.log"))?;
        let socket = qmp::Socket::new();
        let mut command = self.command(qemu, &agent, &socket)?;
        command.stdout(Stdio::piped()).stderr(errors);
        let start = Instant::now();
        let mut child = command.spawn().context("start qemu-system-x86_64")?;
        let output = child.stdout.take().context("qemu has a standard output")?;
        let console = console::follow(output, start, &home.join("console.log"))?;
        let events = qmp::follow(socket);
        let watched = watch::until_end(self, &mut child, &console, start)?;
        let facts = events.join().unwrap_or_default();
        Outcome::gather(&self.name, &home, watched, facts)
    }
}

/// Ten minutes, or as many seconds as `ROOTSHIFT_PATIENCE` says, on a machine that has other work.
fn patience() -> Duration {
    let said = std::env::var("ROOTSHIFT_PATIENCE").ok();
    Duration::from_secs(said.and_then(|text| text.parse().ok()).unwrap_or(600))
}

/// A qcow2 fork of a raw image: made in milliseconds, holds only what differs. The firmware's
/// variables are copied.
pub fn fork(qemu: &Qemu, image: &Path, overlay: &Path) -> Result<Disk> {
    _ = fs::remove_file(overlay);
    let mut create = qemu.img();
    create
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(image)
        .arg(overlay);
    crate::run::run(&mut create)?;
    copy_vars(image, overlay)?;
    Ok(Disk::Overlay(overlay.to_path_buf()))
}
