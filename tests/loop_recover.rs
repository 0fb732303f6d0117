//! A person with only a console: what `status` says in each state, what `log --boot` keeps, and
//! what `recover` tidies up after commands that were killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Disk, Ran, WOULD_REBOOT, assert_same, install, make_the_proof_fail, names, run};
use rootshift::documents::plan::{After, JOURNAL, STAGING};
use rootshift::engine::Stage;
use rootshift::journal::{Journal, Record, frame};
use rootshift::sys::Root;
use serde_json::Value;

/// A machine of which `$TOP` is the root, in a mount table of its own; then the test's own lines.
const MACHINE: &str = r#"
    set -e
    mount -o "$OPTIONS" $FROM "$TOP"
    mkdir -p "$TOP/run" "$TOP/proc" "$TOP/dev" "$TOP/sys"
    mount -t tmpfs run "$TOP/run"
    for place in proc dev sys; do mount --rbind /$place "$TOP/$place"; done
    for library in $(ldd "$BINARY" | grep -o '/[^ ]*'); do cp "$library" "$TOP/run/"; done
    cp "$BINARY" "$TOP/run/program"
    rootshift() {
        exec chroot "$TOP" /run/ld-linux-x86-64.so.2 --library-path /run /run/program "$@"
    }
"#;

/// Runs a shell script in such a machine, with this device and these options as its root.
fn machine(disk: &Disk, from: &str, options: &str, script: &str) -> Ran {
    let target = disk.folder.join("machine");
    fs::create_dir_all(&target).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{MACHINE}\n{script}"))
        .env("FROM", from)
        .env("OPTIONS", options)
        .env("DEVICE", &disk.device)
        .env("TOP", &target)
        .env("FOLDER", &disk.folder)
        .env("BINARY", env!("CARGO_BIN_EXE_rootshift"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The old system of a flat disk.
fn old_machine(disk: &Disk, script: &str) -> Ran {
    machine(disk, &disk.device, "subvolid=5,noatime", script)
}

/// A system whose programs that make images do as they are told.
fn with_programs() -> Disk {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        install(top, "/bin/true", "update-initramfs");
        install(top, "/bin/true", "lsinitramfs");
    });
    disk
}

/// Line breaks and indents left out.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_says(ran: &Ran, code: i32, wanted: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    let said = words(&ran.stdout);
    for part in wanted {
        assert!(said.contains(part), "{part} is missing in:\n{}", ran.stdout);
    }
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
}

/// The lines that can be copied.
fn commands(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines();
    let copied = lines.filter_map(|line| line.strip_prefix("         "));
    copied.map(str::to_owned).collect()
}

#[track_caller]
fn assert_offers(ran: &Ran, wanted: &[&str]) {
    let commands = commands(ran);
    for one in wanted {
        assert!(
            commands.iter().any(|line| line == one),
            "{one}: {commands:#?}"
        );
    }
}

fn append(disk: &Disk, record: Record) {
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        let mut journal = Journal::open(&top, Path::new(JOURNAL)).unwrap();
        journal.append(record).unwrap();
    });
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"))
}

const OLD: &str = "The old system is root (the top level of the disk).";
const NEW: &str = "The new system is root (the subvolume @).";

#[test]
fn status_leads_through_a_whole_life() {
    let disk = with_programs();
    let ran = disk.run_inside("status");
    let wanted = ["Root is the top level of the disk.", "Nothing is armed."];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["rootshift check"]);
    disk.arm(After::Reboot);
    let ran = disk.run_inside("status");
    let wanted = [OLD, "the next boot carries it out", "Layout: @ at /,"];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["reboot", "rootshift disarm"]);
    through_the_trial(&disk);
    assert_eq!(disk.run_in_new_system("rollback --yes").code, 0);
    let ran = disk.run_in_new_system("status");
    let wanted = [NEW, "The next boot goes back", "Asked for by hand."];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["reboot"]);
    assert_eq!(disk.boot(), 0);
    back_in_the_old_system(&disk);
}

