//! A migration's life in a virtual machine, with all that its disk was told.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::image;
use crate::machine::{Disk, End, fork};
use crate::proof::NOTES_SIZE;
use crate::run::{run, tool};
use crate::scenario::Context;
use crate::task::Task;
use crate::write_log::WriteLog;

/// A part of that life, recorded on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chapter {
    /// `rootshift arm`: the plan, the journal, and every image made anew.
    Arm,
    /// The boot that migrates.
    Migrate,
    /// The first boot of the new system, up to its verdict.
    Trial,
    /// `rootshift rollback`, and the boot that carries it out.
    RollBack,
    /// `rootshift finalize`.
    Finalize,
}

impl Chapter {
    /// In the order of a life.
    pub const ALL: [Self; 5] = [
        Self::Arm,
        Self::Migrate,
        Self::Trial,
        Self::RollBack,
        Self::Finalize,
    ];

    /// As in the names of points.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Migrate => "migrate",
            Self::Trial => "trial",
            Self::RollBack => "rollback",
            Self::Finalize => "finalize",
        }
    }

    /// Its share of twelve points.
    pub(super) fn share(self) -> usize {
        match self {
            Self::Arm | Self::RollBack => 3,
            Self::Migrate => 4,
            Self::Trial | Self::Finalize => 1,
        }
    }

    /// What the guest does; none where the initramfs does all of it.
    fn script(self) -> Option<String> {
        let script = match self {
            Self::Arm => "begin\nrootshift arm --yes\n./guest-probe record NOTES\nexit 100",
            Self::Migrate => return None,
            Self::Trial => "rootshift status",
            Self::RollBack => {
                "[ \"$(findmnt --noheadings --output FSROOT /)\" = /@ ] || exit 0\n\
                 begin\nrootshift rollback --yes\nexit 100"
            }
            Self::Finalize => "begin\nrootshift finalize --yes",
        };
        Some(format!("{BEGIN}{script}\n").replace("NOTES", NOTES))
    }

    fn end(self) -> End {
        match self {
            Self::Arm | Self::Migrate => End::Reset,
            Self::Trial | Self::RollBack | Self::Finalize => End::PoweredOff,
        }
    }
}

impl FromStr for Chapter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|chapter| chapter.name() == text);
        found.ok_or_else(|| anyhow!("{text}: the chapters are {:?}", Self::ALL.map(Self::name)))
    }
}

/// Where a guest finds the manifest of the old system.
pub(super) const NOTES: &str = "/dev/disk/by-id/virtio-notes";
/// The bytes by which the beginning of a chapter is found among a boot's other writes.
const MARK: &str = "the chapter of the cut sweep begins";
/// A file that holds them inline in a leaf; the comparison leaves names like this out.
const BEGIN: &str = "set -e
begin() {
    echo 'the chapter of the cut sweep begins' > /var/tmp/systemd-private-sweep
    sync
}
";
/// Several boots, on a machine that may have other work.
pub(super) const LIMIT: Duration = Duration::from_secs(900);
/// The validation may still be at it.
const REHEARSED: &str = "
for second in $(seq 120); do
    rootshift status --json | grep -Eq '\"stage\": ?\"rehearsed\"' && exit 0
    sleep 1
done
exit 1
";
const INSTALL: &str = "set -e\ndpkg --install ./*.deb\n";

/// The recording of a chapter.
#[derive(Debug)]
pub struct Tape {
    /// Which one.
    pub(super) chapter: Chapter,
    /// The raw disk before it.
    pub(super) base: PathBuf,
    /// All writes and flushes.
    pub(super) log: WriteLog,
    /// Positions of the flushes of the chapter itself.
    pub(super) flushes: Vec<usize>,
}

/// All of them.
#[derive(Debug)]
pub struct Life {
    /// In the order of a life.
    pub(super) tapes: Vec<Tape>,
    /// The manifest of the old system.
    pub(super) notes: PathBuf,
}

