//! A disk that hangs in the very record that another root follows from.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use rootshift::journal::Record;

use super::shown_disk::{RawImage, boot_on};
use crate::expectations::attempts;
use crate::machine::{Disk, End, Machine, Outcome};
use crate::scenario::{Wishes, arm_as_wished, prove};
use crate::sweep::fuse::{Answer, Store};
use crate::sweep::records::records;
use crate::testing::Bench;

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
    let hold = Hold::default();
    let store = Hanging {
        image: RawImage::open(disk)?,
        has_commit: false,
        hold: hold.clone(),
    };
    let machine = bench.context.machine(name, &Disk::Raw(disk.to_path_buf()));
    let power_on = |machine: Machine| bench.context.power_on(&machine);
    let outcome = boot_on(
        bench,
        machine,
        store,
        (UNDECIDED, &|| hold.release()),
        &power_on,
    )?;
    ensure!(hold.was_reached(), "nothing was committed in that boot");
    Ok(outcome)
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

/// The superblock by which the commit's record becomes durable is written, and then nothing is
/// answered any more.
#[derive(Debug)]
struct Hanging {
    image: RawImage,
    has_commit: bool,
    hold: Hold,
}

/// By its magic number (btrfs-dev-docs, on-disk format).
fn is_superblock(data: &[u8]) -> bool {
    data.get(0x40..0x48) == Some(b"_BHRfS_M")
}

impl Store for Hanging {
    fn size(&self) -> u64 {
        self.image.size()
    }

    fn read(&mut self, offset: u64, length: usize) -> Answer<Vec<u8>> {
        self.image.read(offset, length)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Answer<()> {
        self.has_commit |= records(data).any(|record| record == Record::Committed);
        let written = self.image.write(offset, data);
        if self.has_commit && is_superblock(data) {
            self.hold.wait();
        }
        written
    }

    fn flush(&mut self) -> Answer<()> {
        self.image.flush()
    }
}
