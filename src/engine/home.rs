//! rootshift's own place: the subvolume `.rootshift` at the top level, with plan and journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::boot::Naming;
use super::finalize::forget as forget_decision;
use super::trial::TrialMount;
use super::{Error, State};
use crate::checks::MountedFilesystem;
use crate::documents::plan::{HOME, JOURNAL, PLAN, PlannedPhase, STAGING, digest, tag};
use crate::documents::{self, Plan, json};
use crate::fault;
use crate::journal::{Journal, Record};
use crate::report::progress::{Progress, Sink};
use crate::report::signs::{Sign, give};
use crate::sys::{FileKind, Root, Status, btrfs, process};

/// A frozen plan with its bytes' digest.
#[derive(Debug, Clone)]
pub struct FrozenPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The digest of its bytes.
    pub digest: String,
    /// Ties the journal's records to it.
    pub tag: u64,
}

impl FrozenPlan {
    /// Takes a plan's bytes as they were frozen.
    ///
    /// # Errors
    /// When they are no plan of this version.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, documents::Error> {
        Ok(Self {
            plan: Arc::new(Plan::parse(file, bytes)?),
            digest: digest(bytes),
            tag: tag(bytes),
        })
    }
}

/// A migration that is under way: its frozen plan, its journal and what the journal says.
#[derive(Debug)]
pub struct Migration {
    /// The plan beside the journal.
    pub frozen: FrozenPlan,
    /// The plan's other file systems, as far as they are mounted; none unless the caller looked.
    pub others: Arc<Vec<MountedFilesystem>>,
    /// What went wrong, where the journal could not be told.
    pub unnoted: Option<String>,
    /// Lines of the new fstab that are to be mounted on trial, once all is prepared and proved.
    pub(super) trial: Option<Vec<TrialMount>>,
    /// Tells after each record which root it names; none unless the caller wants that.
    pub(super) naming: Option<Naming>,
    journal: Journal,
    state: State,
    progress: Progress,
}

impl Migration {
    /// Opens plan and journal at the top level; `None` when nothing was ever armed.
    ///
    /// # Errors
    /// When the journal is damaged or held by another process, or does not belong to the plan.
    pub fn open(top: &Root) -> Result<Option<Self>, Error> {
        if !is_there(top)? || !top.exists(Path::new(JOURNAL))? {
            return Ok(None);
        }
        Self::of(top, Journal::open(top, Path::new(JOURNAL))?)
    }

    /// As [`Migration::open`], whoever holds the journal. Nothing can be recorded.
    ///
    /// # Errors
    /// When the journal is damaged, or does not belong to the plan.
    pub fn look(top: &Root) -> Result<Option<Self>, Error> {
        if !is_there(top)? || !top.exists(Path::new(JOURNAL))? {
            return Ok(None);
        }
        Self::of(top, Journal::look(top, Path::new(JOURNAL))?)
    }

    fn of(top: &Root, journal: Journal) -> Result<Option<Self>, Error> {
        let Some(state) = State::after(journal.entries().iter().map(|entry| &entry.record)) else {
            return Ok(None);
        };
        let bytes = top.read(Path::new(PLAN))?;
        let frozen = FrozenPlan::from_bytes(PLAN, &bytes)?;
        if frozen.digest != state.plan || frozen.tag != journal.tag() {
            return Err(foreign_plan());
        }
        Ok(Some(Self::new(frozen, journal, state)))
    }

    fn new(frozen: FrozenPlan, journal: Journal, state: State) -> Self {
        Self {
            frozen,
            others: Arc::default(),
            unnoted: None,
            trial: None,
            naming: None,
            journal,
            state,
            progress: Progress::hidden(),
        }
    }

