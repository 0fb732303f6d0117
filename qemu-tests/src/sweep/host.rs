//! The machine that boots: the shipped binary at boot mode, on a device of this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rootshift::engine::State;
use rootshift::engine::home::Migration;
use rootshift::journal::Record;
use rootshift::sys::{Root, mount};

use super::disk::Disk;
use super::sample::Kind;
use crate::run::{output, run, tail, tool};

/// Exit status of `boot --no-reboot` where a machine would restart.
const WOULD_REBOOT: i32 = 10;
/// A program that was killed ends when the disk has answered it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Boots until a machine has to be at rest.
const BOOTS: usize = 5;
/// Seconds; a boot takes a fraction of one.
const BOOT_LIMIT: &str = "120";
/// What mounts the new system.
const NEW: &str = "subvol=@";

/// What all machines have in common.
#[derive(Debug)]
pub struct Setting {
    /// The program under test.
    pub binary: PathBuf,
    /// The one that puts files back.
    pub tools: PathBuf,
    /// Where the old system's root is.
    pub kind: Kind,
    /// A folder in memory; each machine has its own in it.
    pub folder: PathBuf,
}

/// Which system a machine is in after its boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// As before the migration.
    Old,
    /// On its subvolumes.
    New,
}

/// A disk behind a loop device, and what boots from it.
#[derive(Debug)]
pub struct Host {
    setting: Arc<Setting>,
    folder: PathBuf,
    image: PathBuf,
    device: String,
}

impl Host {
    /// A machine whose disk is its own image, with nothing on it yet.
    pub fn new(setting: &Arc<Setting>, name: &str) -> Result<Self> {
        let folder = setting.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let image = folder.join("disk.img");
        Disk::empty(1 << 20).store(&image)?;
        Self::on(setting, folder, image)
    }

    /// A machine whose disk is this file.
    pub fn on(setting: &Arc<Setting>, folder: PathBuf, image: PathBuf) -> Result<Self> {
        let mut losetup = tool("losetup");
        losetup.args(["--find", "--show"]).arg(&image);
        let device = output(&mut losetup).context("a loop device")?;
        Ok(Self {
            setting: setting.clone(),
            folder,
            image,
            device,
        })
    }

    /// Its disk is this one from now on. Nothing of it may be mounted.
    pub fn insert(&self, disk: &Disk) -> Result<()> {
        let size = fs::metadata(&self.image)?.len();
        disk.store(&self.image)?;
        if fs::metadata(&self.image)?.len() != size {
            run(tool("losetup").args(["--set-capacity", &self.device]))?;
        }
        Ok(())
    }

    /// What its disk holds now. Nothing of it may be mounted.
    pub fn disk(&self) -> Result<Disk> {
        Disk::load(&self.image)
    }

    /// What all machines have in common.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The device.
    pub fn device(&self) -> &Path {
        Path::new(&self.device)
    }

