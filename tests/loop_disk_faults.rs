//! What stands in a boot's way besides a failing disk (those are `cargo xtask faults`): a device
//! that can only be read, a damaged or foreign plan in the image, a journal that somebody else
//! holds, a clock at 1970. Each time the root that the journal names is the one that boots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, WOULD_REBOOT, assert_same};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;

/// A root that the journal names, and the mount options that stand for it.
const NEW: Option<&str> = Some("subvol=@");
const FLAT: Option<&str> = Some("subvol=/");

fn journal(disk: &Disk) -> Vec<u8> {
    disk.mounted(|top| fs::read(top.join(".rootshift/journal")).unwrap())
}

fn flags(disk: &Disk) -> Option<String> {
    disk.root_flags()
}

/// Brings the disk to its next stage of these: armed, on trial, rolled back.
fn go_on(disk: &Disk) -> Option<&'static str> {
    match disk.stage() {
        Stage::Armed => {
            assert_eq!(disk.boot(), WOULD_REBOOT);
            NEW
        }
        _ => {
            let reason = "a test".into();
            disk.record([Record::RollbackRequested { reason }]);
            assert_eq!(disk.boot(), 0);
            FLAT
        }
    }
}

#[test]
fn from_a_device_that_can_only_be_read_the_root_of_the_journal_boots() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    let mut root = None;
    for _ in 0..3 {
        let (before, stage) = (journal(&disk), disk.stage());
        disk.set_read_only(true);
        assert_eq!(disk.boot(), 0);
        assert_eq!(flags(&disk).as_deref(), root, "{stage:?}");
        let ran = disk.run_inside("status");
        // The old system is looked at, whichever the journal names by then.
        let other = i32::from(stage.new_system_is_root());
        assert_eq!(ran.code, other, "{ran:?}");
        assert!(ran.stdout.contains("\nNext   "), "{ran:?}");
        let ran = disk.run_inside("disarm");
        assert_ne!(ran.code, 0, "{ran:?}");
        disk.set_read_only(false);
        assert_eq!(journal(&disk), before);
        root = go_on(&disk);
    }
    disk.check();
}

/// Files of an image: names and contents.
type Files = Vec<(String, Vec<u8>)>;

/// Each way in which a plan can be spoilt in an image, and what `status` says of it then.
fn spoilt(plan: &Path, foreign: &Path) -> Vec<(&'static str, Files)> {
    let file = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    let (name, bytes) = file(plan);
    let (other_name, other_bytes) = file(foreign);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let half = bytes[..bytes.len() / 2].to_vec();
    vec![
        ("is damaged", vec![(name.clone(), half)]),
        ("is damaged", vec![(name.clone(), flipped)]),
        ("is damaged", vec![(name.clone(), Vec::new())]),
        ("is damaged", vec![(name.clone(), other_bytes.clone())]),
        ("is damaged", vec![(other_name.clone(), bytes)]),
        (
            "no plan for this file system",
            vec![(other_name, other_bytes)],
        ),
    ]
}

fn only_plan(disk: &Disk) -> std::path::PathBuf {
    let mut plans = fs::read_dir(disk.folder.join("plans")).unwrap();
    plans.next().unwrap().unwrap().path()
}

fn put_into_image(disk: &Disk, files: &[(String, Vec<u8>)]) {
    let plans = disk.folder.join("plans");
    fs::remove_dir_all(&plans).unwrap();
    fs::create_dir(&plans).unwrap();
    for (name, bytes) in files {
        fs::write(plans.join(name), bytes).unwrap();
    }
}

#[test]
fn with_a_spoilt_plan_in_the_image_nothing_is_done_and_status_says_why() {
    let (disk, other) = (Disk::with_system(), Disk::with_system());
    other.arm(After::Reboot);
    disk.arm(After::Reboot);
    let old = disk.old_manifest();
    let (plan, foreign) = (only_plan(&disk), only_plan(&other));
    let kept = fs::read(&plan).unwrap();
    let whole = (plan.file_name().unwrap().to_str().unwrap().to_owned(), kept);
    let ways = spoilt(&plan, &foreign);
    for root in [None, NEW] {
        let stage = disk.stage();
        for (why, files) in &ways {
            put_into_image(&disk, files);
            assert_eq!(disk.boot(), 0);
            assert_eq!(flags(&disk).as_deref(), root, "{why} at {stage:?}");
            assert_eq!(disk.stage(), stage);
            let ran = disk.run_inside("status");
            assert!(ran.says(why), "{ran:?}");
        }
        if root.is_none() {
            assert_same(&old, &disk.old_manifest());
            // A plan of another machine beside it is in nobody's way.
            let foreign = ways[5].1[0].clone();
            put_into_image(&disk, &[foreign, whole.clone()]);
            assert_eq!(disk.boot(), WOULD_REBOOT);
            disk.record([common::validated()]);
        }
    }
}

#[test]
fn a_trial_is_counted_and_ends_whatever_became_of_the_plan_in_the_image() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    let old = disk.old_manifest();
    assert_eq!(disk.boot(), WOULD_REBOOT);
    put_into_image(&disk, &[("plan-0.json".to_owned(), Vec::new())]);
    for trial in 1..=3 {
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.state().trials, trial);
        assert_eq!(flags(&disk).as_deref(), NEW);
    }
    // A rollback that is cut off goes on, too.
    assert!(disk.cut_at("step-undone:2"));
    assert_eq!(disk.boot(), 0);
    assert_eq!(
        (flags(&disk).as_deref(), disk.stage()),
        (FLAT, Stage::RolledBack)
    );
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn a_boot_beside_another_rootshift_names_the_root_and_leaves_the_journal_alone() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    let mut root = None;
    for _ in 0..3 {
        let (before, stage) = (journal(&disk), disk.stage());
        assert_eq!(disk.while_held(|| disk.boot()), 0);
        assert_eq!(flags(&disk).as_deref(), root, "{stage:?}");
        assert_eq!(journal(&disk), before);
        root = go_on(&disk);
    }
    disk.check();
}

#[test]
fn a_command_beside_another_rootshift_ends_with_one_line() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.boot();
    let before = journal(&disk);
    for command in [
        "validate",
        "rollback --yes",
        "finalize --yes",
        "disarm",
        "arm --yes",
    ] {
        let ran = disk.while_held(|| disk.run_in_new_system(command));
        if command != "arm --yes" {
            assert_eq!(ran.code, 4, "{command}: {ran:?}");
            ran.assert_one_line(&["another rootshift is at work", "wait for it to end"]);
        }
        assert_ne!(ran.code, 0, "{command}: {ran:?}");
    }
    assert_eq!(journal(&disk), before);
}

#[test]
fn a_clock_at_1970_orders_nothing() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot); // in 2023, by its plan
        disk.boot();
        disk.boot();
        for at in [Some(0), Some(-1), Some(i64::MIN), None] {
            let (passed, failed) = (1, 0);
            disk.record([Record::Validated {
                passed,
                failed,
                at,
                loader_named_root: None,
            }]);
            assert_eq!(disk.stage(), Stage::Validated);
            for command in ["status", "log", "report --json"] {
                let ran = disk.run_in_new_system(command);
                assert_eq!(ran.code, 0, "{command} at {at:?}: {ran:?}");
            }
        }
        let reason = "a test".into();
        disk.record([Record::RollbackRequested { reason }]);
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.stage(), Stage::RolledBack);
    }
}
