use std::path::PathBuf;

use super::commands::quoted;
use super::{Facts, Kept, Seen, Standing, sentence};
use crate::engine::look::Look;
use crate::engine::transition::Images;
use crate::engine::{Error, State};
use crate::journal::{self, Entry, Record};

const UUID: &str = "5a1f3c0e-9d2b-4c7e-8f60-0123456789ab";

fn look(records: &[Record]) -> Look {
    let started = Record::Started {
        batch_id: "b_1".into(),
        plan: "p".into(),
        program: "0.0.9".into(),
    };
    let all: Vec<Record> = std::iter::once(&started).chain(records).cloned().collect();
    Look {
        state: State::after(&all),
        entries: (1..)
            .zip(all)
            .map(|(sequence, record)| Entry {
                sequence,
                tag: 1,
                record,
            })
            .collect(),
        ..Look::default()
    }
}

fn facts(look: &Look, seen: Seen) -> Facts<'_> {
    Facts {
        look,
        seen,
        subvolume: if seen == Seen::New { "@" } else { "" },
        uuid: Some(UUID),
        problem: None,
        images_armed: false,
        images: Images::Armed,
        same_again: None,
        loader_agrees: true,
        old_problem: None,
        sudo: true,
        kept: &[],
        deleted: None,
    }
}

fn armed() -> Record {
    Record::Armed { images: vec![] }
}

fn reason(reason: &str) -> String {
    reason.into()
}

fn failed() -> Record {
    Record::Failed {
        step: "s".into(),
        error: "step s: it broke; and its recovery failed: that broke too".into(),
    }
}

fn commands(standing: &Standing) -> Vec<&str> {
    let acts = standing.next.iter();
    acts.flat_map(|act| act.commands.iter().map(String::as_str))
        .collect()
}

/// All that is said, as one text.
fn said(standing: &Standing) -> String {
    let parts = [
        &standing.r#where,
        &standing.why,
        &standing.safe,
        &standing.not_safe,
    ];
    parts.map(|part| part.join(" ")).join(" | ")
}

/// The records that lead to a stage, which root, what has to be said and typed.
type Case = (Vec<Record>, Seen, &'static str, Vec<&'static str>);

const AGAIN: &str = "sudo rootshift disarm && sudo rootshift arm";
const ROLLBACK: &str = "sudo rootshift rollback && sudo reboot";

fn before_the_commit() -> Vec<Case> {
    let refused = Record::Refused {
        reason: reason("the plan is stale: /etc/fstab was changed since"),
    };
    let begun = Record::Begun { step: "x".into() };
    vec![
        (
            vec![],
            Seen::Old,
            "cut off",
            vec!["sudo rootshift arm", "sudo rootshift disarm"],
        ),
        (
            vec![armed()],
            Seen::Old,
            "the next boot carries it out",
            vec!["sudo reboot", "sudo rootshift disarm"],
        ),
        (
            vec![armed(), refused],
            Seen::Old,
            "/etc/fstab was changed since",
            vec!["sudo rootshift check", AGAIN],
        ),
        (
            vec![armed(), Record::Attempt { number: 2 }, begun],
            Seen::Old,
            "Open steps: x",
            vec!["sudo reboot", "sudo rootshift disarm"],
        ),
        (
            vec![armed(), failed()],
            Seen::Old,
            "it broke; and its recovery failed: that broke too",
            vec!["sudo rootshift check", AGAIN],
        ),
        (
            vec![armed(), Record::Disarmed],
            Seen::Old,
            "taken back",
            vec!["sudo rootshift arm"],
        ),
    ]
}

fn validated() -> Record {
    Record::Validated {
        passed: 5,
        failed: 0,
        at: None,
        loader_named_root: None,
    }
}

fn after_the_commit() -> Vec<Case> {
    let on = |more: &[Record]| [&[armed(), Record::Committed], more].concat();
    let end = Record::Finalized { entries: 1 };
    let rehearsal = Record::RehearsalBegun {
        number: 1,
        boot: None,
    };
    vec![
        (
            on(&[Record::Trial { number: 2 }]),
            Seen::New,
            "on trial",
            vec!["sudo rootshift validate", ROLLBACK],
        ),
        (
            on(&[validated()]),
            Seen::New,
            "passed its validation",
            vec!["sudo reboot", ROLLBACK],
        ),
        (
            on(&[validated(), rehearsal.clone()]),
            Seen::New,
            "boot loader alone",
            vec!["sudo rootshift finalize", ROLLBACK],
        ),
        (
            on(&[
                validated(),
                rehearsal,
                Record::Rehearsed {
                    chain: vec![],
                    root: None,
                },
            ]),
            Seen::New,
            "its boot loader was tried",
            vec!["sudo rootshift finalize", ROLLBACK],
        ),
        (
            on(&[validated(), Record::FinalizeBegun]),
            Seen::New,
            "no way back",
            vec!["sudo rootshift finalize"],
        ),
        (
            on(&[validated(), Record::FinalizeBegun, end]),
            Seen::New,
            "nothing left to do",
            vec!["sudo rootshift log"],
        ),
    ]
}

