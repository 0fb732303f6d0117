//! One point: something goes wrong, and what must hold then and after the machine is well again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rootshift::engine::home::Migration;
use rootshift::engine::{Stage, State};
use rootshift::report::boot_log::BootLog;
use rootshift::sys::{Root, mount};

use super::full;
use super::scene::{act, begin, disk, is_boot};
use super::store::{Faulty, Switch};
use super::trouble::{Fault, Full, Kind, Point, Trouble};
use crate::sweep::Phase;
use crate::sweep::disk::Disk;
use crate::sweep::host::{Host, Setting, System};
use crate::sweep::judge::Judge;
use crate::sweep::life::{Life, finalized};
use crate::sweep::shown::Shown;

/// A pass through the initramfs with a fault may take so long.
const LIMIT: Duration = Duration::from_secs(60);
/// Seconds without a sign of life until a worker is ended, and for the second one in all.
const DEADLINES: &str = "2,1";

/// What a warning says where the disk is the reason.
const WHYS: [&str; 4] = [
    "I/O error",
    "Input/output error",
    "Read-only file system",
    "no progress",
];

/// How a point ended that is not red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Whether it came to the fault at all.
    pub was_hit: bool,
    /// Whether the phase ended as without a fault.
    pub came_through: bool,
    /// Whether the kernel left a name half deleted, and `finalize` refuses.
    pub half_deleted: bool,
    /// How long the phase took.
    pub took: Duration,
}

/// A machine to which things happen.
#[derive(Debug)]
pub struct Victim<'a> {
    /// What all machines have in common.
    pub setting: &'a Arc<Setting>,
    /// What was recorded.
    pub life: &'a Life,
    /// The machine, with a sound disk.
    pub host: &'a Host,
    /// Its number.
    pub number: usize,
    /// How each phase ends when nothing goes wrong.
    pub ends: &'a [(Phase, Essence)],
}

/// Stage, trials, steps done; none without a journal.
pub type Essence = Option<(Stage, u32, usize)>;

/// Where the disk of a machine stands.
pub fn essence(host: &Host) -> Result<Essence> {
    let essence = |state: State| (state.stage, state.trials, state.done.len());
    Ok(host.state()?.map(essence))
}

/// What a boot with something wrong came to.
#[derive(Debug)]
struct Boot {
    /// The root that the initramfs was told to mount; none when that was left to GRUB.
    told: Option<System>,
    restarts: bool,
    took: Duration,
    said: String,
}

/// What the kernel sees when it mounts the root after that.
#[derive(Debug)]
struct Seen {
    /// Where the journal says that it stands.
    state: Option<State>,
    /// Whether something can be written.
    writable: bool,
}

