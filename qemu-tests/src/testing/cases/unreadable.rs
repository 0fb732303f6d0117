//! A disk that can't be read, from the first step on until the reason was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Result, ensure};
use rootshift::journal::Record;

use super::hardware::LOOK;
use super::shown_disk::{RawImage, boot_on};
use crate::expectations::{ensure_old_layout, why};
use crate::image;
use crate::machine::{Disk, End};
use crate::scenario::{migrate, part, prove};
use crate::sweep::fuse::{Answer, Store};
use crate::sweep::records::records;
use crate::task::Task;
use crate::testing::Bench;

/// In what rootshift says of a failure of the disk; the kernel does not say it so.
const TOLD: &str = "I/O error, in step";

/// The old system boots and says why; the next boot migrates.
pub(super) fn failing_read(bench: &Bench) -> Result<()> {
    let (context, name) = (&bench.context, "test-failing-read");
    let path = context.place(name, "disk.raw")?;
    image::copy(&bench.armed()?.disk, &path)?;
    let disk = Disk::Raw(path.clone());
    let trouble = Arc::new(Trouble::default());
    let store = Unreadable {
        image: RawImage::open(&path)?,
        trouble: Arc::clone(&trouble),
    };
    let get_well = || trouble.is_over.store(true, Ordering::SeqCst);
    let run = |machine| context.run(machine, &Task::new(LOOK));
    let machine = context.machine(name, &disk);
    let outcome = boot_on(bench, machine, store, (TOLD, &get_well), &run)?;
    let failed = trouble.failed.load(Ordering::SeqCst);
    ensure!(
        failed > 0,
        "nothing was read after the first step had begun"
    );
    println!("     {failed} reads failed");
    outcome.expect(&End::PoweredOff)?;
    let said = outcome.task(0)?;
    ensure_old_layout(&part(said, "layout")?)?;
    let told = why(&part(said, "status")?)?;
    ensure!(told.contains("I/O error"), "`status` says: {told}");
    println!("     failing reads are told as: {told}");
    migrate(context, &format!("{name}-again"), &disk, 1)?;
    prove(
        context,
        &format!("{name}-proof"),
        &disk,
        bench.armed()?.as_ref(),
    )?;
    Ok(())
}

#[derive(Debug, Default)]
struct Trouble {
    has_begun: AtomicBool,
    is_over: AtomicBool,
    /// Reads that were answered with EIO.
    failed: AtomicU64,
}

#[derive(Debug)]
struct Unreadable {
    image: RawImage,
    trouble: Arc<Trouble>,
}

impl Store for Unreadable {
    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
        let Trouble {
            has_begun,
            is_over,
            failed,
        } = &*self.trouble;
        if has_begun.load(Ordering::SeqCst) && !is_over.load(Ordering::SeqCst) {
            failed.fetch_add(1, Ordering::SeqCst);
            return Err(libc::EIO);
        }
        self.image.read(offset, length)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
        if records(data).any(|record| matches!(record, Record::Begun { .. })) {
            self.trouble.has_begun.store(true, Ordering::SeqCst);
        }
        self.image.write(offset, data)
    }

    fn flush(&mut self) -> Answer<()> {
        self.image.flush()
    }
}
