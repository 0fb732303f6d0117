//! What an initramfs does: reads the journal, does what follows from it, names the root.
//!
//! Fail open: whatever goes wrong, the machine boots the root that the journal names, or without
//! a readable journal the one that the kernel command line names.

use super::bootable::Roots;
use super::fits::{look_again, still_fits, still_installed};
use super::home::Migration;
use super::migrate::{self, complete_commit, give_up_trying, migrate, none_ended};
use super::occasion::Occasion;
use super::others::all_there;
use super::rehearsal;
use super::rollback::{discard, present_root, roll_back};
use super::transition::{Act, Book, Event, Images, Known, Named, Seen, Situation, ask, named};
use super::trial::TrialMount;
use super::{Error, Stage, State, old_system};
use crate::bootcfg::cmdline::merge_root_flags;
use crate::bootchain::chosen_subvolume;
use crate::checks::CheckContext;
use crate::documents::Plan;
use crate::documents::plan::After;
use crate::fault;
use crate::journal::Record;
use crate::report::signs::{Sign, give};
use crate::sys::{Root, btrfs};
use std::path::Path;

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The boot goes on as the kernel command line says.
    Ordinary,
    /// The boot goes on with these mount options of the root.
    RootFlags(String),
    /// The same with the new root, once it is seen that it can be booted.
    NewRoot(Roots),
    /// The boot goes on as the kernel command line says, which names the new root by itself.
    Rehearsal(Roots),
    /// All is prepared; these lines of the new fstab are mounted on trial before the commit.
    Trial(Vec<TrialMount>),
    /// The machine restarts through its new boot path.
    Reboot,
}

/// What the initramfs found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Digest of the plan in the image.
    pub image_plan: &'a str,
    /// `rootflags=` of the kernel command line.
    pub root_flags: &'a str,
    /// The kernel's id of this boot.
    pub boot: Option<&'a str>,
    /// The kernel's release, as `uname -r` prints it.
    pub release: Option<&'a str>,
    /// Where a person is asked at a checkpoint.
    pub console: &'a Path,
    /// What this boot is for.
    pub occasion: Occasion,
}

/// Who asked for it wants to see this system.
const MENDING: &str = "the kernel command line asks for a shell, or for recovery, rescue or \
                       emergency mode: nothing is begun nor gone on with; the next ordinary boot \
                       does it";

/// How the process ended that was to do the work of this boot.
#[derive(Debug, Clone, Copy)]
pub struct BrokenOff<'a> {
    /// In words, and where that was.
    pub reason: &'a str,
    /// Whether it had got as far as to count this boot.
    pub counted: bool,
}

/// Tells who watches over this process which root the journal names.
#[derive(Debug)]
pub(super) struct Naming {
    top: Root,
    root_flags: String,
}

impl Naming {
    pub(super) fn tell(&self, state: &State, plan: &Plan) {
        if let Next::RootFlags(flags) = named_root(&self.top, state, plan, &self.root_flags) {
            give(Sign::Root(&flags));
        }
    }
}

/// Does what the journal asks for. Never fails: a failure is noted and the boot goes on.
pub fn boot(top: &Root, migration: &mut Migration, context: &CheckContext, found: Found) -> Next {
    name_after_each_record(top, migration, found.root_flags);
    let before = migration.state().stage;
    let acted = act(top, migration, context, found);
    if let Some(lines) = migration.trial.take() {
        return Next::Trial(lines);
    }
    conclude(top, migration, found, before, acted)
}

/// Goes on once the lines of [`Next::Trial`] were mounted, or could not be. Never fails.
pub fn after_trial(
    top: &Root,
    migration: &mut Migration,
    found: Found,
    trial: Result<(), String>,
) -> Next {
    name_after_each_record(top, migration, found.root_flags);
    let before = migration.state().stage;
    let acted = migrate::after_trial(top, migration, trial);
    conclude(top, migration, found, before, acted)
}

/// Notes a failure, and says what follows.
fn conclude(
    top: &Root,
    migration: &mut Migration,
    found: Found,
    before: Stage,
    acted: Result<(), Error>,
) -> Next {
    if let Err(error) = acted {
        log::error!("{error}");
        if let Err(unwritable) = note(migration, &error) {
            log::error!("{unwritable}");
            migration.unnoted = Some(error.to_string());
        }
    }
    // Only the boot that committed, or went back, restarts: nothing here can loop.
    let went_back = before != Stage::RolledBack && migration.state().stage == Stage::RolledBack;
    if went_back && lacks_modules(top, migration.plan(), found.release) {
        log::warn!("the old system has no modules for this kernel, which is the new one's");
        return Next::Reboot;
    }
    let new_system_was_root = before.new_system_is_root();
    let committed_now = !new_system_was_root && migration.state().stage == Stage::Committed;
    if committed_now && migration.plan().after == After::Reboot {
        return Next::Reboot;
    }
    let next = next(top, migration, found.root_flags);
    let is_due = rehearsal::is_due(migration.state(), migration.plan(), found.root_flags);
    match next {
        // After a rehearsal that came to nothing the new root is named by all means.
        Next::NewRoot(roots) if is_due && before != Stage::Rehearsing => Next::Rehearsal(roots),
        next => next,
    }
}

