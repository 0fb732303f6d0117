//! The power is cut at every named fault point, at every passage through it; then the machine
//! boots again. It must end in the new system, or be in the old one, with every file intact.
//!
//! The program stands still at the point; the disk is copied as the device has it, so what the
//! file system had not written yet is lost. Then the program is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::path::Path;

use common::{Disk, Kind, assert_same, assert_same_but_for_properties};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::fault::POINTS;
use rootshift::sys::Root;
use rootshift::tree::manifest::Manifest;

/// GRUB's view: the path it reads leads to a configuration and a kernel, old or new.
fn assert_boot_loader_finds_a_system(disk: &Disk, at: &str) {
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        let grub = Path::new(disk.kind.root()).join("boot/grub");
        let config = top.read_text(&grub.join("grub.cfg")).unwrap();
        let kernel = config
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("linux"))
            .and_then(|line| line.split_whitespace().next())
            .unwrap();
        let found = top.resolved_status(Path::new(kernel)).unwrap();
        assert!(
            found.is_some_and(|file| file.size > 0),
            "{at}: {kernel} is missing"
        );
        assert!(
            top.exists(&grub.join("i386-pc/normal.mod")).unwrap(),
            "{at}: modules"
        );
    });
}

/// Before the commit nothing that the old system reads has changed. A subvolume stays whole as it
/// is after it as well; of a flat system only `boot` gets another name.
fn assert_after_cut(disk: &Disk, old: &Manifest, at: &str) {
    disk.check();
    assert_boot_loader_finds_a_system(disk, at);
    if disk.kind == Kind::Rootfs {
        assert_same(old, &disk.old_manifest());
    } else if !disk.stage().new_system_is_root() && disk.mounted(|top| top.join("boot").is_dir()) {
        let boot_is_a_link = disk.mounted(|top| top.join("boot").is_symlink());
        if !boot_is_a_link {
            assert_same(old, &disk.old_manifest());
        }
    }
}

/// Every passage with `--thorough`, every fourth one else: the cut sweep cuts at every flush.
fn some_passages(point: &str) -> impl Iterator<Item = String> {
    passages(point).step_by(if common::is_thorough() { 1 } else { 4 })
}

fn passages(point: &str) -> impl Iterator<Item = String> {
    let point = point.to_owned();
    (1..100).map(move |passage| format!("{point}:{passage}"))
}

#[test]
fn a_cut_anywhere_in_the_migration_of_a_flat_system_ends_in_the_new_system() {
    cut_everywhere(Kind::Flat);
}

#[test]
fn a_cut_anywhere_in_the_migration_of_a_subvolume_ends_in_the_new_system() {
    cut_everywhere(Kind::Rootfs);
}

#[test]
fn a_cut_anywhere_in_a_migration_of_two_disks_ends_in_the_new_system() {
    cut_everywhere_on(Disk::with_two_filesystems(Kind::Flat));
}

fn cut_everywhere(kind: Kind) {
    cut_everywhere_on(Disk::with_system_of(kind));
}

fn cut_everywhere_on(mut disk: Disk) {
    let thorough = common::is_thorough();
    let old_other = disk.other.as_ref().map(|other| other.old_manifest());
    let old = disk.old_manifest();
    let steps = disk.arm(After::Reboot).steps().len();
    let armed = disk.keep_copy("armed.img");
    let mut cuts = 0;
    for point in POINTS.iter().filter(|point| !common::is_of_rollback(point)) {
        let before = cuts;
        for at in passages(point) {
            if !thorough && !is_sampled(&at, steps) {
                continue;
            }
            disk.restore(&armed);
            if !disk.cut_at(&at) {
                break;
            }
            cuts += 1;
            assert_after_cut(&disk, &old, &at);
            disk.boot_to_the_end(&at);
            assert_same(&old, &disk.new_manifest());
            disk.check();
            if let Some(old) = &old_other {
                assert_same(old, &disk.other().old_manifest());
                assert_same_but_for_properties(old, &disk.new_other_manifest());
                disk.other().check();
            }
        }
        assert!(cuts > before, "the fault point {point} was never reached");
    }
    let least = if thorough { 60 } else { 15 };
    assert!(cuts > least, "only {cuts} cuts");
    println!("{cuts} cuts");
}

