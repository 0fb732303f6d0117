//! Commands inside a mounted system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::disk::{AttachedDisk, Mount};
use crate::run::{output, run, tool};

/// A mounted system with `/proc`, `/sys` and a `/dev` of its own.
#[derive(Debug)]
pub(super) struct Chroot {
    root: PathBuf,
    mounts: Vec<Mount>,
}

impl Chroot {
    /// The private `/dev` holds the disk's nodes and one `by-uuid` link: without it update-grub
    /// writes `root=/dev/loop0p2` (facts e2e.md, image-building traps).
    pub(super) fn enter(root: &Path, disk: &AttachedDisk) -> Result<Self> {
        let mut inside = Self {
            root: root.to_path_buf(),
            mounts: Vec::new(),
        };
        inside.mount("tmpfs", "dev", &["-t", "tmpfs", "-o", "mode=755"])?;
        inside.mount("proc", "proc", &["-t", "proc"])?;
        inside.mount("sysfs", "sys", &["-t", "sysfs"])?;
        inside.make_devices(disk).context("make the device nodes")?;
        Ok(inside)
    }

    /// Runs one command inside.
    pub(super) fn run(&self, words: &[&str]) -> Result<()> {
        run(tool("chroot")
            .arg(&self.root)
            .args(words)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// Runs a shell script inside, with arguments.
    pub(super) fn script(&self, text: &str, arguments: &[&str]) -> Result<()> {
        let mut words = vec!["sh", "-e", "-c", text, "sh"];
        words.extend(arguments);
        self.run(&words)
    }

    /// Runs a shell script inside; what it printed.
    pub(super) fn said(&self, text: &str) -> Result<String> {
        output(
            tool("chroot")
                .arg(&self.root)
                .args(["sh", "-e", "-c", text])
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        )
    }

    fn mount(&mut self, source: &str, at: &str, options: &[&str]) -> Result<()> {
        self.mounts
            .push(Mount::new(Path::new(source), &self.root.join(at), options)?);
        Ok(())
    }

    fn make_devices(&self, disk: &AttachedDisk) -> Result<()> {
        let dev = self.root.join("dev");
        let mut nodes = disk.nodes();
        nodes.extend(
            ["null", "zero", "full", "random", "urandom", "tty"].map(|n| Path::new("/dev").join(n)),
        );
        run(tool("cp").arg("--archive").args(&nodes).arg(&dev))?;
        let by_uuid = dev.join("disk/by-uuid");
        fs::create_dir_all(&by_uuid)?;
        let name = disk
            .root_partition()
            .file_name()
            .map(PathBuf::from)
            .unwrap_or_default();
        symlink(
            Path::new("../..").join(name),
            by_uuid.join(disk.root_uuid()?),
        )?;
        Ok(())
    }
}

impl Drop for Chroot {
    fn drop(&mut self) {
        // Innermost last in, first out.
        while let Some(mount) = self.mounts.pop() {
            drop(mount);
        }
    }
}
