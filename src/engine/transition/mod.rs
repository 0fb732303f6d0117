//! What may be done where: one table for every command and every boot. Pure: what was seen of the
//! machine is handed in, and what is to be done comes out, in order, or why nothing is.
//!
//! The commands ask it, `status` computes what to type from it, and a model checker walks through
//! all that it can lead to (tests/model.rs).

mod span;
mod table;

use serde::Serialize;

use super::{Error, Stage, State};
use crate::documents::Plan;
pub use table::answer;

/// So many rehearsals in a row may come to nothing; then a validation by hand lets them go on.
pub const REHEARSALS: u32 = 3;

/// The system that is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The one from before the migration.
    Old,
    /// The one that the plan makes.
    New,
    /// Another one on the same disk, as a snapshot.
    Another,
    /// None: this is the initramfs, before root is mounted.
    Initramfs,
    /// There is no plan to hold it against.
    Unknown,
}

/// The initramfs images that the boot loader can load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Images {
    /// Each of them was looked into, and holds the plan.
    Armed,
    /// None of them holds a plan.
    Ordinary,
    /// Some do.
    Mixed,
    /// They were not looked into, or can't be.
    Unknown,
}

/// The journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Book {
    /// There is none.
    Missing,
    /// It is not what was written, or can't be read.
    Damaged,
    /// The plan beside it is another's.
    Foreign,
    /// It was written by another version.
    OtherVersion,
    /// It can be used.
    Sound(Known),
}

/// What follows from a sound journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Known {
    /// Where it stands.
    pub stage: Stage,
    /// Whether the images hold the plan, by the journal.
    pub armed: bool,
    /// Whether steps have an effect that is not taken back.
    pub work: bool,
    /// Whether another boot may take it up, be a trial, or a rehearsal.
    pub boots_left: bool,
    /// Whether a failure is taken back by itself.
    pub takes_back: bool,
}

/// What was seen of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Situation {
    /// The journal.
    pub book: Book,
    /// The images that may be loaded next; [`Images::Unknown`] where the event does not ask.
    pub images: Images,
    /// Whether the images that are made from now on hold a plan.
    pub offered: bool,
    /// The system that is root.
    pub running: Seen,
    /// Whether the boot loader by itself named the root that is mounted.
    pub loader_agrees: bool,
    /// Whether the old system is there to go back to, where that matters.
    pub old_is_there: bool,
}

/// A command, or a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// `rootshift arm`.
    Arm,
    /// `rootshift arm --renew`.
    Renew,
    /// `rootshift disarm`.
    Disarm,
    /// `rootshift disarm --discard-journal`.
    DiscardJournal,
    /// `rootshift package --before-removal`: the package asks whether it may go.
    RemovePackage,
    /// `rootshift rollback`.
    Rollback,
    /// `rootshift rollback --to`, to a checkpoint before the commit.
    ReturnTo,
    /// `rootshift rollback --emergency`, once the time is up.
    Emergency,
    /// `rootshift finalize`.
    Finalize,
    /// `rootshift finalize --resume`.
    Resume,
    /// `rootshift validate`.
    Validate,
    /// `rootshift recover`.
    Recover,
    /// `rootshift run`, of phases that belong to the old system or to the new one.
    Run {
        /// To the old one.
        before: bool,
    },
    /// A boot whose image holds this plan.
    Boot {
        /// Whether the kernel command line by itself names the new root.
        loader_names_new: bool,
    },
}

/// One durable act. Each may be repeated after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// The plan is frozen, and its journal begun; an older one is kept aside.
    Freeze,
    /// The images that are made from now on hold the plan.
    Offer,
    /// They hold none.
    Withdraw,
    /// Every image is made anew, one after the other.
    MakeImages,
    /// Every image is seen to hold the plan; recorded: armed.
    RecordArmed,
    /// The same where something is under way already.
    RecordRearmed,
    /// Every image is seen to hold none; recorded.
    RecordDisarmed,
    /// It is recorded that the plan is taken back; the images can't be reached from here.
    GiveUpPlan,
    /// Every image is seen to hold none; there is no journal.
    LookOrdinary,
    /// What was prepared is deleted.
    TakeBack,
    /// The same, of what came after a checkpoint; recorded: armed.
    ReturnTo,
    /// The images are seen to hold the plan as they are now; recorded.
    RecordRenewed,
    /// Recorded: the next boot goes back.
    RequestRollback,
    /// The old system is root again: boot path first, then names.
    RollBack,
    /// Recorded: the new system is on trial anew, for there is nothing to go back to.
    CallOffRollback,
    /// Recorded: there is no way back.
    BeginFinalize,
    /// The old system is deleted, and that recorded.
    Delete,
    /// The journal is kept aside.
    PutJournalAside,
    /// The verdict on the running system is recorded.
    RecordVerdict,
    /// It is said that another boot is needed first.
    AwaitRehearsal,
    /// Steps, proof and commit.
    Migrate,
    /// Recorded: no boot tries again.
    GiveUp,
    /// Recorded: a boot in which the new system has to pass its validation.
    CountTrial,
    /// The boot path leads to the new system.
    CompleteCommit,
    /// Recorded: a boot in which the image overrides nothing.
    BeginRehearsal,
    /// Recorded: one that came to nothing.
    FailRehearsal,
}