/// Whether the old system has modules, but none for the running kernel: without them a device may be
/// missing that its fstab names.
pub(super) fn lacks_modules(top: &Root, plan: &Plan, release: Option<&str>) -> bool {
    let old = present_root(top, plan);
    let modules = Path::new(old.trim_start_matches('/')).join("lib/modules");
    let is_there = |path: &Path| matches!(top.resolved_status(path), Ok(Some(_)));
    release.is_some_and(|release| is_there(&modules) && !is_there(&modules.join(release)))
}

/// What a boot does when the process that did its work was killed, hung or gave up: it notes why,
/// and names the root. Durable when it returns, unless the log says otherwise; never fails.
pub fn after_breaking_off(
    top: &Root,
    migration: &mut Migration,
    found: Found,
    broken_off: BrokenOff,
) -> Next {
    fault::reached(fault::NOTING);
    if let Err(error) = count_and_note(migration, broken_off) {
        log::error!("{error}");
    }
    if rehearsal::is_under_way(migration.state(), found.boot) {
        return Next::Ordinary; // as the journal has it: nothing overrides the root in this boot
    }
    named_root(top, migration.state(), migration.plan(), found.root_flags)
}

/// A boot is counted even if its work never got as far: no machine tries for ever.
fn count_and_note(migration: &mut Migration, broken_off: BrokenOff) -> Result<(), Error> {
    let state = migration.state();
    let (attempt, trial) = (state.attempts + 1, state.trials + 1);
    let (attempts, trials) = (migration.plan().attempts, migration.plan().trial_boots);
    let reason = broken_off.reason;
    match state.stage {
        Stage::Armed | Stage::Preparing if !broken_off.counted => {
            if attempt > attempts {
                let error = format!("{}; the last time {reason}", none_ended(attempts));
                let step = "validation".into();
                return migration.record(Record::Failed { step, error });
            }
            migration.record(Record::Attempt { number: attempt })?;
        }
        Stage::Committed if !broken_off.counted && trial <= trials => {
            migration.record(Record::Trial { number: trial })?;
        }
        Stage::Rehearsing => return rehearsal::fail(migration, reason),
        Stage::Failed => return Ok(()), // why it failed matters more
        _ => {}
    }
    migration.refuse(reason)
}

/// Whoever watches over this process hears from now on which root the journal names.
pub(super) fn name_after_each_record(top: &Root, migration: &mut Migration, root_flags: &str) {
    if let Ok(top) = top.within(Path::new(".")) {
        let root_flags = root_flags.to_owned();
        let naming = Naming { top, root_flags };
        naming.tell(migration.state(), migration.plan());
        migration.naming = Some(naming);
    }
}

/// A failure that is in the journal already is not noted twice.
fn note(migration: &mut Migration, error: &Error) -> Result<(), Error> {
    match migration.state().stage {
        // Its own record was written before anything was taken back.
        Stage::Failed if !matches!(error, Error::StepAndUndo { .. }) => Ok(()),
        _ => migration.refuse(&error.to_string()),
    }
}

fn act(
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
    found: Found,
) -> Result<(), Error> {
    let stage = migration.state().stage;
    if stage != Stage::RollbackRequested
        && stage.new_system_is_root()
        && !new_root_is_there(top, migration)
    {
        return Err(Error::NotNow(format!(
            "the journal says that the subvolume {} is root, and it is missing: nothing is done",
            migration.plan().root_subvolume()
        )));
    }
    let now = Situation {
        book: Book::Sound(Known::of(migration.state(), Some(migration.plan()))),
        images: Images::Armed, // one of them runs this
        offered: true,
        running: Seen::Initramfs,
        loader_agrees: true,
        old_is_there: !matches!(stage, Stage::Committed | Stage::RollbackRequested)
            || old_system::problem(top, migration.plan(), migration.state()).is_none(),
    };
    let names_new = loader_names_new(migration.plan(), found.root_flags);
    let event = Event::Boot {
        loader_names_new: names_new,
    };
    let mut acts = ask(&now, event)?.into_iter();
    acts.try_for_each(|act| carry_out(act, top, migration, context, found))
}

/// Whether the kernel command line by itself names the new root.
fn loader_names_new(plan: &Plan, root_flags: &str) -> bool {
    chosen_subvolume(root_flags) == Some(plan.root_subvolume())
}

