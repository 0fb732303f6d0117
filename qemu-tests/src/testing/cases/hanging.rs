//! A disk that hangs in the very record that another root follows from.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use rootshift::journal::{Record, frame};

use super::Bench;
use crate::expectations::attempts;
use crate::machine::{Disk, End, Outcome};
use crate::scenario::{Wishes, arm_as_wished, prove};
use crate::sweep::fuse::{Answer, Store};
use crate::sweep::served::Served;

/// Deadlines of seconds instead of minutes.
const IMPATIENT: &str = r#"
sed --in-place 's|^/sbin/rootshift boot|& --deadlines 20,5|' \
    /usr/share/initramfs-tools/scripts/local-premount/rootshift
grep deadlines /usr/share/initramfs-tools/scripts/local-premount/rootshift
"#;

/// The guard says this and restarts the machine, without a word to the disk.
const UNDECIDED: &str = "it is not known which system is root: the machine is restarted";

/// A program that is killed ends only when the disk has answered it.
const LONGEST: Duration = Duration::from_secs(100);

/// The machine restarts while the disk hangs; the next boot reads what it has.
pub(super) fn in_the_commit(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let wishes = Wishes {
        before: IMPATIENT,
        ..Wishes::default()
    };
    let armed = arm_as_wished(context, &context.image, "test-hanging-armed", wishes)?;
    let outcome = boot_on_hanging(bench, "test-hanging", &armed.disk)?;
    let told = outcome.line(UNDECIDED).is_some();
    outcome.expect(&End::Reset)?;
    ensure!(told, "it restarted, and did not say \"{UNDECIDED}\"");
    let disk = Disk::Raw(armed.disk.clone());
    // The old root was named last; the disk has the commit, and the next boot goes on behind it.
    let proof = prove(context, "test-hanging-proof", &disk, &armed)?;
    let found = attempts(&proof.log_json)?;
    ensure!(found == 1, "{found} boots took the migration up, not 1");
    Ok(())
}

/// One boot of a machine whose disk hangs from the commit on, until the restart was announced.
fn boot_on_hanging(bench: &Bench, name: &str, disk: &Path) -> Result<Outcome> {
    let context = &bench.context;
    let hold = Hold::default();
    let store = Hanging {
        file: File::options().read(true).write(true).open(disk)?,
        size: fs::metadata(disk)?.len(),
        commit: serde_json::to_vec(&Record::Committed)?,
        has_commit: false,
        hold: hold.clone(),
    };
    let served = Served::start(context.place(name, "shown.raw")?, store)?;
    let mut machine = context.machine(name, &Disk::Raw(served.path().to_path_buf()));
    machine.processors = 1;
    let console = context.place(name, "console.log")?;
    _ = fs::remove_file(&console); // an earlier run's says the same
    let outcome = release_when_told(&console, &hold, || context.power_on(&machine));
    served.finish()?;
    ensure!(hold.was_reached(), "nothing was committed in that boot");
    outcome
}

/// Lets go of the disk when the guest has said that it restarts, or has ended otherwise.
fn release_when_told<T>(console: &Path, hold: &Hold, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) && !has_line(console, UNDECIDED) {
                std::thread::sleep(Duration::from_millis(100));
            }
            hold.release();
        });
        let done = work();
        is_over.store(true, Ordering::SeqCst);
        done
    })
}

fn has_line(console: &Path, text: &str) -> bool {
    fs::read_to_string(console).is_ok_and(|said| said.contains(text))
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Held {
    #[default]
    NotYet,
    Now,
    Released,
}

/// Holds the thread that serves the disk: it has one for all requests.
#[derive(Debug, Default, Clone)]
struct Hold(Arc<(Mutex<Held>, Condvar)>);

impl Hold {
    fn held(&self) -> MutexGuard<'_, Held> {
        let (held, _) = &*self.0;
        held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for [`Hold::release`], once.
    fn wait(&self) {
        let (_, released) = &*self.0;
        let mut held = self.held();
        if *held == Held::NotYet {
            *held = Held::Now;
            let waits = |held: &mut Held| *held == Held::Now;
            let waited = released.wait_timeout_while(held, LONGEST, waits);
            *waited.unwrap_or_else(PoisonError::into_inner).0 = Held::Released;
        }
    }

    fn release(&self) {
        let (_, released) = &*self.0;
        let mut held = self.held();
        if *held == Held::Now {
            *held = Held::Released;
        }
        released.notify_all();
    }

    fn was_reached(&self) -> bool {
        *self.held() != Held::NotYet
    }
}

/// A raw image. The superblock by which the commit's record becomes durable is written, and then
/// nothing is answered any more.
#[derive(Debug)]
struct Hanging {
    file: File,
    size: u64,
    /// The record as it is in the journal.
    commit: Vec<u8>,
    has_commit: bool,
    hold: Hold,
}

impl Hanging {
    fn brings_the_commit(&self, data: &[u8]) -> bool {
        let mut sectors = (0..data.len()).step_by(frame::SECTOR);
        sectors.any(|at| {
            let frame = data.get(at..).map(frame::decode);
            frame.is_some_and(|frame| frame.is_ok_and(|frame| frame.payload == self.commit))
        })
    }
}

/// By its magic number (btrfs-dev-docs, on-disk format).
fn is_superblock(data: &[u8]) -> bool {
    data.get(0x40..0x48) == Some(b"_BHRfS_M")
}

fn errno(error: std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Store for Hanging {
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
        self.has_commit |= self.brings_the_commit(data);
        let written = self.file.write_all_at(data, offset);
        if self.has_commit && is_superblock(data) {
            self.hold.wait();
        }
        written.map_err(errno)
    }

    /// What the host holds is safe from a guest that restarts.
    fn flush(&mut self) -> Answer<()> {
        Ok(())
    }
}