impl Life {
    /// Lives it once: armed, migrated, tried; then rolled back, and from the trial finalized.
    pub(super) fn record(context: &Context) -> Result<Self> {
        let notes = context.place("sweep", "notes.raw")?;
        _ = std::fs::remove_file(&notes);
        let size = NOTES_SIZE.to_string();
        run(tool("truncate").args(["--size", &size]).arg(&notes))?;
        let studio = Studio { context, notes };
        let installed = studio.installed()?;
        let arm = studio.tape(Chapter::Arm, installed)?;
        let migrate = studio.tape(Chapter::Migrate, studio.end_of(&arm)?)?;
        let trial = studio.tape(Chapter::Trial, studio.end_of(&migrate)?)?;
        let validated = studio.end_of(&trial)?;
        let rollback = studio.tape(Chapter::RollBack, validated.clone())?;
        let rehearsed = studio.rehearsed(validated)?;
        let finalize = studio.tape(Chapter::Finalize, rehearsed)?;
        Ok(Self {
            tapes: vec![arm, migrate, trial, rollback, finalize],
            notes: studio.notes,
        })
    }

    pub(super) fn flushes(&self) -> usize {
        self.tapes.iter().map(|tape| tape.flushes.len()).sum()
    }

    pub(super) fn tape(&self, chapter: Chapter) -> Result<&Tape> {
        let found = self.tapes.iter().find(|tape| tape.chapter == chapter);
        found.with_context(|| format!("{} was not recorded", chapter.name()))
    }
}

struct Studio<'a> {
    context: &'a Context,
    notes: PathBuf,
}

impl Studio<'_> {
    /// A Debian with the package, not armed.
    fn installed(&self) -> Result<PathBuf> {
        let disk = self.context.place("sweep-install", "disk.raw")?;
        image::copy(&self.context.image, &disk)?;
        let machine = self
            .context
            .machine("sweep-install", &Disk::Raw(disk.clone()));
        let task = Task::new(INSTALL).file(&self.context.deb);
        let outcome = self.context.run(machine, &task)?;
        outcome.task(0)?;
        outcome.expect(&End::PoweredOff)?;
        Ok(disk)
    }

    /// The disk after the boot in which the boot loader alone named the new system.
    fn rehearsed(&self, validated: PathBuf) -> Result<PathBuf> {
        let disk = self.context.place("sweep-rehearsal", "disk.raw")?;
        image::copy(&validated, &disk)?;
        let machine = self
            .context
            .machine("sweep-rehearsal", &Disk::Raw(disk.clone()));
        let outcome = self.context.run(machine, &Task::new(REHEARSED))?;
        outcome.task(0)?;
        outcome.expect(&End::PoweredOff)?;
        Ok(disk)
    }

    fn tape(&self, chapter: Chapter, base: PathBuf) -> Result<Tape> {
        let name = format!("sweep-{}", chapter.name());
        let context = self.context;
        let disk = fork(
            &context.tools.qemu,
            &base,
            &context.place(&name, "disk.qcow2")?,
        )?;
        let log = context.place(&name, "writes.log")?;
        let mut machine = context.machine(&name, &disk);
        machine.write_log = Some(log.clone());
        machine.notes = Some(self.notes.clone());
        machine.reboots = chapter == Chapter::RollBack;
        machine.limit = LIMIT;
        let outcome = match chapter.script() {
            Some(script) => context.run(machine, &Task::new(script).file(&context.probe))?,
            None => context.power_on(&machine)?,
        };
        outcome
            .expect(&chapter.end())
            .with_context(|| format!("record {}", chapter.name()))?;
        let log = WriteLog::open(&log)?;
        let begin = log.find(MARK.as_bytes())?.unwrap_or_default();
        let mut flushes = log.flush_points();
        flushes.retain(|flush| *flush >= begin);
        Ok(Tape {
            chapter,
            base,
            log,
            flushes,
        })
    }

    /// The disk after all of it, for the chapter that follows.
    fn end_of(&self, tape: &Tape) -> Result<PathBuf> {
        let name = format!("sweep-{}", tape.chapter.name());
        let disk = self.context.place(&name, "after.raw")?;
        tape.log
            .rebuild(&tape.base, tape.log.entries().len(), &disk)?;
        Ok(disk)
    }
}

/// Makes `disk`: as a cut right after this flush leaves it, with some of the writes since.
pub(super) fn disk_at(
    tape: &Tape,
    flush: usize,
    keep: &mut dyn FnMut() -> bool,
    disk: &Path,
) -> Result<()> {
    let position = tape.flushes.get(flush).copied();
    let position = position.with_context(|| format!("there is no flush {flush}"))?;
    image::copy(&tape.base, disk)?;
    let mut kept = tape.log.durable(position + 1);
    let since = tape.log.entries().iter().skip(position + 1);
    let since = since.take_while(|entry| !entry.is_flush());
    kept.extend(since.filter(|_| keep()));
    tape.log.apply(&kept, disk)
}
