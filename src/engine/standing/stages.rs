//! What each stage means to a person.

use crate::engine::Stage;
use crate::engine::transition::Event;

/// What may be typed: what the table is asked before it is offered, what for, and the commands;
/// several on one line are joined by `&&`.
type Offer = (Option<Event>, &'static str, &'static [&'static str]);
type Next = &'static [Offer];

/// What there is to say of a stage, whatever led to it.
pub(super) struct Words {
    /// Where it stands, which system is root left out.
    pub stands: &'static str,
    /// Why, when the journal holds no reason.
    pub why: Option<&'static str>,
    pub safe: &'static str,
    pub not_safe: Option<&'static str>,
    pub next: Next,
}

const BY_HAND: Option<&str> = Some(
    "Deleting or renaming by hand: `.rootshift`, or anything of the old or new system at the top \
     level of the disk.",
);
const BOTH_ARE_WHOLE: &str =
    "Rebooting, and cutting the power at any time. What you change in this system stays.";
const VALIDATE: Offer = (
    Some(Event::Validate),
    "Look whether all is as planned; if so, the trial ends:",
    &["rootshift validate"],
);
const REHEARSE: Offer = (
    None,
    "Before the old system can go, the boot loader boots the new one once by itself:",
    &["reboot"],
);
const LOOK_AND_DELETE: Offer = (
    Some(Event::Finalize),
    "When you are sure, look once more and delete the old system. This can't be undone:",
    &["rootshift finalize"],
);
const DELETE: Offer = (
    Some(Event::Finalize),
    "When you are sure, delete the old system. This can't be undone:",
    &["rootshift finalize"],
);
const BACK: Offer = (
    Some(Event::Rollback),
    "Or go back to the old system; this one is kept aside:",
    &["rootshift rollback", "reboot"],
);
const LOG: Offer = (None, "Read what happened, in order:", &["rootshift log"]);
const CHECK: Offer = (None, "Look what stands in the way:", &["rootshift check"]);
const TAKE_BACK: Offer = (
    Some(Event::Disarm),
    "Or take it all back, and stay with this system:",
    &["rootshift disarm"],
);
const AGAIN: Offer = (
    Some(Event::Disarm),
    "When that is mended, arm again:",
    &["rootshift disarm", "rootshift arm"],
);
const REFUSED: Next = &[CHECK, AGAIN, TAKE_BACK, LOG];

/// `refused`: a reason is recorded. `able`: the images that boot next are what the journal asks for,
/// as far as it asks for any.
pub(super) fn of_stage(stage: Stage, refused: bool, able: bool) -> Words {
    if !able {
        return without_images(stage, refused);
    }
    match stage {
        Stage::Planned | Stage::Armed | Stage::Preparing | Stage::Failed | Stage::Disarmed => {
            of_the_old_system(stage, refused)
        }
        Stage::RollbackRequested | Stage::RollingBack | Stage::RolledBack => on_the_way_back(stage),
        Stage::Committed
        | Stage::Validated
        | Stage::Rehearsing
        | Stage::Rehearsed
        | Stage::Finalizing
        | Stage::Finalized => of_the_new_system(stage),
    }
}

const MEND: Offer = (
    Some(Event::Recover),
    "Make the images anew, with the plan:",
    &["rootshift recover"],
);
const MEND_AND_GO_BACK: Offer = (
    Some(Event::Rollback),
    "Make the images anew and go back:",
    &["rootshift rollback", "reboot"],
);

/// What is promised with images that can do it is not promised without.
fn without_images(stage: Stage, refused: bool) -> Words {
    match stage {
        Stage::Armed | Stage::Preparing => Words {
            stands: "A migration is armed, and not every initramfs image is known to hold the \
                     plan: a boot of one that does not migrates nothing.",
            why: None,
            safe: "Rebooting, and cutting the power at any time: the old or the new system starts.",
            not_safe: BY_HAND,
            next: &[MEND, TAKE_BACK, LOG],
        },
        Stage::RollbackRequested | Stage::RollingBack => Words {
            stands: "A rollback was asked for, and not every initramfs image is known to be able \
                     to go back: a boot of one that is not stays in this system.",
            why: None,
            safe: "Rebooting: this or the old system starts.",
            not_safe: BY_HAND,
            next: &[MEND_AND_GO_BACK, LOG],
        },
        Stage::Committed | Stage::Validated | Stage::Rehearsing | Stage::Rehearsed => Words {
            why: Some(
                "Not every initramfs image is known to hold the plan: with one that does not, no \
                 boot goes back by itself.",
            ),
            ..with_mending(stage)
        },
        Stage::Planned
        | Stage::RolledBack
        | Stage::Failed
        | Stage::Disarmed
        | Stage::Finalizing
        | Stage::Finalized => of_stage(stage, refused, true),
    }
}

fn with_mending(stage: Stage) -> Words {
    let words = of_the_new_system(stage);
    let next: Next = match stage {
        Stage::Committed => &[MEND, VALIDATE, BACK, LOG],
        _ => &[MEND, BACK, LOG],
    };
    Words { next, ..words }
}

fn of_the_old_system(stage: Stage, refused: bool) -> Words {
    let (stands, why, safe, next): (_, _, _, Next) = match stage {
        Stage::Planned => (
            "`rootshift arm` did not get to its end: the next boot migrates nothing.",
            Some("`rootshift arm` was cut off or killed."),
            "Rebooting: this system starts again, unchanged.",
            &[
                (Some(Event::Arm), "Arm again:", &["rootshift arm"]),
                TAKE_BACK,
            ],
        ),
        Stage::Armed if refused => (
            "A migration is armed, and the last boot left everything as it was.",
            None,
            "Rebooting: it is looked at again, and nothing is done while the reason stands.",
            REFUSED,
        ),
        Stage::Armed => (
            "A migration is armed: the next boot carries it out.",
            None,
            "Rebooting, and cutting the power at any time: the old or the new system starts.",
            &[(None, "Migrate:", &["reboot"]), TAKE_BACK],
        ),
        Stage::Preparing => (
            "The migration is begun and has not come to its end.",
            Some("A boot that was at it was cut off."),
            "Rebooting: it goes on by itself. Cutting the power at any time is safe too.",
            &[(None, "Go on:", &["reboot"]), TAKE_BACK, CHECK, LOG],
        ),
        Stage::Failed => (
            "The migration failed and was given up. This system is whole; no boot tries again.",
            None,
            "Rebooting, and working here: this is the system from before.",
            REFUSED,
        ),
        _ => (
            "Nothing is armed: an earlier plan was taken back (`rootshift disarm`).",
            None,
            "Rebooting, and working here.",
            &[CHECK, (Some(Event::Arm), "Arm again:", &["rootshift arm"])],
        ),
    };
    let not_safe = match stage {
        Stage::Armed if !refused => Some(
            "Changing /etc/fstab or GRUB's configuration before the reboot: the plan would not \
             fit any more, and nothing would be done.",
        ),
        Stage::Disarmed => None,
        _ => BY_HAND,
    };
    Words {
        stands,
        why,
        safe,
        not_safe,
        next,
    }
}

/// Of a rollback that was asked for, to a system that is not there.
pub(super) fn called_off() -> Words {
    Words {
        stands: "A rollback was asked for: the next boot calls it off, and stays in this system.",
        why: None,
        safe: BOTH_ARE_WHOLE,
        not_safe: BY_HAND,
        next: &[
            (
                Some(Event::Rollback),
                "Let the next boot call it off:",
                &["reboot"],
            ),
            LOG,
        ],
    }
}

fn on_the_way_back(stage: Stage) -> Words {
    let (stands, safe, not_safe, next): (_, _, _, Next) = match stage {
        Stage::RollbackRequested => (
            "The next boot goes back to the old system.",
            "Rebooting: the old system starts. What was changed in this one is kept aside.",
            BY_HAND,
            &[(None, "Go back:", &["reboot"]), LOG],
        ),
        Stage::RollingBack => (
            "The way back to the old system is begun and has not come to its end.",
            "Rebooting: it goes on by itself. Cutting the power at any time is safe too.",
            BY_HAND,
            &[(None, "Go on:", &["reboot"]), LOG],
        ),
        _ => (
            "Rolled back: this is the system from before the migration.",
            "Rebooting, and working here. Files that were changed in the new system are in what \
             is kept aside, until you delete it.",
            None,
            &[(
                Some(Event::Disarm),
                "Take rootshift out of the initramfs:",
                &["rootshift disarm"],
            )],
        ),
    };
    Words {
        stands,
        why: None,
        safe,
        not_safe,
        next,
    }
}

fn of_the_new_system(stage: Stage) -> Words {
    let (stands, why, safe, not_safe, next): (_, _, _, _, Next) = match stage {
        Stage::Committed => (
            "The new system is on trial: no validation has passed yet. The old one is whole.",
            Some("No validation has passed since the commit; it runs at the end of a boot."),
            BOTH_ARE_WHOLE,
            BY_HAND,
            &[VALIDATE, BACK, LOG],
        ),
        Stage::Validated => (
            "The new system has passed its validation. The old one is whole.",
            None,
            BOTH_ARE_WHOLE,
            BY_HAND,
            &[REHEARSE, BACK],
        ),
        Stage::Rehearsing => (
            "The boot loader alone has booted the new system. The old one is whole.",
            None,
            BOTH_ARE_WHOLE,
            BY_HAND,
            &[LOOK_AND_DELETE, BACK],
        ),
        Stage::Rehearsed => (
            "The new system has passed its validation, and its boot loader was tried. The old one is \
             whole.",
            None,
            BOTH_ARE_WHOLE,
            BY_HAND,
            &[DELETE, BACK],
        ),
        Stage::Finalizing => (
            "The old system is being deleted; there is no way back to it.",
            Some("`rootshift finalize` was begun and has not come to its end."),
            "Rebooting, and working here: nothing of this system is deleted.",
            Some("Deleting the rest of the old system by hand."),
            &[
                (
                    Some(Event::Finalize),
                    "Go on deleting:",
                    &["rootshift finalize"],
                ),
                LOG,
            ],
        ),
        _ => (
            "The migration is complete: this is the only system. There is nothing left to do.",
            None,
            "Rebooting, and working here.",
            None,
            &[LOG],
        ),
    };
    Words {
        stands,
        why,
        safe,
        not_safe,
        next,
    }
}
