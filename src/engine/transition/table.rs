//! The table. No wildcard stands for a stage, a journal, a system or an event.

use super::span::Span;
use super::{Act, Answer, Book, Event, Images, Known, Refusal, Remedy, Seen, Situation, wanted};
use crate::engine::Stage;

const TO_ARM: [Act; 4] = [Act::Freeze, Act::Offer, Act::MakeImages, Act::RecordArmed];
const TO_REARM: [Act; 3] = [Act::Offer, Act::MakeImages, Act::RecordRearmed];
const TO_DISARM: [Act; 3] = [Act::Withdraw, Act::MakeImages, Act::RecordDisarmed];
const TO_MAKE_ORDINARY: [Act; 3] = [Act::Withdraw, Act::MakeImages, Act::LookOrdinary];

/// What is done, in order (nothing: it is so already), or why not.
///
/// # Errors
/// The reason, with a remedy that is not refused in this situation.
pub fn answer(now: &Situation, event: Event) -> Answer {
    let known = match now.book {
        Book::Sound(known) => known,
        Book::Missing => return without_journal(now, event),
        Book::Damaged | Book::Foreign => return with_unusable_journal(now, event),
        Book::OtherVersion => return with_journal_of_another_version(event),
    };
    match event {
        Event::Arm => arm(known),
        Event::Renew => Ok(renew(known)),
        Event::Disarm => disarm(now, known),
        Event::DiscardJournal => refuse("the journal is sound", in_place_of_discarding(now, known)),
        Event::RemovePackage => remove_package(now, known),
        Event::Rollback => roll_back(now, known),
        Event::ReturnTo => return_to(now, known),
        Event::Emergency => Ok(emergency(now, known)),
        Event::Finalize => finalize(now, known),
        Event::Resume if known.stage == Stage::Finalizing => finalize(now, known),
        Event::Resume => Ok(vec![]),
        Event::Validate => validate(now, known),
        Event::Recover => Ok(recover(now, known)),
        Event::Run { before: true } if known.stage.new_system_is_root() => refuse(
            "this belongs to the old system, and the new one is root",
            Remedy::Status,
        ),
        Event::Run { .. } => Ok(vec![]),
        Event::Boot { loader_names_new } => Ok(boot(now, known, loader_names_new)),
    }
}

fn refuse<T>(why: &'static str, remedy: Remedy) -> Result<T, Refusal> {
    Err(Refusal { why, remedy })
}

fn without_journal(now: &Situation, event: Event) -> Answer {
    let holds_plan = now.offered || matches!(now.images, Images::Armed | Images::Mixed);
    let nothing = || {
        refuse(
            "nothing was armed on this machine",
            Remedy::Command(Event::Arm),
        )
    };
    match event {
        Event::Arm => Ok(TO_ARM.to_vec()),
        Event::Disarm | Event::Recover | Event::RemovePackage if holds_plan => {
            Ok(TO_MAKE_ORDINARY.to_vec())
        }
        Event::DiscardJournal => Ok(TO_MAKE_ORDINARY.to_vec()),
        Event::Disarm
        | Event::Rollback
        | Event::ReturnTo
        | Event::Finalize
        | Event::Validate
        | Event::Renew => nothing(),
        Event::Recover
        | Event::RemovePackage
        | Event::Emergency
        | Event::Resume
        | Event::Run { .. }
        | Event::Boot { .. } => Ok(vec![]),
    }
}

/// Without the journal the boot loader alone names the root: as long as that is the one that runs,
/// nothing changes by going on without it.
fn with_unusable_journal(now: &Situation, event: Event) -> Answer {
    let why = "the journal can't be used";
    let remedy = match now.loader_agrees {
        true => Remedy::Command(Event::DiscardJournal),
        false => Remedy::Reboot,
    };
    match event {
        Event::DiscardJournal if now.loader_agrees => {
            Ok([&[Act::PutJournalAside][..], &TO_MAKE_ORDINARY].concat())
        }
        Event::DiscardJournal => refuse(
            "the boot loader named another system than the one that runs: without the journal \
             that one would start",
            Remedy::Reboot,
        ),
        Event::Arm
        | Event::Renew
        | Event::Disarm
        | Event::RemovePackage
        | Event::Rollback
        | Event::ReturnTo
        | Event::Finalize
        | Event::Resume
        | Event::Validate => refuse(why, remedy),
        Event::Emergency | Event::Recover | Event::Run { .. } | Event::Boot { .. } => Ok(vec![]),
    }
}

fn with_journal_of_another_version(event: Event) -> Answer {
    match event {
        Event::Arm
        | Event::Renew
        | Event::Disarm
        | Event::DiscardJournal
        | Event::RemovePackage
        | Event::Rollback
        | Event::ReturnTo
        | Event::Finalize
        | Event::Resume
        | Event::Validate => refuse(
            "the journal was written by another version of rootshift",
            Remedy::OtherVersion,
        ),
        Event::Emergency | Event::Recover | Event::Run { .. } | Event::Boot { .. } => Ok(vec![]),
    }
}

