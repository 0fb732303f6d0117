//! Where things lie: the project's root, the build directory and what the harness keeps in it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The project on disk. Everything the harness writes lies under its build directory.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace this binary was built from; the build directory follows `CARGO_TARGET_DIR`.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("qemu-tests lies inside the workspace")?
            .to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The project's top directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's build directory.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Cached trees and disk images, one name a recipe.
    pub fn images(&self) -> Result<PathBuf> {
        self.directory("images")
    }

    /// The directory of one machine: its disks, console and agent output. Emptied by no one.
    pub fn machine(&self, name: &str) -> Result<PathBuf> {
        self.directory(&format!("machines/{name}"))
    }

    /// The QEMU that is unpacked for this workspace alone.
    pub fn qemu(&self) -> PathBuf {
        self.target.join("qemu")
    }

    fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(path)
    }
}