fn carry_out(
    act: Act,
    top: &Root,
    migration: &mut Migration,
    context: &CheckContext,
    found: Found,
) -> Result<(), Error> {
    match act {
        Act::Migrate | Act::GiveUp if found.occasion != Occasion::Work => {
            Err(Error::NotNow(MENDING.into()))
        }
        Act::Migrate => {
            all_there(migration)?;
            still_installed(context)?;
            still_fits(top, migration, found.image_plan)?;
            look_again(top, migration, context)?;
            migrate(top, migration, context, found.console)
        }
        Act::GiveUp => {
            all_there(migration)?;
            Err(give_up_trying(top, migration))
        }
        Act::CountTrial => count_trial(migration),
        Act::CompleteCommit => complete_commit(top, migration),
        Act::CallOffRollback => {
            if let Some(problem) = old_system::problem(top, migration.plan(), migration.state()) {
                migration.refuse(&problem)?;
            }
            migration.record(Record::Trial { number: 1 })
        }
        Act::RollBack => {
            let reason = why_back(migration);
            roll_back(top, migration, &reason)
        }
        Act::TakeBack => discard(top, migration),
        Act::FailRehearsal => rehearsal::fail(migration, "the rehearsal did not pass a validation"),
        // Begun once it is seen that nothing overrides the root.
        Act::BeginRehearsal => Ok(()),
        Act::Freeze
        | Act::Offer
        | Act::Withdraw
        | Act::MakeImages
        | Act::RecordArmed
        | Act::RecordRearmed
        | Act::RecordDisarmed
        | Act::GiveUpPlan
        | Act::LookOrdinary
        | Act::ReturnTo
        | Act::RecordRenewed
        | Act::RequestRollback
        | Act::BeginFinalize
        | Act::Delete
        | Act::PutJournalAside
        | Act::RecordVerdict
        | Act::AwaitRehearsal => Err(Error::NotNow(format!("{act:?} is no act of a boot"))),
    }
}

/// Why a boot rolls back that the journal asks to.
fn why_back(migration: &Migration) -> String {
    let state = migration.state();
    match state.stage {
        Stage::Committed => {
            let limit = migration.plan().trial_boots;
            format!("the new system did not pass its validation in {limit} boots")
        }
        Stage::RollbackRequested => state.reason.clone().unwrap_or_default(),
        Stage::RollingBack
        | Stage::Planned
        | Stage::Armed
        | Stage::Preparing
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::RolledBack
        | Stage::Failed
        | Stage::Disarmed
        | Stage::Finalizing
        | Stage::Finalized => "a rollback was cut off".into(),
    }
}

fn count_trial(migration: &mut Migration) -> Result<(), Error> {
    let number = migration.state().trials + 1;
    let limit = migration.plan().trial_boots;
    migration.record(Record::Trial { number })?;
    log::info!("boot {number} of {limit} in which the new system has to pass its validation");
    Ok(())
}

/// The root that the journal names; the new one is tried before it is mounted.
fn next(top: &Root, migration: &Migration, root_flags: &str) -> Next {
    let (state, plan) = (migration.state(), migration.plan());
    match root_now(top, state, plan) {
        Some(new) if state.stage == Stage::Committed || state.stage.is_validated() => {
            Next::NewRoot(Roots {
                given: root_flags.to_owned(),
                new,
                old: present_root(top, plan),
            })
        }
        Some(_) if state.stage.new_system_is_root() && !new_root_is_there(top, migration) => {
            in_place_of_the_new(top, plan, root_flags)
        }
        _ => named_root(top, state, plan, root_flags),
    }
}

/// What mounts the root that the journal names, with these options of the kernel command line.
pub(super) fn named_root(top: &Root, state: &State, plan: &Plan, root_flags: &str) -> Next {
    match root_now(top, state, plan) {
        Some(root) => Next::RootFlags(merge_root_flags(&[root_flags], &root)),
        None => Next::Ordinary,
    }
}

/// The root that the journal names; none where the kernel command line's is the right one.
fn root_now(top: &Root, state: &State, plan: &Plan) -> Option<String> {
    match named(state.stage) {
        Named::New => Some(plan.root_subvolume().to_owned()),
        Named::Old => Some(present_root(top, plan)),
        Named::AsGiven => None,
    }
}

/// Whether the new system's root is where the journal says. It is not when somebody put an older
/// tree back: pointing the boot path at it, or root, would leave a machine that does not boot.
fn new_root_is_there(top: &Root, migration: &Migration) -> bool {
    let name = Path::new(migration.plan().root_subvolume());
    // What can't be seen is as the journal says.
    btrfs::is_subvolume(top, name).unwrap_or(true)
}

/// The old system where it is whole, else what the kernel command line says.
fn in_place_of_the_new(top: &Root, plan: &Plan, root_flags: &str) -> Next {
    let old = present_root(top, plan);
    let init = Path::new(old.trim_start_matches('/')).join("sbin/init");
    match top.resolved_status(&init) {
        Ok(Some(_)) => Next::RootFlags(merge_root_flags(&[root_flags], &old)),
        _ => Next::Ordinary,
    }
}