fn through_the_trial(disk: &Disk) {
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.boot(), 0);
    let ran = disk.run_in_new_system("status");
    let wanted = [NEW, "This is boot 1 of 3;", "No validation has passed"];
    assert_says(&ran, 0, &wanted);
    let back = "rootshift rollback && reboot";
    assert_offers(&ran, &["rootshift validate", back]);
    let problems = vec!["the boot loader agrees: it does not".into()];
    append(disk, Record::NotValidated { problems });
    let ran = disk.run_in_new_system("status");
    assert_says(&ran, 0, &[NEW, "The boot loader agrees: it does not."]);
    let validated = Record::Validated {
        passed: 5,
        failed: 0,
        at: None,
        loader_named_root: None,
    };
    append(disk, validated);
    let ran = disk.run_in_new_system("status");
    assert_says(&ran, 0, &[NEW, "passed its validation"]);
    assert_offers(&ran, &["reboot", back]);
    append(
        disk,
        Record::Rehearsed {
            chain: vec![],
            root: None,
        },
    );
    let ran = disk.run_in_new_system("status");
    let wanted = [NEW, "passed its validation", "This can't be undone"];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["rootshift finalize", back]);
}

fn back_in_the_old_system(disk: &Disk) {
    let ran = disk.run_inside("status");
    let kept = "Kept aside: @.rolled-back-1, @home.rolled-back-1, @var_log.rolled-back-1.";
    assert_says(&ran, 0, &[OLD, "Rolled back", kept, "Asked for by hand."]);
    assert_offers(&ran, &["rootshift disarm"]);
    kept_is_deleted_by_the_commands_that_status_prints(disk, &ran);
    let status = json(&disk.run_inside("status --json"));
    assert_eq!(status["stage"], "rolled-back");
    assert_eq!(status["root"], "old");
    assert_eq!(status["root_agrees"], true);
    assert_eq!(status["next"][0]["commands"][0], "rootshift disarm");
}