fn on_the_way_back() -> Vec<Case> {
    let on = |more: &[Record]| [&[armed(), Record::Committed], more].concat();
    let asked = Record::RollbackRequested {
        reason: reason("asked for by hand"),
    };
    let begun = Record::RollbackBegun {
        reason: reason("no pass in 3 boots"),
    };
    let back = Record::RolledBack {
        kept: vec!["@.rolled-back-1".into()],
    };
    vec![
        (
            on(&[asked]),
            Seen::New,
            "Asked for by hand.",
            vec!["sudo reboot"],
        ),
        (
            on(std::slice::from_ref(&begun)),
            Seen::Old,
            "No pass in 3 boots.",
            vec!["sudo reboot", "sudo rootshift log"],
        ),
        (
            on(&[begun, back]),
            Seen::Old,
            "Kept aside: @.rolled-back-1.",
            vec!["sudo rootshift disarm"],
        ),
    ]
}

fn stages() -> Vec<Case> {
    [before_the_commit(), after_the_commit(), on_the_way_back()].concat()
}

#[test]
fn each_stage_says_which_system_is_root_what_is_safe_and_what_to_type() {
    for (records, seen, wanted, typed) in stages() {
        let look = look(&records);
        let standing = Standing::of(&facts(&look, seen));
        let stage = look.state.as_ref().unwrap().stage;
        let said = said(&standing);
        assert!(said.contains(wanted), "{stage:?}: {said}");
        let root = match seen {
            Seen::New => "The new system is root (the subvolume @).",
            _ => "The old system is root (the top level of the disk).",
        };
        assert_eq!(standing.r#where[0], root, "{stage:?}");
        assert_eq!(standing.root_agrees, Some(true), "{stage:?}");
        assert!(standing.safe[0].starts_with("Rebooting"), "{stage:?}");
        let commands = commands(&standing);
        for one in typed {
            assert!(commands.contains(&one), "{stage:?}: {one} in {commands:#?}");
        }
        for text in standing.r#where.iter().chain(&standing.why) {
            assert!(text.ends_with('.'), "{stage:?}: {text}");
        }
        assert!(!standing.contradicts(&look), "{stage:?}");
    }
}

fn kept(path: &str) -> Kept {
    Kept {
        path: path.to_owned(),
        ..Kept::default()
    }
}

#[test]
fn commands_fit_beside_the_labels_of_a_page() {
    let kept = ["@.rolled-back-1/home/user/vm", "@.rolled-back-1"].map(|path| Kept {
        is_locked: true,
        is_read_only: true,
        is_default: true,
        ..kept(path)
    });
    for (records, seen, ..) in stages() {
        let look = look(&records);
        let mut facts = facts(&look, seen);
        facts.kept = &kept;
        facts.problem = Some("something");
        for command in commands(&Standing::of(&facts)) {
            assert!(command.len() + 9 <= 80, "{command}");
        }
    }
}

#[test]
fn what_was_kept_is_deleted_from_the_inside_out_with_the_top_level_mounted() {
    let back = Record::RolledBack {
        kept: vec!["@.rolled-back-1".into()],
    };
    let look = look(&[armed(), Record::Committed, back]);
    let mut facts = facts(&look, Seen::Old);
    let kept = ["@.rolled-back-1/my vm", "@.rolled-back-1"].map(kept);
    facts.kept = &kept;
    facts.sudo = false;
    let standing = Standing::of(&facts);
    let last = standing.next.last().unwrap();
    assert_eq!(
        last.commands,
        [
            format!("mount -o subvolid=5 UUID={UUID} /mnt"),
            "btrfs subvolume delete '/mnt/@.rolled-back-1/my vm'".into(),
            "btrfs subvolume delete /mnt/@.rolled-back-1".into(),
            "umount /mnt".into(),
        ]
    );
}

