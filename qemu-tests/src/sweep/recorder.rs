//! A disk whose writes and flushes are recorded, on this host: this process shows it as a file
//! (FUSE), and a loop device lies on that file.
//!
//! Nothing is cached between: each write of the loop device is one request, and each flush of it
//! is an fsync. (QEMU's blklogwrites behind the FUSE export of qemu-storage-daemon was tried
//! first: with 10.0.2 writes came out with another request's data, measured; why was not looked into.)

use std::sync::Arc;

use anyhow::Result;

use super::disk::Disk;
use super::fuse::{Answer, Store};
use super::host::{Host, Setting};
use super::shown::Shown;
use super::tape::Tape;

/// The disk as it is now, and how it came to be that.
#[derive(Debug)]
struct Recording {
    now: Disk,
    tape: Tape,
}

impl Store for Recording {
    fn size(&self) -> u64 {
        self.now.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
        Ok(self.now.read(offset, length))
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
        self.now.write(offset, data);
        self.tape.write(offset, data);
        Ok(())
    }

    fn flush(&mut self) -> Answer<()> {
        self.tape.flush();
        Ok(())
    }
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder(Shown<Recording>);

impl Recorder {
    /// Begins with this disk.
    pub fn start(setting: &Arc<Setting>, name: &str, base: Disk) -> Result<Self> {
        let recording = Recording {
            now: base.clone(),
            tape: Tape::new(base),
        };
        Ok(Self(Shown::start(setting, name, recording)?))
    }

    /// The machine whose disk is recorded.
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// Ends it. Nothing of the disk may be mounted.
    pub fn finish(self) -> Result<Tape> {
        Ok(self.0.finish()?.tape)
    }
}