/// As they stand: nested subvolumes first.
fn kept_is_deleted_by_the_commands_that_status_prints(disk: &Disk, ran: &Ran) {
    let lines = commands(ran);
    let start = lines
        .iter()
        .position(|line| line.starts_with("mount "))
        .unwrap();
    let end = lines.iter().position(|line| line == "umount /mnt").unwrap();
    let lines = &lines[start..=end];
    let mount = format!("mount -o subvolid=5 UUID={} /mnt", disk.uuid);
    assert_eq!(lines[0], mount);
    assert!(lines.len() >= 7, "nested ones are missing: {lines:#?}");
    disk.mounted(|top| {
        for line in &lines[1..lines.len() - 1] {
            run(
                "sh",
                &["-c", &line.replace("/mnt/", &format!("{}/", top.display()))],
            );
        }
        let left = fs::read_dir(top).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // What stays under the name of the new root leads its GRUB to the old system.
        let left: Vec<String> = names
            .filter(|name| name.contains(".rolled-back-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    });
    let after = disk.run_inside("status");
    assert!(!after.stdout.contains("subvolume delete"), "{after:?}");
}

#[test]
fn a_failure_is_told_with_its_step_and_how_to_try_again() {
    let disk = with_programs();
    disk.mounted(make_the_proof_fail);
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    let ran = disk.run_inside("status");
    let why = disk.state().reason.unwrap();
    let (_, rest) = why.split_at(1); // it begins with a capital
    assert_says(
        &ran,
        0,
        &["The migration failed and was given up.", &words(rest)],
    );
    assert!(
        !ran.stdout.contains("The last warning"),
        "told twice: {ran:?}"
    );
    assert_offers(
        &ran,
        &[
            "rootshift check",
            "rootshift disarm && rootshift arm",
            "rootshift log --boot",
        ],
    );
    let ran = disk.run_inside("log --boot");
    assert_says_anything(&ran, &["boot 1, ", "rootshift! ", "vmlinuz-6.1.0-1-amd64"]);
}

#[track_caller]
fn assert_says_anything(ran: &Ran, wanted: &[&str]) {
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in wanted {
        assert!(ran.stdout.contains(part), "{part} is missing: {ran:?}");
    }
}

#[test]
fn a_root_that_the_journal_does_not_name_is_told() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let ran = disk.run_inside("status");
    let wanted = [
        "The old system is root (the top level of the disk).",
        "But the journal says that the new system is root: they disagree.",
        "an image without rootshift was started",
    ];
    assert_says(&ran, 1, &wanted);
    assert_offers(&ran, &["reboot", "rootshift rollback"]);
    let ran = disk.run_inside("status --json");
    assert_eq!(json(&ran)["root_agrees"], false, "{ran:?}");
    disk.mounted(|top| {
        let path = |name: &str| top.join(name).to_str().unwrap().to_owned();
        run(
            "btrfs",
            &[
                "-q",
                "subvolume",
                "snapshot",
                &path("@"),
                &path("@snapshot"),
            ],
        );
    });
    let mut disk = disk;
    disk.mounted_as = Some("@snapshot".into());
    let ran = disk.run_inside("status");
    assert_says(
        &ran,
        1,
        &[
            "but the subvolume @snapshot.",
            "they disagree",
            "as a snapshot",
        ],
    );
}

fn spoil_journal(disk: &Disk, spoil: impl FnOnce(&mut Vec<u8>, u64)) {
    disk.mounted(|top| {
        let root = Root::open(top).unwrap();
        let tag = Journal::open(&root, Path::new(JOURNAL)).unwrap().tag();
        let mut bytes = fs::read(top.join(JOURNAL)).unwrap();
        spoil(&mut bytes, tag);
        fs::write(top.join(JOURNAL), bytes).unwrap();
    });
}

fn add_record_from_the_future(disk: &Disk) {
    let sequence = u64::try_from(disk.records().len() + 1).unwrap();
    spoil_journal(disk, |bytes, tag| {
        bytes.extend(frame::encode(sequence, tag, br#"{"from-the-future":{}}"#).unwrap());
    });
}

/// A disk with the new system as root, and its journal's bytes.
fn committed() -> (Disk, Vec<u8>) {
    let disk = with_programs();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let whole = disk.mounted(|top| fs::read(top.join(JOURNAL)).unwrap());
    (disk, whole)
}

#[test]
fn a_journal_of_another_version_and_a_plan_that_is_not_its_own_are_told() {
    let (disk, whole) = committed();
    let records = disk.records().len();
    add_record_from_the_future(&disk);
    let ran = disk.run_in_new_system("status");
    let read = format!("What can be read of it (records: {records})");
    let wanted = [NEW, "by another version", &read, "Rebooting"];
    assert_says(&ran, 3, &wanted);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert_offers(&ran, &["rootshift version"]);
    assert!(!ran.stdout.contains("discard"), "{ran:?}");

    disk.mounted(|top| {
        fs::write(top.join(JOURNAL), &whole).unwrap();
        fs::write(top.join(".rootshift/plan.json"), "{}").unwrap();
    });
    let ran = disk.run_in_new_system("status");
    let wanted = [
        "Root is the subvolume @.",
        "plan.json",
        "new system as root",
    ];
    assert_says(&ran, 2, &wanted);
    assert_offers(&ran, &["rootshift disarm --discard-journal"]);
}

/// rootshift was updated after arming and has written to the journal: the images hold the old one.
#[test]
fn a_boot_with_a_journal_of_another_version_changes_nothing() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    add_record_from_the_future(&disk);
    let before = disk.mounted(|top| (names(top), fs::read(top.join(JOURNAL)).unwrap()));
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    let after = disk.mounted(|top| (names(top), fs::read(top.join(JOURNAL)).unwrap()));
    assert!(before == after, "{:?}, then {:?}", before.0, after.0);
}

#[test]
fn a_damaged_journal_leaves_a_person_with_more_than_an_error() {
    let (disk, _) = committed();
    spoil_journal(&disk, |bytes, _| bytes[700] ^= 16);
    let ran = disk.run_in_new_system("status");
    let read = "(records: 1) ends with the old system";
    assert_says(&ran, 3, &[NEW, "damaged at byte 512", read]);
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    let mount = format!("mount -o subvolid=5 UUID={} /mnt", disk.uuid);
    let copy = "cp /mnt/.rootshift/journal /root/";
    let discard = "rootshift disarm --discard-journal";
    assert_offers(&ran, &[&mount, copy, discard]);
    let status = json(&disk.run_in_new_system("status --json"));
    assert_eq!(status["stage"], "unknown");
    assert_eq!(status["root"], "new");
    // A boot does nothing, says so, and that can be read.
    assert_eq!(disk.boot(), 0);
    let boots = json(&disk.run_in_new_system("log --boot --json"));
    let last = boots.as_array().unwrap().last().unwrap();
    let last = last["lines"].as_array().unwrap().last().unwrap();
    let said = last.as_str().unwrap();
    assert!(said.contains("damaged at byte 512"), "{boots}");
    // And the way on that was offered is one.
    assert_eq!(
        disk.run_in_new_system("disarm --discard-journal --yes")
            .code,
        0
    );
    let ran = disk.run_in_new_system("status");
    assert_says(&ran, 0, &["Nothing is armed."]);
}

#[test]
fn a_journal_that_another_process_holds_is_read_all_the_same() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    let held = r#"
        exec 9<>"$TOP/.rootshift/journal"
        flock --exclusive 9
        code=0
        (rootshift COMMAND 9>&-) || code=$?
        exit $code
    "#;
    let ran = old_machine(&disk, &held.replace("COMMAND", "status"));
    let wanted = [
        "the next boot carries it out",
        "Another rootshift is at work",
    ];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["pgrep -a rootshift", "reboot"]);
    let ran = old_machine(&disk, &held.replace("COMMAND", "recover --yes"));
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.stderr.contains("another rootshift is at work"),
        "{ran:?}"
    );
}

#[test]
fn what_the_journal_can_not_hold_is_quoted_from_what_the_boot_said() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    let ran = old_machine(
        &disk,
        r#"
        mkdir "$TOP/run/initramfs"
        echo 'rootshift! /dev/sda2 is not the file system of the plan: nothing is done' \
            >"$TOP/run/initramfs/rootshift.log"
        rootshift status
        "#,
    );
    let quoted = "/dev/sda2 is not the file system of the plan: nothing is done.";
    assert_says(&ran, 0, &["The last warning of this boot:", quoted]);

    // The journal can't be written: the boot is an ordinary one, and says why on the disk.
    let journal = disk.mounted(|top| {
        let journal = top.join(JOURNAL).to_str().unwrap().to_owned();
        run("chattr", &["+i", &journal]);
        journal
    });
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    let ran = disk.run_inside("status");
    let wanted = [
        "The journal can't be written",
        "The last warning of this boot: Cannot open for writing",
        "chattr -ia /mnt/.rootshift/journal",
    ];
    assert_says(&ran, 3, &wanted);
    disk.mounted(|_| run("chattr", &["-i", &journal]));

    // The image is armed and the disk has no journal.
    disk.mounted(|top| fs::remove_file(top.join(JOURNAL)).unwrap());
    assert_eq!(disk.boot(), 0);
    disk.mounted(|top| fs::create_dir_all(top.join("var/lib/rootshift/armed")).unwrap());
    let ran = disk.run_inside("status");
    let said = "The image is armed and the disk has no journal: nothing is done.";
    assert_says(&ran, 0, &["This disk has no journal", said]);
    assert_offers(&ran, &["rootshift recover", "rootshift log --boot"]);
}