    /// Where it keeps what is its own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until no program has to do with its disk any more, and unmounts what they left.
    pub fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        let at = self.mount_point("boot")?;
        while has_program(&self.device)? || is_mounted(&at)? {
            ensure!(begun.elapsed() < PATIENCE, "a program does not end");
            std::thread::sleep(Duration::from_millis(10));
            if !has_program(&self.device)? {
                _ = mount::unmount(&at); // busy, as long as the program is ending
            }
        }
        Ok(())
    }

    /// Runs `work` with the top level mounted; a log left by a cut is replayed.
    pub fn mounted<T>(&self, work: impl FnOnce(&Root) -> Result<T>) -> Result<T> {
        let at = self.mount_point("top")?;
        mount::mount_top_level(Path::new(&self.device), &at)?;
        let done = Root::open(&at)
            .map_err(anyhow::Error::from)
            .and_then(|top| work(&top));
        mount::unmount(&at)?;
        done
    }

    /// Runs `work` on the disk as GRUB sees it: no log is replayed, and nothing written.
    pub fn as_grub<T>(&self, work: impl FnOnce(&Root) -> Result<T>) -> Result<T> {
        let at = self.mount_point("grub")?;
        let mut command = tool("mount");
        command.args(["-t", "btrfs", "-o", "ro,subvolid=5,rescue=nologreplay"]);
        run(command.arg(&self.device).arg(&at))?;
        let done = Root::open(&at)
            .map_err(anyhow::Error::from)
            .and_then(|top| work(&top));
        mount::unmount(&at)?;
        done
    }

    /// Where a device of this name is mounted.
    pub fn mount_point(&self, name: &str) -> Result<PathBuf> {
        let at = self.folder.join(name);
        fs::create_dir_all(&at)?;
        Ok(at)
    }

    /// Whether the kernel mounts it at all.
    pub fn can_be_mounted(&self) -> bool {
        self.as_grub(|_| Ok(())).is_ok()
    }

    /// The documented remedy for a torn superblock.
    pub fn recover_superblock(&self) -> Result<()> {
        let mut command = tool("btrfs");
        let status = command
            .args(["rescue", "super-recover", "-y", &self.device])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        // It ends with 2 when it mended something.
        ensure!(
            matches!(status.code(), Some(0 | 2)),
            "btrfs rescue super-recover ended with {status}"
        );
        Ok(())
    }

    /// The file system is sound.
    pub fn check(&self) -> Result<()> {
        let mut command = tool("btrfs");
        run(command.args(["check", "--readonly"]).arg(&self.image))
    }

    /// One pass through the initramfs, with the plans of this folder in its image. Whether the
    /// machine would restart.
    pub fn boot_once(&self, plans: &Path) -> Result<bool> {
        self.boot_within(plans, None)
    }

    /// The same with other deadlines than the usual ones.
    pub fn boot_within(&self, plans: &Path, deadlines: Option<&str>) -> Result<bool> {
        let param_conf = self.folder.join("param.conf");
        _ = fs::remove_file(&param_conf);
        _ = fs::remove_file(self.folder.join("log"));
        let said = fs::File::create(self.folder.join("said"))?;
        let status = tool("timeout")
            .args(["--signal=KILL", BOOT_LIMIT])
            .arg(&self.setting.binary)
            .args(["boot", "--no-reboot", "--device", &self.device])
            .arg("--plans")
            .arg(plans)
            .arg("--param-conf")
            .arg(&param_conf)
            .arg("--mount-at")
            .arg(self.folder.join("boot"))
            .args(["--console", "/nonexistent"])
            .arg("--log")
            .arg(self.folder.join("log"))
            .args(deadlines.iter().flat_map(|given| ["--deadlines", given]))
            .env("ROOTFLAGS", "")
            .stdout(Stdio::null())
            .stderr(said)
            .status()?;
        match status.code() {
            Some(0) => Ok(false),
            Some(WOULD_REBOOT) => Ok(true),
            _ => bail!("boot ended with {status}:\n{}", self.said()),
        }
    }

    /// The end of what the last boot said: its log, then what is no part of it, as of a panic.
    pub fn said(&self) -> String {
        let read = |file| fs::read(self.folder.join(file)).unwrap_or_default();
        let said = [read("log"), read("said")].concat();
        tail(&String::from_utf8_lossy(&said), 12)
    }

    /// Boots until it does not restart any more; which system it is in then.
    pub fn boot(&self, plans: &Path) -> Result<System> {
        for _ in 0..BOOTS {
            if !self.boot_once(plans)? {
                return self.booted();
            }
        }
        bail!("it is not at rest after {BOOTS} boots:\n{}", self.said())
    }

    fn booted(&self) -> Result<System> {
        Ok(self.told()?.unwrap_or(System::Old))
    }

    /// Which root the initramfs was told to mount; none when that is left to the kernel's command
    /// line.
    pub fn told(&self) -> Result<Option<System>> {
        let old = self.setting.kind.root_flags();
        let Ok(text) = fs::read_to_string(self.folder.join("param.conf")) else {
            return Ok(None);
        };
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ROOTFLAGS='-o "));
        match line.and_then(|line| line.strip_suffix('\'')) {
            Some(NEW) => Ok(Some(System::New)),
            Some(flags) if flags == old => Ok(Some(System::Old)),
            other => bail!("root would be mounted with {other:?}: there is no such system"),
        }
    }

    /// Where the journal says that it stands; none when nothing was ever armed.
    pub fn state(&self) -> Result<Option<State>> {
        self.mounted(|top| Ok(Migration::open(top)?.map(|migration| migration.state().clone())))
    }

    /// Adds records to the journal, as a command of the running system would.
    pub fn record(&self, records: Vec<Record>) -> Result<()> {
        self.mounted(|top| {
            let migration = Migration::open(top)?;
            let mut migration = migration.context("there is no journal")?;
            for record in records {
                migration.record(record)?;
            }
            Ok(())
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        _ = run(tool("losetup").args(["--detach", &self.device]));
    }
}

/// A new folder in memory: what is synced there costs no disk any time.
pub fn folder_in_memory() -> Result<PathBuf> {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let folder = base.join(format!("rootshift-sweep-{}", std::process::id()));
    ensure!(!folder.exists(), "{} is there already", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Whether a process has this word among its arguments.
fn has_program(word: &str) -> Result<bool> {
    for process in fs::read_dir("/proc")? {
        // One that ended meanwhile has none any more.
        let arguments = fs::read(process?.path().join("cmdline")).unwrap_or_default();
        if arguments
            .split(|byte| *byte == 0)
            .any(|own| own == word.as_bytes())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_mounted(at: &Path) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let is_at = |line: &str| line.split(' ').nth(4).map(Path::new) == Some(at);
    Ok(mounts.lines().any(is_at))
}
