//! A disk that this process shows as a file (FUSE), with a loop device on that file.

use std::fs;
use std::sync::Arc;

use anyhow::Result;

use super::fuse::Store;
use super::host::{Host, Setting};
use super::served::Served;

/// A machine whose disk is a store of this process.
#[derive(Debug)]
pub struct Shown<S> {
    /// The machine.
    pub host: Host,
    served: Served<S>,
}

impl<S: Store + Send + 'static> Shown<S> {
    /// Shows it, in the folder of this name.
    pub fn start(setting: &Arc<Setting>, name: &str, store: S) -> Result<Self> {
        let folder = setting.folder.join(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("shown.img");
        let served = Served::start(file.clone(), store)?;
        let host = Host::on(setting, folder, file)?;
        Ok(Self { host, served })
    }

    /// Ends it. Nothing of the disk may be mounted.
    pub fn finish(self) -> Result<S> {
        drop(self.host);
        self.served.finish()
    }
}