    /// Freezes a plan and begins its journal. Durable when it returns. An ended migration's
    /// journal is kept as `journal.1`, `journal.2` and so on.
    ///
    /// # Errors
    /// When something can't be written; then nothing is armed.
    pub fn begin(top: &Root, plan: &Plan, program: &str) -> Result<Self, Error> {
        make(top)?;
        put_aside(top, Path::new(JOURNAL))?;
        forget_decision(top)?;
        let bytes = plan.to_bytes()?;
        top.replace_private_file(Path::new(PLAN), &bytes)?;
        top.sync_filesystem()?;
        let frozen = FrozenPlan::from_bytes(PLAN, &bytes)?;
        let mut journal = Journal::create(top, Path::new(JOURNAL), frozen.tag)?;
        let started = Record::Started {
            batch_id: plan.batch_id.clone(),
            plan: frozen.digest.clone(),
            program: program.to_owned(),
        };
        journal.append(started.clone())?;
        top.sync_filesystem()?;
        let state = State::after([&started])
            .ok_or_else(|| Error::NotNow("the journal could not be begun".into()))?;
        Ok(Self::new(frozen, journal, state))
    }

    /// The frozen plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.frozen.plan
    }

    /// What the journal says.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The transaction in which the journal was begun, on its own file system.
    pub(super) fn armed_in(&self, top: &Root) -> Result<Option<u64>, Error> {
        let Some(status) = top.status(Path::new(JOURNAL))? else {
            return Ok(None);
        };
        if btrfs::filesystem(top)?.uuid != self.plan().filesystem.uuid {
            return Ok(None);
        }
        let made = btrfs::inode(&top.held(Path::new(HOME))?, status.inode)?;
        Ok(made.map(|made| made.born()))
    }

    /// The journal, to be read.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Shows from now on how far the plan's steps are.
    pub fn show_progress(&mut self, sinks: Vec<Box<dyn Sink>>) {
        self.progress = Progress::new(vec![1; self.frozen.plan.steps().len()], sinks);
    }

    /// How far it is.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Says that a step is open, begun just now or by an earlier boot.
    pub fn announce(&mut self, step: &str) {
        let phases = &self.frozen.plan.phases;
        let has = |phase: &&PlannedPhase| {
            let mut steps = phase.viscripts.iter().flat_map(|script| &script.steps);
            steps.any(|own| own.id == step)
        };
        let phase = phases.iter().find(has);
        let phase = phase.map_or("", |phase| phase.name.as_str());
        let number = self.state.done.len() + self.state.open.len();
        self.progress.step(phase, number, step);
        give(Sign::At(&format!("in step {step}")));
    }

    /// Appends a record and follows it. The record is durable when it returns; what was done
    /// before it is durable only after `syncfs`.
    ///
    /// # Errors
    /// When the record could not be made durable: the caller goes no further.
    pub fn record(&mut self, record: Record) -> Result<(), Error> {
        tell(&record);
        let place = place_after(&record);
        if self.naming.is_some() && decides(&record) {
            give(Sign::Undecided);
            fault::reached(fault::DECIDING);
        }
        self.journal.append(record)?;
        let records = self.journal.entries().iter().map(|entry| &entry.record);
        if let Some(state) = State::after(records) {
            self.state = state;
        }
        give(Sign::At(&place));
        if let Some(naming) = &self.naming {
            naming.tell(&self.state, &self.frozen.plan);
        }
        Ok(())
    }

    /// Takes a tail that a cut left off the journal; it never counted. Durable when it returns.
    ///
    /// # Errors
    /// When that can't be done; the next opening drops it all the same.
    pub fn drop_tail(&mut self) -> Result<(), Error> {
        self.journal.drop_tail()?;
        Ok(())
    }

    /// Notes why nothing was done, once.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub fn refuse(&mut self, reason: &str) -> Result<(), Error> {
        let refused = Record::Refused {
            reason: reason.to_owned(),
        };
        if self
            .journal
            .entries()
            .last()
            .is_some_and(|entry| entry.record == refused)
        {
            return Ok(());
        }
        self.record(refused)
    }
}