/// Steps are of few kinds, and the cut sweep cuts at every flush: every sixteenth passage is enough,
/// but the last two (the last name, the boot path) in any case. `cargo xtask test --thorough`
/// takes all of them.
fn is_sampled(at: &str, steps: usize) -> bool {
    let passage = at
        .rsplit(':')
        .next()
        .and_then(|number| number.parse::<usize>().ok());
    passage.is_some_and(|passage| passage % 16 == 1 || passage + 1 >= steps)
}

#[test]
fn a_cut_while_a_file_is_backed_up_leaves_whole_copies_of_all() {
    let mut disk = Disk::with_system();
    disk.use_batch(&common::batch("{}", common::ROLLBACK));
    let old = disk.old_manifest();
    let plan = disk.arm(After::Reboot);
    let steps = plan.steps();
    let is_backup = |id: &str| id.starts_with("rollback_configuration/");
    let first = steps.iter().position(|step| is_backup(&step.id)).unwrap() + 1;
    let armed = disk.keep_copy("armed.img");
    let mut points = vec!["file-prepared:1".to_owned(), "file-prepared:2".to_owned()];
    for step in first..first + 3 {
        for point in ["step-begun", "step-applied", "step-synced", "step-done"] {
            points.push(format!("{point}:{step}"));
        }
    }
    for at in points {
        disk.restore(&armed);
        assert!(disk.cut_at(&at), "{at} was never reached");
        assert_after_cut(&disk, &old, &at);
        disk.boot_to_the_end(&at);
        assert_same(&old, &disk.new_manifest());
        disk.mounted(|top| {
            for file in ["etc/fstab", "etc/default/grub"] {
                let copy = top.join(format!("@/{file}{}", common::BACKUP));
                let read = |path| std::fs::read(path).unwrap();
                assert_eq!(read(copy), read(top.join(file)), "{at}");
            }
        });
    }
}

#[test]
fn a_cut_during_the_resume_of_a_cut_run_ends_in_the_new_system() {
    let mut disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    for (first, seconds) in [
        (
            "step-applied:2",
            ["step-begun:1", "step-synced:1", "step-done:3"],
        ),
        (
            "subvolume-renames:5",
            [
                "attempt-recorded:1",
                "subvolume-renames:1",
                "step-applied:1",
            ],
        ),
        (
            "committed:1",
            ["step-begun:1", "step-applied:1", "step-synced:1"],
        ),
    ] {
        for second in seconds {
            let at = format!("{first}, then {second}");
            disk.restore(&armed);
            assert!(disk.cut_at(first), "{at}");
            assert!(disk.cut_at(second), "{at}");
            assert_after_cut(&disk, &old, &at);
            disk.boot_to_the_end(&at);
            assert_same(&old, &disk.new_manifest());
        }
    }
}

#[test]
fn a_cut_anywhere_in_a_rollback_ends_in_the_old_system() {
    for kind in Kind::ALL {
        cut_the_rollback_everywhere(Disk::with_system_of(kind), 3);
    }
}

#[test]
fn a_cut_anywhere_in_a_rollback_of_two_disks_ends_in_the_old_system() {
    cut_the_rollback_everywhere(Disk::with_two_filesystems(Kind::Rootfs), 6);
}

fn cut_the_rollback_everywhere(mut disk: Disk, kept: usize) {
    let kind = disk.kind;
    let old_other = disk.other.as_ref().map(|other| other.old_manifest());
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    disk.record([common::rollback_requested()]);
    let requested = disk.keep_copy("requested.img");
    let mut cuts = 0;
    for point in POINTS.iter().filter(|point| common::is_of_rollback(point)) {
        for at in some_passages(point) {
            disk.restore(&requested);
            if !disk.cut_at(&at) {
                break;
            }
            cuts += 1;
            assert_after_cut(&disk, &old, &at);
            assert_eq!(disk.boot(), 0, "{at}");
            assert_eq!(
                disk.root_flags().as_deref(),
                Some(kind.root_flags()),
                "{at}"
            );
            assert_eq!(disk.stage(), Stage::RolledBack, "{at}");
            assert_eq!(
                disk.state().kept.len(),
                kept,
                "{at}: {:?}",
                disk.state().kept
            );
            assert_same(&old, &disk.old_manifest());
            if let Some(old) = &old_other {
                assert_same(old, &disk.other().old_manifest());
            }
        }
    }
    let least = if common::is_thorough() { 10 } else { 4 };
    assert!(cuts > least, "only {cuts} cuts");
}

