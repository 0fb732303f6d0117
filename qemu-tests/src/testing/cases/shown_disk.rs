//! A machine's disk that the harness shows (FUSE): it fails as a case wishes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::machine::{Disk, Machine, Outcome};
use crate::sweep::fuse::{Answer, Store};
use crate::sweep::served::Served;
use crate::testing::Bench;

/// Runs a machine, with one processor, on a disk that is shown by a store. When its console has
/// the text, and at the latest when it has ended, the act is done, once.
pub(super) fn boot_on<S: Store + Send + 'static>(
    bench: &Bench,
    mut machine: Machine,
    store: S,
    (text, act): (&str, &(dyn Fn() + Sync)),
    run: &dyn Fn(Machine) -> Result<Outcome>,
) -> Result<Outcome> {
    let place = |file| bench.context.place(&machine.name, file);
    let console = place("console.log")?;
    let served = Served::start(place("shown.raw")?, store)?;
    machine.disk = Some(Disk::Raw(served.path().to_path_buf()));
    machine.processors = 1;
    _ = fs::remove_file(&console); // an earlier run's says the same
    let outcome = when_told(&console, text, act, || run(machine));
    served.finish()?;
    outcome
}

fn when_told<T>(
    console: &Path,
    text: &str,
    act: &(dyn Fn() + Sync),
    work: impl FnOnce() -> T,
) -> T {
    let is_over = AtomicBool::new(false);
    let has_text = || fs::read_to_string(console).is_ok_and(|said| said.contains(text));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) && !has_text() {
                std::thread::sleep(Duration::from_millis(20));
            }
            act();
        });
        let done = work();
        is_over.store(true, Ordering::SeqCst);
        done
    })
}

/// A disk that never fails.
#[derive(Debug)]
pub(super) struct RawImage {
    file: File,
    size: u64,
}

impl RawImage {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Store for RawImage {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
        let mut data = vec![0; length];
        // A request may end behind the file's end.
        let there = self.size.saturating_sub(offset).min(length as u64);
        let (there, _) = data.split_at_mut(usize::try_from(there).unwrap_or(length));
        self.file.read_exact_at(there, offset).map_err(errno)?;
        Ok(data)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
        self.file.write_all_at(data, offset).map_err(errno)
    }

    /// What the host holds is safe from a guest that restarts.
    fn flush(&mut self) -> Answer<()> {
        Ok(())
    }
}

fn errno(error: std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
