//! A disk whose writes and flushes are recorded, on this host: this process shows it as a file
//! (FUSE), and a loop device lies on that file.
//!
//! Nothing is cached between: each write of the loop device is one request, and each flush of it
//! is an fsync. (QEMU's blklogwrites behind the FUSE export of qemu-storage-daemon was tried
//! first: with 10.0.2 writes came out with another request's data, measured; why was not looked into.)

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use rootshift::sys::mount;

use super::disk::Disk;
use super::fuse::{Store, serve};
use super::host::{Host, Setting};
use super::tape::Tape;
use crate::run::{run, tool};

/// The disk as it is now, and how it came to be that.
struct Recording {
    now: Disk,
    tape: Tape,
}

impl Store for Recording {
    fn size(&self) -> u64 {
        self.now.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Vec<u8> {
        self.now.read(offset, length)
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.now.write(offset, data);
        self.tape.write(offset, data);
    }

    fn flush(&mut self) {
        self.tape.flush();
    }
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    /// The machine whose disk is recorded.
    pub host: Host,
    server: JoinHandle<Result<Tape>>,
    shown: PathBuf,
}

impl Recorder {
    /// Begins with this disk.
    pub fn start(setting: &Arc<Setting>, name: &str, base: Disk) -> Result<Self> {
        let folder = setting.folder.join(name);
        fs::create_dir_all(&folder)?;
        let shown = folder.join("shown.img");
        fs::write(&shown, "")?;
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.context("open /dev/fuse")?;
        // The mount belongs to the open file, which mount(8) gets as its standard input.
        let mut command = tool("mount");
        command
            .args(["-i", "-t", "fuse", "-o"])
            .arg("fd=0,rootmode=100000,user_id=0,group_id=0,max_read=1048576")
            .args(["rootshift-sweep".as_ref(), shown.as_path()])
            .stdin(device.try_clone()?);
        run(&mut command)?;
        let server = std::thread::spawn(move || {
            let mut recording = Recording {
                now: base.clone(),
                tape: Tape::new(base),
            };
            serve(&device, &mut recording)?;
            Ok(recording.tape)
        });
        let host = Host::on(setting, folder, shown.clone())?;
        Ok(Self {
            host,
            server,
            shown,
        })
    }

    /// Ends it. Nothing of the disk may be mounted.
    pub fn finish(self) -> Result<Tape> {
        drop(self.host);
        mount::unmount(&self.shown)?;
        let tape = self.server.join();
        tape.map_err(|_| anyhow!("the recorder panicked"))?
    }
}
