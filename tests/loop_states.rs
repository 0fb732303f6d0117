//! No dead end, and no promise that the next boot does not keep: commands in states that other
//! commands, a broken update-initramfs or a cut have left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{Disk, Kind, Ran, validated};
use rootshift::documents::plan::JOURNAL;
use rootshift::engine::Stage;

fn armed(kind: Kind) -> Disk {
    let disk = Disk::with_images(kind);
    let ran = disk.run_inside("arm --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    disk
}

/// The new system runs, on trial.
fn on_trial(kind: Kind) -> Disk {
    let mut disk = armed(kind);
    assert_eq!(disk.start(1).root, "@");
    assert_eq!(disk.stage(), Stage::Committed);
    disk
}

/// The boot loader alone has booted the new system.
fn rehearsed(disk: &mut Disk) {
    disk.record([validated()]);
    disk.rehearse();
    disk.mounted_as = Some("@".into());
}

fn finalize(disk: &Disk) -> Ran {
    disk.run_booted_with(&disk.new_command_line(), true, "finalize --yes")
}

fn sound(ran: &Ran) {
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Row 8 of issue S: images are ordinary by half when `rollback` promises that the next boot goes back.
#[test]
fn a_rollback_after_a_finalize_that_broke_off_at_the_images_goes_back() {
    for (kind, image) in [(Kind::Flat, 0), (Kind::Flat, 1), (Kind::Rootfs, 0)] {
        let mut disk = on_trial(kind);
        rehearsed(&mut disk);
        disk.stop_images_after("@", Some(1));
        let ran = finalize(&disk);
        assert_eq!((ran.code, disk.stage()), (3, Stage::Rehearsed), "{ran:?}");
        disk.stop_images_after("@", None);
        let ran = disk.run_inside("rollback --yes");
        sound(&ran);
        assert!(ran.says("the next boot goes back"), "{ran:?}");
        let start = disk.start(image);
        let commands = [
            "finalize --yes",
            "disarm",
            "rollback --yes",
            "recover --yes",
        ];
        let said: Vec<String> = commands
            .map(|command| format!("{command}: {:?}", disk.run_inside(command)))
            .to_vec();
        assert_eq!(
            start.root,
            kind.root(),
            "{kind:?}, image {image}: {said:#?}"
        );
    }
}

/// Images that can't be made now are no reason to promise what does not come.
#[test]
fn a_rollback_whose_images_can_not_be_made_promises_nothing() {
    let mut disk = on_trial(Kind::Flat);
    rehearsed(&mut disk);
    disk.stop_images_after("@", Some(1));
    let ran = finalize(&disk);
    assert_eq!((ran.code, disk.stage()), (3, Stage::Rehearsed), "{ran:?}");
    let ran = disk.run_inside("rollback --yes");
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_ne!(disk.stage(), Stage::RollbackRequested);
    disk.stop_images_after("@", None);
    sound(&disk.run_inside("rollback --yes"));
    assert_eq!(disk.start(0).root, "");
}

/// Row 10: a sound journal is nobody's to throw away.
#[test]
fn a_sound_journal_is_not_discarded() {
    for (disk, remedy) in [
        (armed(Kind::Flat), "rootshift disarm"),
        (on_trial(Kind::Flat), "rootshift rollback"),
    ] {
        let before = disk.mounted(|top| fs::read(top.join(JOURNAL)).unwrap());
        let ran = disk.run_inside("disarm --discard-journal");
        assert_eq!(ran.code, 4, "{ran:?}");
        ran.assert_one_line(&["sound", remedy]);
        let after = disk.mounted(|top| fs::read(top.join(JOURNAL)).unwrap());
        assert!(before == after);
    }
}

#[test]
fn a_journal_that_somebody_works_on_is_not_discarded() {
    let disk = armed(Kind::Flat);
    let ran = disk.while_held(|| disk.run_inside("disarm --discard-journal --yes"));
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["another rootshift is at work"]);
    assert_eq!(disk.stage(), Stage::Armed);
}

fn damage(disk: &Disk) {
    disk.mounted(|top| {
        let mut bytes = fs::read(top.join(JOURNAL)).unwrap();
        bytes[700] ^= 16;
        fs::write(top.join(JOURNAL), bytes).unwrap();
    });
}

#[test]
fn a_damaged_journal_is_not_discarded_without_a_yes() {
    let disk = armed(Kind::Flat);
    damage(&disk);
    let ran = disk.run_inside("disarm --discard-journal");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("--yes"), "{ran:?}");
    assert!(disk.mounted(|top| top.join(JOURNAL).exists()));
    sound(&disk.run_inside("disarm --discard-journal --yes"));
    assert!(
        disk.images()
            .iter()
            .all(|image| !image.contains("usr/sbin/rootshift"))
    );
}

/// Row 14.
#[test]
fn a_rollback_while_armed_asks() {
    let disk = armed(Kind::Flat);
    let ran = disk.run_inside("rollback");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(disk.stage(), Stage::Armed);
    sound(&disk.run_inside("rollback --yes"));
    assert_eq!(disk.stage(), Stage::Disarmed);
}

/// Row 14.
#[test]
fn blockers_are_json_where_json_was_asked_for() {
    let disk = Disk::with_images(Kind::Flat);
    disk.mounted(|top| fs::remove_dir_all(top.join("usr/share/initramfs-tools")).unwrap());
    let ran = disk.run_inside("arm --yes --json");
    assert_eq!(ran.code, 1, "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stdout);
    let findings = told["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["verdict"] == "fail"),
        "{told:#}"
    );
}
