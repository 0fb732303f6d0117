//! When the journal can't be used, or says something else than the mount table.

use super::commands::{Commands, by_hand};
use super::{Facts, LOOKS, Seen, Standing};
use crate::documents::plan::{HOME, JOURNAL};
use crate::engine::transition::{Act, Event, answer};
use crate::engine::{Error, Stage, State};
use crate::journal;

/// What is known without a journal that can be used.
pub(super) fn tell(standing: &mut Standing, facts: &Facts, trouble: &Error, commands: &Commands) {
    let is_readable = facts.look.is_readable(trouble);
    standing.r#where.push(match is_readable {
        true => "The journal can't be written: no boot can count, and no command go on.".into(),
        false => {
            "The journal can't be used: what was done last is not known for certain.".to_owned()
        }
    });
    if let Some(state) = facts.look.state.as_ref().filter(|_| !is_readable) {
        let last = facts.look.entries.len();
        let root = if state.stage.new_system_is_root() {
            "new"
        } else {
            "old"
        };
        standing.r#where.push(format!(
            "What can be read of it (records: {last}) ends with the {root} system as root; more \
             may have come after."
        ));
    }
    standing.why.push(super::sentence(&trouble.to_string()));
    standing.safe.push(what_a_reboot_does(facts));
    standing.not_safe.push(
        "Deleting anything at the top level of the disk by hand: it may be a part of the system \
         that starts next."
            .into(),
    );
    if facts.seen == Seen::Initramfs || !LOOKS {
        standing.next_in_the_initramfs();
    } else {
        remedies(standing, facts, trouble, commands);
    }
}

fn what_a_reboot_does(facts: &Facts) -> String {
    let begins = match facts.same_again {
        Some(true) => "Rebooting: this system starts again.",
        Some(false) => "Rebooting, but another system than this one may start: GRUB names another.",
        None => "Rebooting: the system that GRUB names starts.",
    };
    format!("{begins} Nothing is changed while the journal can't be used.")
}

fn remedies(standing: &mut Standing, facts: &Facts, trouble: &Error, commands: &Commands) {
    match trouble {
        Error::Journal(cause) if matches!(**cause, journal::Error::OtherVersion { .. }) => {
            let version = facts.look.begun_by().unwrap_or("version not known");
            let what = format!("Install the rootshift that began it ({version}); this one is:");
            standing.next(commands, &what, &["rootshift version"]);
            return;
        }
        Error::System(cause) if facts.look.is_readable(trouble) => {
            if let Some(uuid) = facts.uuid {
                let unlock = match cause.is_read_only() {
                    true => format!("btrfs property set -ts {} ro false", by_hand(HOME)),
                    false => format!("chattr -ia {}", by_hand(JOURNAL)),
                };
                let lines = commands.on_the_top_level(uuid, vec![unlock]);
                standing.add("Let it be written again:", lines);
            }
            return;
        }
        // The journal may well be whole: it is not to be thrown away for that.
        Error::System(cause) if !cause.is_not_found() => {
            let what = "See what the kernel says of the disk:";
            standing.next(commands, what, &["dmesg --level=err,warn"]);
            return;
        }
        _ => {}
    }
    if let Some(uuid) = facts.uuid {
        let copy = format!("cp {} /root/", by_hand(JOURNAL));
        let lines = commands.on_the_top_level(uuid, vec![copy]);
        standing.add("Keep a copy of the journal:", lines);
    }
    if let Err(refusal) = answer(&facts.situation(), Event::DiscardJournal) {
        standing.instead(commands, &refusal);
        return;
    }
    let what = "Then go on without it. The initramfs images become ordinary, GRUB alone names the \
                system that starts, and rollback and finalize can't be used for it any more:";
    standing.next(commands, what, &["rootshift disarm --discard-journal"]);
}