#[test]
fn a_log_that_can_not_be_kept_is_in_no_boots_way() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.mounted(|top| fs::write(top.join(".rootshift/logs"), "in the way").unwrap());
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    assert_same(&old, &disk.new_manifest());
}

#[test]
fn the_initramfs_says_where_it_stands_too() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let script = r#"
        mkdir -p "$TOP/etc"
        cp -r "$FOLDER/plans" "$TOP/etc/rootshift"
        rootshift status
    "#;
    let ran = machine(&disk, "-t tmpfs image", "size=64m", script);
    let wanted = [
        "No system is root yet: this is the initramfs.",
        "The new system is on trial",
    ];
    assert_says(&ran, 0, &wanted);
    assert_offers(&ran, &["exit", "reboot -f"]);
}

/// Boots inside the machine, at the usual place, and kills the worker at a fault point; who would
/// tidy up after it is not there.
const KILLED_BOOT: &str = r#"
    cp -r "$FOLDER/plans" "$TOP/run/plans"
    mkfifo "$FOLDER/said"
    (export ROOTSHIFT_FAULT=POINT ROOTFLAGS=
     rootshift boot --worker --no-reboot --device "$DEVICE" --plans /run/plans \
        --param-conf /run/param.conf --console /nonexistent) >"$FOLDER/signs" 2>"$FOLDER/said" &
    killed=$!
    grep -q 'fault point' "$FOLDER/said"
    kill -9 $killed
    wait $killed 2>/dev/null || true
    rm "$FOLDER/said"
    grep -q " $TOP/run/rootshift/top " /proc/self/mountinfo
"#;

