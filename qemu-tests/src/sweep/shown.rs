//! A disk that this process shows as a file (FUSE), with a loop device on that file.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use rootshift::sys::mount;

use super::fuse::{Store, serve};
use super::host::{Host, Setting};
use crate::run::{run, tool};

/// A machine whose disk is a store of this process.
pub struct Shown<S> {
    /// The machine.
    pub host: Host,
    server: JoinHandle<Result<S>>,
    file: PathBuf,
}

impl<S> fmt::Debug for Shown<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Shown({})", self.file.display())
    }
}

impl<S: Store + Send + 'static> Shown<S> {
    /// Shows it, in the folder of this name.
    pub fn start(setting: &Arc<Setting>, name: &str, mut store: S) -> Result<Self> {
        let folder = setting.folder.join(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("shown.img");
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
        let host = Host::on(setting, folder, file.clone())?;
        Ok(Self { host, server, file })
    }

    /// Ends it. Nothing of the disk may be mounted.
    pub fn finish(self) -> Result<S> {
        drop(self.host);
        mount::unmount(&self.file)?;
        let store = self.server.join();
        store.map_err(|_| anyhow!("the server of the disk panicked"))?
    }
}