fn arm(known: Known) -> Answer {
    match Span::of(known.stage) {
        Span::Failed | Span::RolledBack if known.armed => refuse(
            "an earlier migration is not tidied up",
            Remedy::Command(Event::Disarm),
        ),
        Span::Idle | Span::Failed | Span::RolledBack | Span::Finalized => Ok(TO_ARM.to_vec()),
        Span::Armed => refuse("a migration is armed", Remedy::Command(Event::Disarm)),
        Span::Trial | Span::Proved | Span::GoingBack | Span::Finalizing => refuse(
            "a migration is under way: it ends with `rootshift finalize` or with \
             `rootshift rollback`",
            Remedy::Status,
        ),
    }
}

fn renew(known: Known) -> Vec<Act> {
    match Span::of(known.stage) {
        Span::Armed if known.armed => vec![Act::RecordRenewed],
        Span::Idle
        | Span::Armed
        | Span::Failed
        | Span::Trial
        | Span::Proved
        | Span::GoingBack
        | Span::RolledBack
        | Span::Finalizing
        | Span::Finalized => vec![],
    }
}

fn disarm(now: &Situation, known: Known) -> Answer {
    match Span::of(known.stage) {
        Span::Idle | Span::Armed | Span::Failed | Span::RolledBack => Ok(taken_back(now, known)),
        Span::Trial | Span::Proved | Span::GoingBack => refuse(
            "the new system is root, or was: the images must be able to choose",
            on(now, known),
        ),
        Span::Finalizing => refuse("the old system is being deleted", to_its_end(now)),
        Span::Finalized => refuse(
            "nothing is armed: the migration is complete",
            Remedy::Nothing,
        ),
    }
}

/// Trees are touched from the old system only, and images where they are the boot loader's.
fn taken_back(now: &Situation, known: Known) -> Vec<Act> {
    let work = known.work && known.stage != Stage::RolledBack;
    match now.running {
        Seen::Old | Seen::Unknown if work => [&[Act::TakeBack][..], &TO_DISARM].concat(),
        Seen::Old | Seen::Unknown | Seen::New => TO_DISARM.to_vec(),
        Seen::Another | Seen::Initramfs => vec![Act::GiveUpPlan],
    }
}

/// How it goes on where there is a new system and an old one.
fn on(now: &Situation, known: Known) -> Remedy {
    let asked = matches!(known.stage, Stage::RollbackRequested | Stage::RollingBack);
    match roll_back(now, known) {
        Ok(acts) if asked && acts.is_empty() => Remedy::Reboot,
        Ok(_) => Remedy::Command(Event::Rollback),
        Err(refusal) => refusal.remedy,
    }
}

fn to_its_end(now: &Situation) -> Remedy {
    match now.running {
        Seen::New => Remedy::Command(Event::Finalize),
        Seen::Old | Seen::Another | Seen::Initramfs | Seen::Unknown => Remedy::Reboot,
    }
}

fn in_place_of_discarding(now: &Situation, known: Known) -> Remedy {
    match Span::of(known.stage) {
        Span::Failed | Span::RolledBack if !known.armed => Remedy::Command(Event::Arm),
        Span::Armed | Span::Failed | Span::RolledBack => Remedy::Command(Event::Disarm),
        Span::Idle | Span::Finalized => Remedy::Command(Event::Arm),
        Span::Trial | Span::Proved | Span::GoingBack => on(now, known),
        Span::Finalizing => to_its_end(now),
    }
}

/// An image outlives the package: it must not be left to act with no tool to explain it.
fn remove_package(now: &Situation, known: Known) -> Answer {
    let is_plain = now.images == Images::Ordinary && !known.armed;
    match known.stage {
        Stage::Disarmed | Stage::Failed | Stage::RolledBack if is_plain && !known.work => {
            Ok(vec![])
        }
        Stage::Finalized if is_plain => Ok(vec![]),
        Stage::Finalized => Ok(TO_DISARM.to_vec()),
        Stage::Planned
        | Stage::Armed
        | Stage::Preparing
        | Stage::Failed
        | Stage::Disarmed
        | Stage::RolledBack => Ok(taken_back(now, known)),
        Stage::Committed
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::RollbackRequested
        | Stage::RollingBack => refuse(
            "a migration is under way, and only rootshift can end it or go back",
            on(now, known),
        ),
        Stage::Finalizing => refuse("the old system is being deleted", to_its_end(now)),
    }
}

