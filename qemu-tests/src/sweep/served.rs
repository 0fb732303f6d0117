//! A file that this process shows (FUSE): what is in it a store says.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use rootshift::sys::mount;

use super::fuse::{Store, serve};
use crate::run::{run, tool};

/// A store with its file.
pub struct Served<S> {
    server: JoinHandle<Result<S>>,
    file: PathBuf,
}

impl<S> fmt::Debug for Served<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Served({})", self.file.display())
    }
}

impl<S: Store + Send + 'static> Served<S> {
    /// Shows it at this path.
    pub fn start(file: PathBuf, mut store: S) -> Result<Self> {
        fs::write(&file, "")?;
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.context("open /dev/fuse")?;
        // The mount belongs to the open file, which mount(8) gets as its standard input.
        let mut command = tool("mount");
        command
            .args(["-i", "-t", "fuse", "-o"])
            .arg("fd=0,rootmode=100000,user_id=0,group_id=0,max_read=1048576")
            .args(["rootshift-sweep".as_ref(), file.as_path()])
            .stdin(device.try_clone()?);
        run(&mut command)?;
        let server = std::thread::spawn(move || {
            serve(&device, &mut store)?;
            Ok(store)
        });
        Ok(Self { server, file })
    }

    /// Where it is shown.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Ends it. Nobody may have it open.
    pub fn finish(self) -> Result<S> {
        mount::unmount(&self.file)?;
        let store = self.server.join();
        store.map_err(|_| anyhow!("the server of {} panicked", self.file.display()))?
    }
}