#[test]
fn a_cut_while_a_failed_migration_is_taken_back_leaves_nothing_behind() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.mounted(common::make_the_proof_fail);
    let old = disk.old_manifest();
    let armed = disk.keep_copy("armed.img");
    let mut cuts = 0;
    for at in some_passages("step-undone") {
        disk.restore(&armed);
        if !disk.cut_at(&at) {
            break;
        }
        cuts += 1;
        assert_eq!(disk.boot(), 0, "{at}");
        assert_eq!(disk.stage(), Stage::Failed, "{at}");
        disk.mounted(|top| {
            assert!(!top.join("@").exists() && !top.join(".rootshift/new").exists())
        });
        assert_same(&old, &disk.old_manifest());
    }
    let least = if common::is_thorough() { 5 } else { 1 };
    assert!(cuts > least, "only {cuts} cuts");
}

/// A phase that the run can do without, whose second step can't work.
fn with_an_optional_failure() -> String {
    let text =
        std::fs::read_to_string(common::repository().join("batches/flat-to-subvolumes.json"));
    let mut batch: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    batch["failure_handling"] = "continue".into();
    let phases = batch["phases"].as_array_mut().unwrap();
    let proof = phases
        .iter()
        .position(|phase| phase["name"] == "pre_reboot_validation");
    let extra = serde_json::json!({
        "name": "extra", "viScripts": ["extra_viScript.json"], "required": false,
        "critical": false, "parallel_execution": false, "checkpoint_after": false
    });
    phases.insert(proof.unwrap(), extra);
    batch.to_string()
}

const OPTIONAL: &str = r#"{ "viScript_name": "extra", "version": "1.0", "description": "d",
    "type": "core", "risk_level": "medium", "steps": [
    { "name": "first", "do": { "snapshot": { "from": "/", "to": "{staging}/@extra" } } },
    { "name": "second", "do": { "snapshot": { "from": "/nowhere", "to": "{staging}/@x" } } } ] }"#;

#[test]
fn a_cut_while_an_optional_viscript_is_taken_back_leaves_nothing_of_it() {
    let mut disk = Disk::with_system();
    disk.use_batch(&with_an_optional_failure());
    let script = disk.folder.join("viscripts/extra_viScript.json");
    std::fs::write(script, OPTIONAL).unwrap();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert!(disk.cut_at("step-undone:1"));
    assert_eq!(disk.state().tolerated, ["extra/second"]);
    disk.boot_to_the_end("step-undone:1");
    assert_same(&old, &disk.new_manifest());
    let left = disk.state().done.into_iter();
    let left: Vec<String> = left.filter(|step| step.starts_with("extra/")).collect();
    assert_eq!(left, [""; 0]);
    disk.mounted(|top| assert!(!top.join(".rootshift/new/@extra").exists()));
}

#[test]
fn a_cut_anywhere_in_a_rollback_of_a_root_that_cant_be_booted_ends_in_the_old_system() {
    let mut disk = Disk::with_system_of(Kind::Rootfs);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    disk.mounted(|top| std::fs::remove_file(top.join("@/usr/sbin/init")).unwrap());
    let broken = disk.keep_copy("broken.img");
    let mut cuts = 0;
    for point in POINTS.iter().filter(|point| common::is_of_rollback(point)) {
        for at in some_passages(point) {
            disk.restore(&broken);
            if !disk.cut_at(&at) {
                break;
            }
            cuts += 1;
            assert_after_cut(&disk, &old, &at);
            assert_eq!(disk.boot(), 0, "{at}");
            let flags = disk.root_flags();
            assert_eq!(flags.as_deref(), Some(disk.kind.root_flags()), "{at}");
            let state = disk.state();
            assert_eq!(state.stage, Stage::RolledBack, "{at}");
            assert!(state.reason.unwrap().contains("no init"), "{at}");
            assert_eq!(state.kept.len(), 3, "{at}: {:?}", state.kept);
            assert_same(&old, &disk.old_manifest());
        }
    }
    assert!(cuts > 4, "only {cuts} cuts");
}
