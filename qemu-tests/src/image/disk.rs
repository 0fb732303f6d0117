//! A disk image on the host: partition table, loop device, mount.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};

use crate::run::{output, run, tool};

/// One attached image at a time: forks of one image share a file-system UUID, which kernels
/// before 6.7 refuse to mount twice.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the first partition is for; the second holds the root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// 1 MiB for GRUB's core image.
    CoreImage,
    /// An ESP with room for a few kernels and initrds.
    Esp,
}

impl First {
    fn table(self) -> &'static str {
        match self {
            Self::CoreImage => {
                "label: gpt\n\
                size=1MiB, type=21686148-6449-6E6F-744E-656564454649\n\
                type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
            }
            Self::Esp => {
                "label: gpt\n\
                size=256MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n\
                type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
            }
        }
    }
}

/// Makes `disk` anew, sparse, with its partition table.
pub(super) fn partition(disk: &Path, size: &str, first: First) -> Result<()> {
    _ = std::fs::remove_file(disk);
    run(tool("truncate").args(["--size", size]).arg(disk))?;
    let script = "printf '%s' \"$1\" | sfdisk --quiet \"$0\"";
    run(tool("sh").args(["-c", script]).arg(disk).arg(first.table()))
        .context("write the partition table")
}

/// A raw image behind a loop device with its partitions; detached when dropped.
#[derive(Debug)]
pub struct AttachedDisk {
    device: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl AttachedDisk {
    /// Attaches; waits while another image of this process is attached.
    pub fn new(disk: &Path) -> Result<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let losetup = output(
            tool("losetup")
                .args(["--find", "--partscan", "--show"])
                .arg(disk),
        );
        let device = PathBuf::from(losetup.context("attach the image to a loop device")?);
        let attached = Self {
            device,
            _turn: turn,
        };
        if !attached.root_partition().exists() {
            // A kernel without a partition parser: partx reads the table in user space.
            run(tool("partx").arg("--add").arg(&attached.device))?;
        }
        Ok(attached)
    }

    /// The loop device of the whole disk.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// The partition that holds the system.
    pub fn root_partition(&self) -> PathBuf {
        self.partition(2)
    }

    /// The partition before it: the ESP, where there is one.
    pub fn first_partition(&self) -> PathBuf {
        self.partition(1)
    }

    /// Every device node of this disk.
    pub(super) fn nodes(&self) -> Vec<PathBuf> {
        vec![self.device.clone(), self.partition(1), self.partition(2)]
    }

    /// The UUID of the root file system.
    pub fn root_uuid(&self) -> Result<String> {
        uuid(&self.root_partition())
    }

    /// The UUID of the file system on the first partition.
    pub(super) fn first_uuid(&self) -> Result<String> {
        uuid(&self.first_partition())
    }

    /// Mounts the top level (subvolid 5), whatever the default subvolume is.
    pub fn mount_top_level(&self) -> Result<Mount> {
        let name = self
            .device
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let at = std::env::temp_dir().join(format!("rootshift-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&at)?;
        let mounted = Mount::new(&self.root_partition(), &at, &["-o", "subvolid=5,noatime"]);
        mounted.context("mount the top level")
    }

    fn partition(&self, number: u8) -> PathBuf {
        let mut name = self.device.clone().into_os_string();
        name.push(format!("p{number}"));
        PathBuf::from(name)
    }
}

fn uuid(partition: &Path) -> Result<String> {
    let mut blkid = tool("blkid");
    blkid.args(["--probe", "--match-tag", "UUID", "--output", "value"]);
    output(blkid.arg(partition))
}

impl Drop for AttachedDisk {
    fn drop(&mut self) {
        // Partitions first: a loop device with partitions left keeps them after `losetup -d`.
        _ = run(tool("partx").arg("--delete").arg(&self.device));
        if let Err(error) = run(tool("losetup").arg("--detach").arg(&self.device)) {
            eprintln!("image: {error:#}");
        }
    }
}

/// A mount of the host; unmounted when dropped, if [`Mount::unmount`] was not called.
#[derive(Debug)]
pub struct Mount {
    at: Option<PathBuf>,
    path: PathBuf,
}

impl Mount {
    /// `mount OPTIONS SOURCE AT`.
    pub fn new(source: &Path, at: &Path, options: &[&str]) -> Result<Self> {
        run(tool("mount").args(options).arg(source).arg(at))?;
        Ok(Self {
            at: Some(at.to_path_buf()),
            path: at.to_path_buf(),
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts; everything written is on the device when it returns.
    pub fn unmount(mut self) -> Result<()> {
        match self.at.take() {
            // A private namespace that somebody has just made may still have it mounted.
            Some(at) => {
                run(tool("sync").arg("--file-system").arg(&at))?;
                run(tool("umount").arg(at))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(at) = self.at.take()
            && let Err(error) = run(tool("umount").arg("--lazy").arg(at))
        {
            eprintln!("image: {error:#}");
        }
    }
}