#[test]
fn what_can_not_be_deleted_as_it_is_is_unlocked_before_anything_is_deleted() {
    let back = Record::RolledBack {
        kept: vec!["@".into()],
    };
    let look = look(&[armed(), Record::Committed, back]);
    let mut facts = facts(&look, Seen::Old);
    let outer = Kept {
        is_locked: true,
        is_read_only: true,
        is_default: true,
        ..kept("@")
    };
    let kept = [kept("@/inner"), outer];
    facts.kept = &kept;
    facts.sudo = false;
    let standing = Standing::of(&facts);
    assert_eq!(
        standing.next.last().unwrap().commands[1..6],
        [
            "btrfs subvolume set-default 5 /mnt",
            "btrfs property set -ts /mnt/@ ro false",
            "chattr -ia /mnt/@",
            "btrfs subvolume delete /mnt/@/inner",
            "btrfs subvolume delete /mnt/@",
        ]
    );
}

#[test]
fn a_root_that_the_journal_does_not_name_is_told_with_why_that_can_be() {
    let committed = look(&[armed(), Record::Committed]);
    let cases = [
        (
            &committed,
            Seen::Old,
            "an image without rootshift was started",
            "the new system is root",
        ),
        (
            &committed,
            Seen::Another,
            "as a snapshot",
            "the new system is root",
        ),
    ];
    let rolled_back = look(&[
        armed(),
        Record::Committed,
        Record::RolledBack { kept: vec![] },
    ]);
    let other = [(
        &rolled_back,
        Seen::New,
        "was put back from an older image",
        "the old system is root",
    )];
    for (look, seen, why, named) in cases.into_iter().chain(other) {
        let standing = Standing::of(&facts(look, seen));
        let said = said(&standing);
        assert!(said.contains(why) && said.contains(named), "{said}");
        assert!(standing.contradicts(look));
        assert!(
            said.contains("`rootshift finalize`, and deleting"),
            "{said}"
        );
        assert!(commands(&standing).contains(&"sudo reboot"));
        let stays = commands(&standing).contains(&"sudo rootshift rollback");
        assert_eq!(stays, seen == Seen::Old);
    }
    // A plan that was taken back binds nobody.
    let over = look(&[armed(), Record::Disarmed]);
    let standing = Standing::of(&facts(&over, Seen::New));
    assert!(!standing.contradicts(&over), "{standing:#?}");
}

fn damaged() -> Error {
    journal::Error::Damaged {
        path: PathBuf::from("/run/rootshift/top/.rootshift/journal"),
        offset: 512,
        problem: "the checksum of the record is wrong".into(),
    }
    .into()
}

#[test]
fn a_damaged_journal_leaves_what_is_known_what_is_safe_and_a_way_on() {
    let mut look = look(&[armed(), Record::Committed]);
    look.trouble = Some(damaged());
    let mut facts = facts(&look, Seen::New);
    facts.same_again = Some(true);
    let standing = Standing::of(&facts);
    let text = said(&standing);
    for wanted in [
        "The new system is root (the subvolume @).",
        "What can be read of it (records: 3) ends with the new system as root",
        "damaged at byte 512",
        "Rebooting: this system starts again.",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let lines = commands(&standing);
    assert!(
        lines.contains(&"sudo cp /mnt/.rootshift/journal /root/"),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&"sudo rootshift disarm --discard-journal"),
        "{lines:#?}"
    );
    facts.same_again = Some(false);
    facts.loader_agrees = false;
    let standing = Standing::of(&facts);
    assert!(said(&standing).contains("another system than this one may start"));
    // What would be refused is not offered.
    let lines = commands(&standing);
    let offered = |what: &str| lines.iter().any(|line| line.contains(what));
    assert!(offered("reboot") && !offered("discard"), "{lines:#?}");
}

#[test]
fn a_journal_of_another_version_is_not_to_be_thrown_away() {
    let mut look = look(&[armed()]);
    let cause = journal::Error::OtherVersion {
        path: PathBuf::from("/journal"),
        problem: "record 3 is not known".into(),
    };
    look.trouble = Some(cause.into());
    let standing = Standing::of(&facts(&look, Seen::Old));
    assert!(standing.next[0].what.contains("0.0.9"), "{standing:#?}");
    let lines = commands(&standing);
    assert!(
        !lines.iter().any(|line| line.contains("discard")),
        "{lines:#?}"
    );
}