impl Victim<'_> {
    /// Lets it happen, and judges.
    pub fn suffer(&self, point: Point, checks: bool) -> Result<Passed> {
        match point.trouble {
            Trouble::Device(fault) => self.device_fails(point, fault, checks),
            Trouble::Disk { full, flush, left } => {
                self.disk_is_full(point, (full, flush, left), checks)
            }
        }
    }

    fn device_fails(&self, point: Point, fault: Fault, checks: bool) -> Result<Passed> {
        begin(self.host, point.phase, &disk(self.life, point.phase, 0)?)?;
        let base = self.host.disk()?;
        let grub = self.grub(point)?;
        let switch = Switch::default();
        let store = Faulty {
            disk: base,
            switch: switch.clone(),
        };
        let shown = Shown::start(self.setting, &format!("faulty-{}", self.number), store)?;
        switch.arm(Some(fault));
        let booted = match fault.kind {
            kind if kind.passes() => self.boot_until_it_passes(point, &shown.host, &switch),
            _ => self.boot(point, &shown.host),
        };
        let was_hit = switch.was_hit();
        let seen = look(&shown.host);
        let disk = shown.finish()?.disk;
        let boot = booted?;
        let took = boot.took;
        let may_restart = fault.kind.passes() && boot.restarts;
        let counts = was_hit && is_boot(point.phase) && !may_restart;
        if let Some(seen) = seen.as_ref().filter(|_| counts) {
            named_right(&boot, grub, seen.state.as_ref())?;
        }
        let came_through = !was_hit || self.came_through(point, &disk)?;
        // What such a disk did not take is in the log of that boot, in /run.
        let writable = seen.is_some_and(|seen| seen.writable) && !fault.kind.passes();
        if !came_through && is_boot(point.phase) {
            match writable {
                true => self.has_a_reason(&boot.said)?,
                false => says_why(&boot)?,
            }
        }
        let half_deleted = was_hit && self.is_half_deleted(point, fault.kind);
        match half_deleted {
            true => self.only_finalize_suffers(point)?,
            false if was_hit => self.judge(point, checks)?,
            false => {}
        }
        Ok(Passed {
            was_hit,
            came_through,
            half_deleted,
            took,
        })
    }

    fn disk_is_full(
        &self,
        point: Point,
        (full, flush, left): (Full, usize, usize),
        checks: bool,
    ) -> Result<Passed> {
        let base = disk(self.life, point.phase, flush)?;
        begin(self.host, point.phase, &base)?;
        let grub = self.grub(point)?;
        let has_journal = self.host.state()?.is_some();
        ensure!(has_journal, "there is no journal yet");
        let filled = self.host.mounted(|top| full::fill(top, full, left));
        filled.context("fill the disk")?;
        let boot = self.boot(point, self.host)?;
        let took = boot.took;
        if is_boot(point.phase) {
            named_right(&boot, grub, self.host.state()?.as_ref())?;
        }
        let writable = self.host.mounted(|top| Ok(full::is_writable(top)))?;
        let now = essence(self.host).context("the journal on a full disk")?;
        let came_through = self.is_end(point.phase, now);
        // The journal has its room since it was begun.
        if !came_through && is_boot(point.phase) && (writable || full == Full::Data) {
            self.has_a_reason(&boot.said)?;
        }
        let emptied = self.host.mounted(full::empty);
        emptied.context("empty the disk")?;
        self.judge(point, checks)?;
        Ok(Passed {
            was_hit: true,
            came_through,
            half_deleted: false,
            took,
        })
    }

    /// The root that GRUB's configuration names before.
    fn grub(&self, point: Point) -> Result<System> {
        let judge = self.judged(point, false);
        self.host.as_grub(|top| judge.what_grub_boots(top))
    }

    fn boot(&self, point: Point, host: &Host) -> Result<Boot> {
        let begun = Instant::now();
        let acted = act(point.phase, host, self.life.origin(point.phase), None);
        let took = begun.elapsed();
        let left = mount::unmount(&host.mount_point("boot")?).is_ok();
        ensure!(!left, "the top level was left mounted");
        booted(point, host, acted, took)
    }

    /// The disk answers again when the boot has gone on; what it held up ends then.
    fn boot_until_it_passes(&self, point: Point, host: &Host, switch: &Switch) -> Result<Boot> {
        let begun = Instant::now();
        let origin = self.life.origin(point.phase);
        let acted = act(point.phase, host, origin, Some(DEADLINES));
        let took = begun.elapsed();
        switch.release();
        host.settle()?;
        booted(point, host, acted, took)
    }

    /// Whether the phase ended as it does without a fault. Puts the disk into the sound machine.
    fn came_through(&self, point: Point, disk: &Disk) -> Result<bool> {
        self.host.insert(disk)?;
        let now = essence(self.host).context("the journal after the fault")?;
        Ok(self.is_end(point.phase, now))
    }

    /// A boot after the phase's end may have been one trial more.
    fn is_end(&self, phase: Phase, now: Essence) -> bool {
        let ends = self.ends.iter().filter(|(other, _)| *other == phase);
        let mut ends = ends.map(|(_, end)| *end);
        ends.any(|end| match (end, now) {
            (Some((stage, trials, done)), Some(now)) => {
                (stage, done) == (now.0, now.2) && (trials..=trials + 1).contains(&now.1)
            }
            (end, now) => end == now,
        })
    }

    fn has_a_reason(&self, said: &str) -> Result<()> {
        let state = self.host.state()?.context("the journal is gone")?;
        ensure!(
            state.reason.is_some(),
            "at {:?}, and `status` has no reason; it said:\n{said}",
            state.stage
        );
        Ok(())
    }

    /// Where a name is deleted and the leaf beside its own can't be read, btrfs returns that error and
    /// does not abort the transaction (fs/btrfs/ctree.c, btrfs_del_items: push_leaf_left): where
    /// nothing can be read and everything written, half of an entry of a directory is left for ever.
    fn is_half_deleted(&self, point: Point, kind: Kind) -> bool {
        if (point.phase, kind) != (Phase::Finalize, Kind::Reads) {
            return false;
        }
        let told = self.host.check().err().map(|error| format!("{error:#}"));
        told.is_some_and(|told| {
            told.contains("no dir item") && !told.contains("errors found in extent")
        })
    }

    /// The new system is whole, and boots; what is left of the old one can't be deleted.
    fn only_finalize_suffers(&self, point: Point) -> Result<()> {
        let system = self.judged(point, false).goes_on()?;
        ensure!(system == System::New, "it booted the old system");
        let Err(error) = finalized(self.host) else {
            bail!("finalize came to its end, and `btrfs check` was red before");
        };
        let told = format!("{error:#}");
        for word in ["Directory not empty", "btrfs check"] {
            ensure!(told.contains(word), "finalize says {told}");
        }
        Ok(())
    }

    /// From here on it is as after a power cut.
    fn judge(&self, point: Point, checks: bool) -> Result<()> {
        self.judged(point, checks).judge()
    }

    fn judged(&self, point: Point, checks: bool) -> Judge<'_> {
        Judge {
            host: self.host,
            phase: point.phase,
            origin: self.life.origin(point.phase),
            checks,
            may_be_given_up: true,
        }
    }
}