fn roll_back(now: &Situation, known: Known) -> Answer {
    match Span::of(known.stage) {
        Span::Idle | Span::Armed | Span::Failed => Ok(taken_back(now, known)),
        Span::Trial | Span::Proved if !now.old_is_there => nowhere(Remedy::Status),
        Span::GoingBack if known.stage == Stage::RollbackRequested && !now.old_is_there => {
            // A boot calls it off, if its image knows of it.
            nowhere(match now.images {
                Images::Armed => Remedy::Reboot,
                Images::Ordinary | Images::Mixed | Images::Unknown => {
                    Remedy::Command(Event::Recover)
                }
            })
        }
        Span::Trial | Span::Proved => back(now, &[Act::RequestRollback]),
        Span::GoingBack => back(now, &[]),
        Span::RolledBack if known.armed => refuse(
            "the old system is root already",
            Remedy::Command(Event::Disarm),
        ),
        Span::RolledBack => refuse("the old system is root already", Remedy::Nothing),
        Span::Finalizing => refuse(
            "the old system was given up by `rootshift finalize`: there is no way back",
            to_its_end(now),
        ),
        Span::Finalized => refuse(
            "the old system was deleted by `rootshift finalize`: there is no way back",
            Remedy::Nothing,
        ),
    }
}

fn nowhere(remedy: Remedy) -> Answer {
    refuse("the old system is not there to go back to", remedy)
}

/// A boot goes back only if its image can: that is seen to before it is promised.
fn back(now: &Situation, record: &[Act]) -> Answer {
    match (now.running, now.images) {
        // It runs: nothing has to be booted for it.
        (Seen::Old, _) => Ok(vec![Act::RollBack]),
        (Seen::New | Seen::Another | Seen::Unknown, Images::Armed) => Ok(record.to_vec()),
        (Seen::New, Images::Ordinary | Images::Mixed | Images::Unknown) => {
            Ok([&TO_REARM[..], record].concat())
        }
        (Seen::Another | Seen::Unknown, Images::Ordinary | Images::Mixed | Images::Unknown) => {
            refuse(
                "the images that boot next can't go back, and can't be made anew from this system",
                Remedy::Reboot,
            )
        }
        (Seen::Initramfs, _) => refuse("no system runs yet", Remedy::Reboot),
    }
}

fn return_to(now: &Situation, known: Known) -> Answer {
    let over = || refuse("nothing is armed", Remedy::Command(Event::Arm));
    match Span::of(known.stage) {
        Span::Failed if !known.armed => over(),
        Span::Armed | Span::Failed => match now.running {
            Seen::Old | Seen::Unknown if now.images == Images::Armed => Ok(vec![Act::ReturnTo]),
            Seen::Old | Seen::Unknown => Ok([&TO_REARM[..], &[Act::ReturnTo]].concat()),
            Seen::New | Seen::Another | Seen::Initramfs => refuse(
                "this is not the system that was armed",
                Remedy::Command(Event::Disarm),
            ),
        },
        Span::Idle => over(),
        Span::Trial
        | Span::Proved
        | Span::GoingBack
        | Span::RolledBack
        | Span::Finalizing
        | Span::Finalized => roll_back(now, known),
    }
}

/// Nobody may be there to make images, and root may be read-only.
fn emergency(now: &Situation, known: Known) -> Vec<Act> {
    let goes_back = match now.images {
        Images::Armed | Images::Mixed | Images::Unknown => now.running == Seen::New,
        Images::Ordinary => false,
    };
    match Span::of(known.stage) {
        Span::Trial if goes_back && now.old_is_there => vec![Act::RequestRollback],
        Span::Idle
        | Span::Armed
        | Span::Failed
        | Span::Trial
        | Span::Proved
        | Span::GoingBack
        | Span::RolledBack
        | Span::Finalizing
        | Span::Finalized => vec![],
    }
}