/// The plan beside the journal is not the journal's.
pub(super) fn foreign_plan() -> Error {
    let reason = format!("{PLAN} is not the plan that the journal belongs to");
    let remedy = "rootshift disarm --discard-journal";
    Error::Stale { reason, remedy }
}

/// An inventory is longer than a message of the kernel's log may be.
fn tell(record: &Record) {
    if let Record::Inventory { objects, .. } = record {
        return log::debug!("journal: an inventory of {} objects", objects.len());
    }
    let shown = json::text(record).unwrap_or_default();
    log::debug!("journal: {}", String::from_utf8_lossy(&shown));
}

/// Whether another system is root from this record on.
fn decides(record: &Record) -> bool {
    matches!(record, Record::Committed | Record::RollbackBegun { .. })
}

/// Where the work is when this record is durable, for who watches over it.
fn place_after(record: &Record) -> String {
    match record {
        Record::Done { step, .. } => format!("after step {step}"),
        Record::Undone { step } => format!("after step {step} was taken back"),
        Record::Committed => "after the commit".into(),
        _ => "between two steps".into(),
    }
}

/// Makes rootshift's own place where it is missing.
///
/// # Errors
/// When it can't be made, or something of its name is not rootshift's.
pub(super) fn make(top: &Root) -> Result<(), Error> {
    if !is_there(top)? {
        btrfs::create_subvolume(top, Path::new(HOME))?;
    }
    Ok(())
}

/// Whether rootshift's own place is there. Nothing in it is looked at where it may be somebody
/// else's: whoever can write there names the root that is booted.
///
/// # Errors
/// What has its name instead, and what to do about it.
pub(super) fn is_there(top: &Root) -> Result<bool, Error> {
    let Some(status) = top.status(Path::new(HOME))? else {
        return Ok(false);
    };
    let rename = format!("look at what it is and rename it (mv {HOME} {HOME}.old)");
    let (problem, remedy) = if status.kind == FileKind::Symlink {
        ("it is a symlink".to_owned(), rename)
    } else if !is_of_its_kind(top, &status)? {
        ("it is no subvolume".to_owned(), rename)
    } else if status.uid != 0 && process::effective_user_is_root() {
        (format!("it belongs to the user {}", status.uid), rename)
    } else if status.mode & 0o022 != 0 {
        let why = "others than root may write in it".to_owned();
        let remedy = format!("see that all in it is as it was, then chmod 700 {HOME}");
        (why, remedy)
    } else {
        return Ok(true);
    };
    Err(Error::NotNow(format!(
        "{HOME} at the top level of {} is not surely rootshift's: {problem}; nothing is done. On the \
         mounted top level (mount -o subvolid=5), {remedy}",
        top.path().display()
    )))
}

/// On btrfs it is a subvolume, elsewhere a directory.
fn is_of_its_kind(top: &Root, status: &Status) -> Result<bool, Error> {
    let is_btrfs = btrfs::filesystem(top).is_ok();
    Ok(status.is_directory() && (!is_btrfs || btrfs::is_subvolume(top, Path::new(HOME))?))
}

/// Makes the directory in which subvolumes are prepared.
///
/// # Errors
/// When it can't be made.
pub fn make_staging(top: &Root) -> Result<(), Error> {
    Ok(top.create_directories(Path::new(STAGING), 0o700)?)
}

/// Keeps a file under the first free of `name.1`, `name.2` and so on; returns the new name.
///
/// # Errors
/// When it can't be renamed.
pub fn put_aside(top: &Root, path: &Path) -> Result<Option<PathBuf>, Error> {
    if !is_there(top)? || !top.exists(path)? {
        return Ok(None);
    }
    for number in 1..=999 {
        let kept = PathBuf::from(format!("{}.{number}", path.display()));
        if !top.exists(&kept)? {
            top.rename(path, &kept)?;
            return Ok(Some(kept));
        }
    }
    Err(Error::NotNow(format!(
        "999 old journals are kept beside {JOURNAL}; delete some"
    )))
}