/// What came of a pass through the initramfs, or of a command of the running system.
fn booted(point: Point, host: &Host, acted: Result<bool>, took: Duration) -> Result<Boot> {
    ensure!(took < LIMIT, "it took {:.0} s", took.as_secs_f64());
    let restarts = match acted {
        Err(error) if is_boot(point.phase) => return Err(error),
        // A command of the running system says why, and ends.
        acted => acted.unwrap_or(false),
    };
    Ok(Boot {
        told: host.told()?,
        restarts,
        took,
        said: host.said(),
    })
}

/// What the journal could not take: `status` shows the last warning of this boot, which is in /run.
fn says_why(boot: &Boot) -> Result<()> {
    let log = BootLog::read(None, &boot.said);
    let last = log.last_problem().unwrap_or_default();
    let is_why = WHYS.iter().any(|why| last.contains(why));
    ensure!(
        boot.restarts || is_why,
        "the last warning is no reason; it said:\n{}",
        boot.said
    );
    Ok(())
}

/// The initramfs has to mount the root that the journal names, as the kernel would read it now.
fn named_right(boot: &Boot, grub: System, state: Option<&State>) -> Result<()> {
    let is_new = |stage: Stage| stage.new_system_is_root();
    let wanted = match state {
        Some(state) if is_new(state.stage) => System::New,
        _ => System::Old,
    };
    if boot.restarts {
        ensure!(wanted == System::New, "it restarts without a commit");
        return Ok(());
    }
    let root = boot.told.unwrap_or(grub);
    if root != wanted {
        bail!(
            "the {root:?} root was named ({:?}), and the journal names the {wanted:?} one ({:?})",
            boot.told,
            state.map(|state| state.stage)
        );
    }
    Ok(())
}

/// Mounts it as the initramfs does: read-only first. None when it can't be mounted.
fn look(host: &Host) -> Option<Seen> {
    let at = host.mount_point("top").ok()?;
    mount::mount_top_level_read_only(host.device(), &at).ok()?;
    let state = Root::open(&at)
        .map_err(anyhow::Error::from)
        .and_then(|top| Ok(Migration::open(&top)?));
    let state = state.map(|found| found.map(|migration| migration.state().clone()));
    mount::unmount(&at).ok()?;
    let writable = host.mounted(|top| Ok(full::is_writable(top)));
    Some(Seen {
        state: state.ok()?,
        writable: writable.unwrap_or(false),
    })
}