/// Another system is root than the one that the journal names.
pub(super) fn tell_contradiction(
    standing: &mut Standing,
    facts: &Facts,
    state: &State,
    commands: &Commands,
) {
    let named = if state.stage.new_system_is_root() {
        "new"
    } else {
        "old"
    };
    standing.r#where.push(format!(
        "But the journal says that the {named} system is root: they disagree."
    ));
    if !LOOKS {
        standing.next_in_the_initramfs();
        return;
    }
    let why = match facts.seen {
        Seen::Old => {
            "This boot did not go by the journal: an image without rootshift was started (another \
             entry of GRUB's menu), or rootshift could do nothing in it."
        }
        Seen::New => {
            "The new system was chosen by hand in GRUB, or the disk, or its journal alone, was put \
             back from an older image."
        }
        _ => "Another system was chosen by hand, as a snapshot in GRUB's menu.",
    };
    standing.why.push(why.into());
    if ends_going_back(facts) {
        going_back(standing, facts, commands);
        return;
    }
    if facts.seen == Seen::Old && facts.old_problem.is_some() && facts.is_able() {
        for_one_boot(standing, commands);
        return;
    }
    standing.safe.push(format!(
        "Rebooting with the first entry of GRUB's menu: the {named} system starts."
    ));
    standing.not_safe.push(format!(
        "Working here: what you change is not in the {named} system. `rootshift finalize`, and \
         deleting anything of either system by hand."
    ));
    let image = "lsinitramfs /boot/initrd.img-$(uname -r) | grep sbin/rootshift";
    let what = "See whether the image of this kernel holds rootshift (one line is yes):";
    standing.next(commands, what, &[image]);
    standing.next(commands, &format!("Go to the {named} system:"), &["reboot"]);
    let on_trial = state.stage == Stage::Committed || state.stage.is_validated();
    let can = answer(&facts.situation(), Event::Rollback).is_ok();
    if facts.seen == Seen::Old && on_trial && can {
        let what = "Or stay with the old system for good:";
        standing.next(commands, what, &["rootshift rollback"]);
    }
    let what = "Read what happened, in order:";
    standing.next(commands, what, &["rootshift log"]);
}

/// Whether the next boot with an image that holds the plan leads to the old system, whatever the
/// stage calls root now.
fn ends_going_back(facts: &Facts) -> bool {
    let boot = Event::Boot {
        loader_names_new: false,
    };
    facts.is_able()
        && answer(&facts.situation(), boot).is_ok_and(|acts| acts.contains(&Act::RollBack))
}

/// The new system could not be started, and this one not be made root for good.
fn for_one_boot(standing: &mut Standing, commands: &Commands) {
    standing.safe.push(
        "Rebooting: the new system is tried again, and where it can't be started this one runs \
         for one boot more."
            .into(),
    );
    standing.not_safe.push(
        "Working here: the next boot may start the new system, in which what you change is not. \
         Deleting anything of either system by hand."
            .into(),
    );
    let what = "Once what is named above is put right, stay with the old system for good:";
    standing.next(commands, what, &["rootshift rollback"]);
    let what = "Read what happened, in order:";
    standing.next(commands, what, &["rootshift log"]);
}

fn going_back(standing: &mut Standing, facts: &Facts, commands: &Commands) {
    let this = match facts.seen {
        Seen::Old => ", this one",
        _ => "",
    };
    standing.safe.push(format!(
        "Rebooting with the first entry of GRUB's menu: the old system starts{this}. What was \
         changed in the new one is kept aside."
    ));
    standing.not_safe.push(
        "Deleting or renaming by hand: `.rootshift`, or anything of either system at the top level \
         of the disk."
            .into(),
    );
    if facts.seen == Seen::Old && answer(&facts.situation(), Event::Rollback).is_ok() {
        let what = "End the way back here and now:";
        standing.next(commands, what, &["rootshift rollback"]);
    }
    standing.next(commands, "Or let the next boot do it:", &["reboot"]);
    let what = "Read what happened, in order:";
    standing.next(commands, what, &["rootshift log"]);
}