#[test]
fn the_last_warning_of_this_boot_is_told_unless_the_journal_has_it() {
    let refused = Record::Refused {
        reason: reason("/etc/fstab was changed since"),
    };
    let look = look(&[armed(), refused]);
    let mut facts = facts(&look, Seen::Old);
    facts.problem = Some("/etc/fstab was changed since");
    let standing = Standing::of(&facts);
    assert_eq!(standing.why, ["/etc/fstab was changed since."]);
    facts.problem = Some("/dev/sda2 is not the file system of the plan: nothing is done");
    let standing = Standing::of(&facts);
    assert!(
        standing.why[1].contains("not the file system of the plan"),
        "{standing:#?}"
    );
    assert!(commands(&standing).contains(&"sudo rootshift log --boot"));
}

#[test]
fn without_a_journal_images_that_hold_a_plan_are_told() {
    let look = Look::default();
    let mut facts = facts(&look, Seen::Unknown);
    let standing = Standing::of(&facts);
    assert!(said(&standing).contains("Nothing is armed."));
    assert_eq!(commands(&standing), ["sudo rootshift check"]);
    facts.images_armed = true;
    let standing = Standing::of(&facts);
    assert_eq!(commands(&standing), ["sudo rootshift recover"]);
    assert!(said(&standing).contains("no journal"));
}

#[test]
fn in_the_initramfs_only_what_works_there_is_said() {
    let look = look(&[armed(), Record::Committed]);
    let standing = Standing::of(&facts(&look, Seen::Initramfs));
    assert_eq!(commands(&standing), ["exit", "reboot -f"]);
    assert_eq!(standing.root_agrees, None);
    assert!(said(&standing).contains("on trial"));
}

#[test]
fn another_rootshift_at_work_is_told_before_anything_else() {
    let mut look = look(&[armed()]);
    look.held = true;
    let standing = Standing::of(&facts(&look, Seen::Old));
    assert!(standing.at_work && standing.why[0].contains("at work"));
    assert_eq!(commands(&standing)[0], "sudo pgrep -a rootshift");
}

#[test]
fn words_of_a_shell_are_quoted_where_they_have_to_be() {
    assert_eq!(quoted("/mnt/@.rolled-back-1"), "/mnt/@.rolled-back-1");
    assert_eq!(quoted("a b"), "'a b'");
    assert_eq!(quoted("it's; rm"), r"'it'\''s; rm'");
}

#[test]
fn sentences_begin_and_end_as_such() {
    assert_eq!(sentence("a step failed"), "A step failed.");
    assert_eq!(sentence("Done!"), "Done!");
    assert_eq!(sentence("/etc/fstab"), "/etc/fstab.");
    assert_eq!(sentence(""), "");
}

#[test]
fn after_a_request_to_go_back_the_old_system_is_where_a_boot_leads() {
    let look = look(&[
        armed(),
        Record::Committed,
        Record::RollbackRequested {
            reason: reason("r"),
        },
    ]);
    let standing = Standing::of(&facts(&look, Seen::Old));
    let all = said(&standing);
    assert!(!all.contains("the new system starts"), "{all}");
    assert!(all.contains("the old system starts"), "{all}");
    let whats: Vec<&str> = standing.next.iter().map(|act| act.what.as_str()).collect();
    assert!(!whats.contains(&"Go to the new system:"), "{whats:?}");
    assert!(
        commands(&standing).contains(&"sudo rootshift rollback"),
        "{whats:?}"
    );
}

#[test]
fn a_damaged_journal_calls_no_system_whole() {
    for records in [
        vec![
            armed(),
            Record::Committed,
            validated(),
            Record::FinalizeBegun,
        ],
        vec![],
    ] {
        let mut look = look(&records);
        look.trouble = Some(damaged());
        let facts = Facts {
            same_again: Some(false),
            ..facts(&look, Seen::New)
        };
        let all = said(&Standing::of(&facts));
        assert!(
            all.contains("another system than this one may start"),
            "{all}"
        );
        assert!(!all.contains("Both are whole"), "{all}");
    }
}

#[test]
fn an_old_system_that_is_gone_is_not_called_whole_and_named_once() {
    let asked = Record::RollbackRequested {
        reason: reason("by hand"),
    };
    for (records, wanted) in [
        (vec![armed(), Record::Committed], "on trial"),
        (vec![armed(), Record::Committed, asked], "calls it off"),
    ] {
        let look = look(&records);
        let mut facts = facts(&look, Seen::New);
        facts.old_problem = Some("the old system holds no init");
        let said = Standing::of(&facts).r#where.join(" ");
        let gone = "The old system holds no init: no boot goes back to it.";
        assert!(said.contains(gone) && said.contains(wanted), "{said}");
        assert!(!said.contains("whole"), "{said}");
    }
}