#[test]
fn a_boot_that_was_killed_leaves_a_mount_and_recover_takes_it_away_and_nothing_else() {
    let disk = with_programs();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let script = KILLED_BOOT.replace("POINT", "step-synced:2")
        + r#"
        (rootshift recover --dry-run) >"$FOLDER/dry" || echo "dry: $?"
        (rootshift recover) >"$FOLDER/unanswered" 2>&1 || echo "unanswered: $?"
        grep -q " $TOP/run/rootshift/top " /proc/self/mountinfo
        (rootshift recover --yes) >"$FOLDER/done"
        ! grep " $TOP/run/rootshift" /proc/self/mountinfo
        [ -z "$(ls "$TOP/run/rootshift")" ]
        (rootshift recover --yes) >"$FOLDER/again"
        "#;
    let ran = old_machine(&disk, &script);
    let said = |name: &str| words(&fs::read_to_string(disk.folder.join(name)).unwrap());
    assert_eq!(
        (ran.code, &*words(&ran.stdout)),
        (0, "dry: 1 unanswered: 4"),
        "{ran:?}"
    );
    for name in ["dry", "unanswered", "done"] {
        let wanted = "still mounted at /run/rootshift/top, by a command that was killed";
        assert!(said(name).contains(wanted), "{name}: {}", said(name));
    }
    let done = said("done");
    assert!(done.contains("Done: unmount /run/rootshift/top."), "{done}");
    assert!(
        done.contains("The migration is begun and has not come to its end."),
        "{done}"
    );
    assert_eq!(said("again"), "Nothing to tidy up.");
    // What was prepared is the migration's, which goes on.
    assert_eq!(disk.stage(), Stage::Preparing);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_same(&old, &disk.new_manifest());
}

#[test]
fn nothing_to_tidy_up_is_one_line() {
    let disk = with_programs();
    let ran = disk.run_inside("recover");
    assert_eq!(
        (ran.code, &*ran.stdout),
        (0, "Nothing to tidy up.\n"),
        "{ran:?}"
    );
    let ran = disk.run_inside("recover --json");
    assert_eq!(
        (ran.code, &json(&ran)["found"]),
        (0, &serde_json::json!([])),
        "{ran:?}"
    );
    disk.arm(After::Reboot);
    let ran = disk.run_inside("recover");
    assert_eq!(
        (ran.code, &*ran.stdout),
        (0, "Nothing to tidy up.\n"),
        "{ran:?}"
    );
}

#[test]
fn a_failed_take_back_is_ended_as_the_journal_has_it() {
    let mut disk = with_programs();
    disk.mounted(make_the_proof_fail);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert!(disk.cut_at("step-undone:2"));
    assert!(disk.state().has_work() && disk.stage() == Stage::Failed);
    let ran = disk.run_inside("recover --yes");
    let wanted = [
        "what a failed migration had prepared",
        "Done: take it back",
        "The migration failed",
    ];
    assert_says(&ran, 0, &wanted);
    assert!(!disk.state().has_work());
    assert!(disk.mounted(|top| !top.join(STAGING).exists()));
    assert_same(&old, &disk.old_manifest());
    disk.check();
}

#[test]
fn what_was_prepared_is_deleted_once_no_journal_wants_it_and_nothing_in_doubt_is() {
    let mut disk = with_programs();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert!(disk.cut_at("step-done:3"));
    disk.mounted(|top| {
        let kept = format!("{JOURNAL}.1");
        fs::rename(top.join(JOURNAL), top.join(kept)).unwrap();
    });
    let staging = |top: &Path| {
        let names = fs::read_dir(top.join(STAGING)).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let prepared = disk.mounted(|top| {
        let mine = top.join(STAGING).join("mine");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join("file"), "precious").unwrap();
        let volume = top.join(STAGING).join("volume");
        run(
            "btrfs",
            &["-q", "subvolume", "create", volume.to_str().unwrap()],
        );
        staging(top)
    });
    assert!(prepared.len() > 2, "{prepared:?}");
    let ran = disk.run_inside("recover --yes");
    assert_eq!(ran.code, 1, "{ran:?}");
    let said = words(&ran.stdout);
    for wanted in [
        "no migration made it",
        "no plan made .rootshift/new/volume",
        "Done: delete /.rootshift/new/@",
    ] {
        assert!(said.contains(wanted), "{wanted}: {}", ran.stdout);
    }
    assert_eq!(disk.mounted(staging), ["mine", "volume"]);
    let ran = disk.run_inside("recover --yes");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!ran.stdout.contains("Done"), "{ran:?}");
    assert_same(&old, &disk.old_manifest());
    // Another snapshot in the place of a prepared one is not what the plan made.
    disk.mounted(|top| {
        let path = |name: &str| top.join(name).to_str().unwrap().to_owned();
        let (from, to) = (path("home/user/vm"), path(".rootshift/new/@"));
        run("btrfs", &["-q", "subvolume", "snapshot", &from, &to]);
    });
    let ran = disk.run_inside("recover --yes");
    assert!(
        words(&ran.stdout).contains("a snapshot of something else"),
        "{ran:?}"
    );
    assert!(disk.mounted(|top| top.join(".rootshift/new/@/disk").exists()));
}

