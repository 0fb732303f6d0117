//! Work for a guest: a script and the files it needs, on a disk named "task".
//!
//! The agent in the image unpacks the disk below `/run/task` and runs `run.sh`. What the script
//! prints comes back in [`crate::machine::TaskRun`]. Its exit code: 0, done, power off;
//! [`REBOOTING`], reboot; anything else, power off and red.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::run::{run, tool};

/// The exit code of a script after which the agent reboots the machine.
pub const REBOOTING: i32 = 100;

/// A script and its files.
#[derive(Debug, Clone, Default)]
pub struct Task {
    script: String,
    files: Vec<PathBuf>,
}

impl Task {
    /// A task that runs this script with `sh`, in the directory that holds the files.
    pub fn new(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            files: Vec::new(),
        }
    }

    /// Adds a file of the host, under its own name, mode kept.
    pub fn file(mut self, path: &Path) -> Self {
        self.files.push(path.to_path_buf());
        self
    }

    /// Writes the disk into `home` and returns its path.
    pub fn write(&self, home: &Path) -> Result<PathBuf> {
        let folder = home.join("task");
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("run.sh"), &self.script)?;
        for file in &self.files {
            let name = file
                .file_name()
                .with_context(|| format!("{} has no name", file.display()))?;
            fs::copy(file, folder.join(name))
                .with_context(|| format!("copy {}", file.display()))?;
        }
        let disk = home.join("task.tar");
        let mut tar = tool("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--file"])
            .arg(&disk);
        run(tar.arg("--directory").arg(&folder).arg("."))?;
        Ok(disk)
    }
}
