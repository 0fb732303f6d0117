//! What each stage means to a person.

use crate::engine::Stage;

/// Commands with what they are for; several on one line are joined by `&&`.
type Next = &'static [(&'static str, &'static [&'static str])];

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
const VALIDATE: (&str, &[&str]) = (
    "Look whether all is as planned; if so, the trial ends:",
    &["rootshift validate"],
);
const REHEARSE: (&str, &[&str]) = (
    "Before the old system can go, the boot loader boots the new one once by itself:",
    &["reboot"],
);
const LOOK_AND_DELETE: (&str, &[&str]) = (
    "When you are sure, look once more and delete the old system. This can't be undone:",
    &["rootshift finalize"],
);
const DELETE: (&str, &[&str]) = (
    "When you are sure, delete the old system. This can't be undone:",
    &["rootshift finalize"],
);
const BACK: (&str, &[&str]) = (
    "Or go back to the old system; this one is kept aside:",
    &["rootshift rollback", "reboot"],
);
const LOG: (&str, &[&str]) = ("Read what happened, in order:", &["rootshift log"]);
const CHECK: (&str, &[&str]) = ("Look what stands in the way:", &["rootshift check"]);
const TAKE_BACK: (&str, &[&str]) = (
    "Or take it all back, and stay with this system:",
    &["rootshift disarm"],
);
const AGAIN: (&str, &[&str]) = (
    "When that is mended, arm again:",
    &["rootshift disarm", "rootshift arm"],
);
const REFUSED: Next = &[CHECK, AGAIN, TAKE_BACK, LOG];

/// `refused`: a reason is recorded.
pub(super) fn of_stage(stage: Stage, refused: bool) -> Words {
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

fn of_the_old_system(stage: Stage, refused: bool) -> Words {
    let (stands, why, safe, next): (_, _, _, Next) = match stage {
        Stage::Planned => (
            "`rootshift arm` did not get to its end: the next boot migrates nothing.",
            Some("`rootshift arm` was cut off or killed."),
            "Rebooting: this system starts again, unchanged.",
            &[("Arm again:", &["rootshift arm"]), TAKE_BACK],
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
            &[("Migrate:", &["reboot"]), TAKE_BACK],
        ),
        Stage::Preparing => (
            "The migration is begun and has not come to its end.",
            Some("A boot that was at it was cut off."),
            "Rebooting: it goes on by itself. Cutting the power at any time is safe too.",
            &[("Go on:", &["reboot"]), TAKE_BACK, CHECK, LOG],
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
            &[CHECK, ("Arm again:", &["rootshift arm"])],
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

fn on_the_way_back(stage: Stage) -> Words {
    let (stands, safe, not_safe, next): (_, _, _, Next) = match stage {
        Stage::RollbackRequested => (
            "The next boot goes back to the old system.",
            "Rebooting: the old system starts. What was changed in this one is kept aside.",
            BY_HAND,
            &[("Go back:", &["reboot"]), LOG],
        ),
        Stage::RollingBack => (
            "The way back to the old system is begun and has not come to its end.",
            "Rebooting: it goes on by itself. Cutting the power at any time is safe too.",
            BY_HAND,
            &[("Go on:", &["reboot"]), LOG],
        ),
        _ => (
            "Rolled back: this is the system from before the migration.",
            "Rebooting, and working here. Files that were changed in the new system are in what \
             is kept aside, until you delete it.",
            None,
            &[(
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
            &[("Go on deleting:", &["rootshift finalize"]), LOG],
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