#[test]
fn unfinished_files_and_the_tail_of_a_journal_are_taken_away() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    let size = disk.mounted(|top| {
        let write = |path: &str| fs::write(top.join(path), "half").unwrap();
        write("etc/.fstab.rootshift-new");
        write("boot/grub/.grub.cfg.rootshift-new");
        write(".rootshift/.plan.json.rootshift-new");
        write("etc/.nothing.rootshift-new");
        let journal = top.join(JOURNAL);
        let size = fs::metadata(&journal).unwrap().len();
        let mut file = fs::File::options().append(true).open(journal).unwrap();
        file.write_all(b"rsJ1\0").unwrap();
        size
    });
    let ran = disk.run_inside("recover --json --yes");
    let told = json(&ran);
    let kinds: Vec<&str> = told["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "unfinished-file",
            "unfinished-file",
            "unfinished-file",
            "journal-tail"
        ]
    );
    assert_eq!(
        (ran.code, &told["done"]),
        (0, &Value::Bool(true)),
        "{ran:?}"
    );
    assert_eq!(told["status"]["stage"], "armed");
    disk.mounted(|top| {
        assert!(!top.join("etc/.fstab.rootshift-new").exists());
        assert!(!top.join("boot/grub/.grub.cfg.rootshift-new").exists());
        assert!(!top.join(".rootshift/.plan.json.rootshift-new").exists());
        // There is no file that it was to replace: whose it is can't be told.
        assert!(top.join("etc/.nothing.rootshift-new").exists());
        assert_eq!(fs::metadata(top.join(JOURNAL)).unwrap().len(), size);
    });
    assert_eq!(disk.run_inside("recover").stdout, "Nothing to tidy up.\n");
}

#[test]
fn images_that_no_journal_wants_are_made_ordinary() {
    let disk = with_programs();
    disk.arm(After::Reboot);
    let armed = |top: &Path| top.join("var/lib/rootshift/armed");
    disk.mounted(|top| {
        fs::create_dir_all(armed(top)).unwrap();
        fs::write(armed(top).join("plan-x.json"), "{}").unwrap();
    });
    let ran = disk.run_inside("recover --yes");
    assert_eq!(
        ran.stdout, "Nothing to tidy up.\n",
        "a journal wants them: {ran:?}"
    );
    // `rootshift arm` was killed before it had looked into the images.
    disk.mounted(|top| {
        let file = fs::File::options()
            .write(true)
            .open(top.join(JOURNAL))
            .unwrap();
        file.set_len(512).unwrap();
        fs::write(top.join("boot/initrd.img-6.1.0-1-amd64.new"), "half").unwrap();
    });
    assert_eq!(disk.stage(), Stage::Planned);
    let ran = disk.run_inside("recover --yes");
    let wanted = [
        "puts a plan into the next images, and no journal asks for it",
        "Done: make every initramfs image without rootshift.",
        "left by update-initramfs, or it is being made just now",
    ];
    assert_says(&ran, 1, &wanted);
    assert_eq!(disk.stage(), Stage::Disarmed);
    disk.mounted(|top| {
        assert!(!armed(top).exists());
        // Not rootshift's own.
        assert!(top.join("boot/initrd.img-6.1.0-1-amd64.new").exists());
        fs::remove_file(top.join("boot/initrd.img-6.1.0-1-amd64.new")).unwrap();
        fs::remove_file(top.join(JOURNAL)).unwrap();
        fs::create_dir_all(armed(top)).unwrap();
    });
    let ran = disk.run_inside("recover --yes");
    assert_says(
        &ran,
        0,
        &["Done: make every initramfs image", "Nothing is armed."],
    );
    assert!(disk.mounted(|top| !armed(top).exists()));
}