fn finalize(now: &Situation, known: Known) -> Answer {
    // They were looked into when it was recorded that they hold none.
    let is_plain = match now.images {
        Images::Ordinary | Images::Unknown => !known.armed,
        Images::Armed | Images::Mixed => false,
    };
    let images = if is_plain { &[][..] } else { &TO_DISARM };
    match known.stage {
        Stage::Validated | Stage::Rehearsing | Stage::Rehearsed | Stage::Finalizing
            if now.running != Seen::New =>
        {
            refuse("the new system does not run", Remedy::Reboot)
        }
        Stage::Finalizing => Ok([images, &[Act::Delete]].concat()),
        Stage::Rehearsed => Ok([images, &[Act::BeginFinalize, Act::Delete]].concat()),
        // This boot may be the rehearsal: its validation is asked first.
        Stage::Rehearsing => {
            let decision = [Act::BeginFinalize, Act::Delete];
            Ok([&[Act::RecordVerdict], images, &decision].concat())
        }
        // Whoever rehearses can go back: the images have to hold the plan.
        Stage::Validated if now.images != Images::Armed => {
            Ok([&TO_REARM[..], &[Act::AwaitRehearsal]].concat())
        }
        Stage::Validated if !now.loader_agrees && !now.old_is_there => refuse(
            "the boot loader by itself does not start this system, and there is no other: mend its \
             configuration (`update-grub`, `grub-install`)",
            Remedy::Reboot,
        ),
        Stage::Validated if !now.loader_agrees => refuse(
            "the boot loader by itself starts another system than this one: nothing can be given \
             up while it does",
            on(now, known),
        ),
        Stage::Validated => refuse(
            "the boot loader has not yet booted the new system without the help of an image: \
             the next boot is that rehearsal",
            Remedy::Reboot,
        ),
        Stage::Committed => {
            let why = "the new system has not passed its validation";
            match now.running {
                Seen::New => refuse(why, Remedy::Command(Event::Validate)),
                Seen::Old | Seen::Another | Seen::Initramfs | Seen::Unknown => {
                    refuse(why, Remedy::Reboot)
                }
            }
        }
        Stage::RollbackRequested | Stage::RollingBack => refuse(
            "a rollback was asked for: nothing is deleted",
            on(now, known),
        ),
        Stage::Planned
        | Stage::Armed
        | Stage::Preparing
        | Stage::Failed
        | Stage::Disarmed
        | Stage::RolledBack => refuse(
            "the old system is root: there is nothing to finalize",
            Remedy::Status,
        ),
        Stage::Finalized => refuse("it is finalized already", Remedy::Nothing),
    }
}

fn validate(now: &Situation, known: Known) -> Answer {
    let records = match known.stage {
        Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => {
            vec![Act::RecordVerdict]
        }
        Stage::RollbackRequested | Stage::Finalizing | Stage::Finalized => vec![],
        Stage::Planned
        | Stage::Armed
        | Stage::Preparing
        | Stage::RollingBack
        | Stage::RolledBack
        | Stage::Failed
        | Stage::Disarmed => {
            return refuse(
                "the old system is root: there is nothing to validate",
                Remedy::Status,
            );
        }
    };
    match now.running {
        Seen::New => Ok(records),
        Seen::Old | Seen::Another | Seen::Initramfs | Seen::Unknown => refuse(
            "the new system does not run: there is nothing to validate",
            Remedy::Status,
        ),
    }
}

/// What a crashed command may have left: prepared work of a failure, and images that are not what
/// the journal asks for.
fn recover(now: &Situation, known: Known) -> Vec<Act> {
    let mut acts = Vec::new();
    let home = match known.stage.new_system_is_root() {
        true => Seen::New,
        false => Seen::Old,
    };
    if known.stage == Stage::Failed && known.work && known.takes_back && now.running == Seen::Old {
        acts.push(Act::TakeBack);
    }
    match (wanted(&known), now.images) {
        (Some(Images::Armed), Images::Ordinary | Images::Mixed) if now.running == home => {
            acts.extend(TO_REARM);
        }
        (Some(Images::Ordinary), Images::Armed | Images::Mixed) if now.running == home => {
            acts.extend(TO_DISARM);
        }
        (Some(Images::Ordinary), Images::Ordinary | Images::Unknown)
            if now.offered && now.running == home =>
        {
            acts.extend(TO_DISARM);
        }
        (
            Some(Images::Armed | Images::Ordinary | Images::Mixed | Images::Unknown) | None,
            Images::Armed | Images::Ordinary | Images::Mixed | Images::Unknown,
        ) => {}
    }
    acts
}

fn boot(now: &Situation, known: Known, loader_names_new: bool) -> Vec<Act> {
    match known.stage {
        Stage::Armed | Stage::Preparing if known.boots_left => vec![Act::Migrate],
        Stage::Armed | Stage::Preparing => vec![Act::GiveUp],
        Stage::Failed if known.takes_back => vec![Act::TakeBack],
        Stage::Committed if known.boots_left => vec![Act::CountTrial, Act::CompleteCommit],
        Stage::Committed if !now.old_is_there => vec![Act::CompleteCommit],
        Stage::RollbackRequested if !now.old_is_there => {
            vec![Act::CallOffRollback, Act::CompleteCommit]
        }
        Stage::Committed | Stage::RollbackRequested | Stage::RollingBack => vec![Act::RollBack],
        Stage::Validated | Stage::Rehearsed if loader_names_new && known.boots_left => {
            vec![Act::CompleteCommit, Act::BeginRehearsal]
        }
        Stage::Rehearsing => vec![Act::FailRehearsal, Act::CompleteCommit],
        Stage::Validated | Stage::Rehearsed => vec![Act::CompleteCommit],
        Stage::Planned
        | Stage::Failed
        | Stage::Disarmed
        | Stage::RolledBack
        | Stage::Finalizing
        | Stage::Finalized => vec![],
    }
}