/// What there is to do in place of what was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Nothing: it is at its end.
    Nothing,
    /// A restart of the machine.
    Reboot,
    /// This command.
    Command(Event),
    /// `rootshift status`, which says more.
    Status,
    /// The version of rootshift that wrote the journal.
    OtherVersion,
}

impl std::fmt::Display for Remedy {
    /// To be set behind the reason.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is nothing left to do"),
            Self::Reboot => f.write_str("reboot"),
            Self::Command(event) => write!(f, "run `{}`", event.command()),
            Self::Status => f.write_str("see `rootshift status`"),
            Self::OtherVersion => f.write_str("use the version that armed this machine"),
        }
    }
}

impl Event {
    /// What a person types.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Arm => "rootshift arm",
            Self::Renew => "rootshift arm --renew",
            Self::Disarm => "rootshift disarm",
            Self::DiscardJournal => "rootshift disarm --discard-journal",
            Self::RemovePackage => "rootshift package --before-removal",
            Self::Rollback => "rootshift rollback",
            Self::ReturnTo => "rootshift rollback --to",
            Self::Emergency => "rootshift rollback --emergency",
            Self::Finalize => "rootshift finalize",
            Self::Resume => "rootshift finalize --resume",
            Self::Validate => "rootshift validate",
            Self::Recover => "rootshift recover",
            Self::Run { .. } => "rootshift run",
            Self::Boot { .. } => "reboot",
        }
    }
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// A half sentence.
    pub why: &'static str,
    /// What works in this very situation.
    pub remedy: Remedy,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.why, self.remedy)
    }
}

/// What follows from an event.
pub type Answer = Result<Vec<Act>, Refusal>;

/// Asks the table, for a command.
///
/// # Errors
/// What it refuses, in words.
pub fn ask(now: &Situation, event: Event) -> Result<Vec<Act>, Error> {
    answer(now, event).map_err(|refusal| Error::NotNow(refusal.to_string()))
}

/// The root that a boot with an armed image names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    /// None: it is left to the kernel command line.
    AsGiven,
    /// The new one.
    New,
    /// The old one, wherever it is kept.
    Old,
}

/// The root that the journal names.
#[must_use]
pub fn named(stage: Stage) -> Named {
    match stage {
        Stage::Planned | Stage::Armed | Stage::Preparing | Stage::Failed | Stage::Disarmed => {
            Named::AsGiven
        }
        Stage::Committed
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::RollbackRequested
        | Stage::Finalizing
        | Stage::Finalized => Named::New,
        Stage::RollingBack | Stage::RolledBack => Named::Old,
    }
}

/// What the images should be, as far as the journal asks for anything.
#[must_use]
pub fn wanted(known: &Known) -> Option<Images> {
    match known.stage {
        Stage::Armed
        | Stage::Preparing
        | Stage::Committed
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::RollbackRequested
        | Stage::RollingBack => Some(Images::Armed),
        Stage::Failed | Stage::RolledBack if known.armed => None,
        Stage::Planned
        | Stage::Failed
        | Stage::RolledBack
        | Stage::Disarmed
        | Stage::Finalizing
        | Stage::Finalized => Some(Images::Ordinary),
    }
}

impl Known {
    /// Of a journal and its plan; without one nothing is at its limit.
    #[must_use]
    pub fn of(state: &State, plan: Option<&Plan>) -> Self {
        let (attempts, trials) = match plan {
            Some(plan) => (plan.attempts, plan.trial_boots),
            None => (u32::MAX, u32::MAX),
        };
        let boots_left = match state.stage {
            Stage::Committed => state.trials < trials,
            Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => {
                state.rehearsals < REHEARSALS
            }
            Stage::Planned
            | Stage::Armed
            | Stage::Preparing
            | Stage::RollbackRequested
            | Stage::RollingBack
            | Stage::RolledBack
            | Stage::Failed
            | Stage::Disarmed
            | Stage::Finalizing
            | Stage::Finalized => state.attempts < attempts,
        };
        Self {
            stage: state.stage,
            armed: state.armed,
            work: state.has_work(),
            boots_left,
            takes_back: plan.is_none_or(|plan| plan.rollback_enabled),
        }
    }
}
