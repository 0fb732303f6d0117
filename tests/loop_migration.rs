//! The life of a migration on a real btrfs behind a loop device, with the binary at boot mode.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use common::{Disk, WOULD_REBOOT, assert_same, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;

#[test]
fn a_flat_root_becomes_subvolumes_with_every_file() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    let plan = disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    let planned: Vec<&str> = plan.steps().iter().map(|step| step.id.as_str()).collect();
    assert_eq!(disk.state().done, planned);
    assert_same(&old, &disk.new_manifest());
    disk.check();
}

#[test]
fn the_boot_after_the_commit_mounts_the_new_root() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.boot();
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_eq!(disk.state().trials, 1);
}

#[test]
fn continue_goes_on_into_the_new_system() {
    let disk = Disk::with_system();
    disk.arm(After::Continue);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
}

#[test]
fn the_old_system_is_whole_after_the_commit_and_root_again_after_a_rollback() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    disk.mounted(|top| std::fs::write(top.join("@home/user/new-work"), "kept").unwrap());
    request_rollback(&disk);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=/"));
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
    disk.mounted(|top| {
        let kept = top.join("@home.rolled-back-1/user/new-work");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "kept");
        assert!(!top.join(".boot.rootshift").exists());
    });
    assert_eq!(
        disk.state().kept,
        [
            "@.rolled-back-1",
            "@home.rolled-back-1",
            "@var_log.rolled-back-1"
        ]
    );
}

fn request_rollback(disk: &Disk) {
    disk.mounted(|top| {
        let top = rootshift::sys::Root::open(top).unwrap();
        let mut migration = rootshift::engine::home::Migration::open(&top)
            .unwrap()
            .unwrap();
        migration
            .record(Record::RollbackRequested {
                reason: "test".into(),
            })
            .unwrap();
    });
}

#[test]
fn a_new_system_that_never_validates_is_rolled_back_by_itself() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    let plan = disk.arm(After::Reboot);
    disk.boot();
    for trial in 1..=plan.trial_boots {
        assert_eq!(disk.boot(), 0);
        assert_eq!(
            disk.root_flags().as_deref(),
            Some("subvol=@"),
            "trial {trial}"
        );
    }
    disk.boot();
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=/"));
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn work_prepared_from_an_old_system_that_changed_since_is_thrown_away() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    leave_half_prepared(&disk);
    disk.mounted(|top| std::fs::write(top.join("home/user/files/7"), "changed since").unwrap());
    let old = disk.old_manifest();
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert!(
        disk.records()
            .iter()
            .any(|record| matches!(record, Record::Discarded { .. }))
    );
    assert_same(&old, &disk.new_manifest());
}

/// As a cut after the snapshots leaves it.
fn leave_half_prepared(disk: &Disk) {
    disk.mounted(|top| {
        let top = rootshift::sys::Root::open(top).unwrap();
        let mut migration = rootshift::engine::home::Migration::open(&top)
            .unwrap()
            .unwrap();
        migration.record(Record::Attempt { number: 1 }).unwrap();
        rootshift::engine::home::make_staging(&top).unwrap();
        for step in migration.plan().clone().steps().into_iter().take(3) {
            let plan = migration.plan().clone();
            let context = rootshift::steps::StepContext {
                top: &top,
                plan: &plan,
            };
            migration
                .record(Record::Begun {
                    step: step.id.clone(),
                })
                .unwrap();
            rootshift::steps::of(&step.action).apply(&context).unwrap();
            top.sync_filesystem().unwrap();
            let done = Record::Done {
                step: step.id.clone(),
                milliseconds: 1,
                found_done: false,
                usage: None,
            };
            migration.record(done).unwrap();
        }
    });
}

#[test]
fn a_changed_machine_makes_the_plan_stale_and_nothing_is_done() {
    for (file, name) in [
        ("etc/fstab", "/etc/fstab"),
        ("boot/grub/grub.cfg", "/boot/grub/grub.cfg"),
        ("etc/default/grub", "/etc/default/grub"),
        ("boot/initrd.img-6.1.0-1-amd64", "initrd.img-6.1.0-1-amd64"),
        ("boot/initrd.img-6.1.0-2-amd64", "initrd.img-6.1.0-2-amd64"),
    ] {
        let disk = Disk::with_system();
        disk.arm(After::Reboot);
        disk.mounted(|top| {
            let mut text = std::fs::read_to_string(top.join(file)).unwrap_or_default();
            text.push_str("# one more line\n");
            std::fs::write(top.join(file), text).unwrap();
        });
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), 0, "{file}");
        assert_eq!(disk.root_flags(), None, "{file}: an ordinary boot");
        let reason = disk.state().reason.unwrap();
        assert!(
            reason.contains("stale") && reason.contains(name),
            "{file}: {reason}"
        );
        assert!(disk.mounted(|top| !top.join("@").exists()));
        assert_same(&old, &disk.old_manifest());
    }
}

#[test]
fn what_changed_since_arming_is_a_refusal_and_can_be_mended() {
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let make = |top: &std::path::Path, name: &str| {
        run(
            "btrfs",
            &["-q", "subvolume", "create", &text(top.join(name))],
        );
    };
    type Change<'a> = &'a dyn Fn(&std::path::Path);
    let cases: [(&str, Change, Change); 3] = [
        (
            "a subvolume was made or deleted",
            &|top| make(top, "var/lib/machines"),
            &|top| {
                run(
                    "btrfs",
                    &[
                        "-q",
                        "subvolume",
                        "delete",
                        &text(top.join("var/lib/machines")),
                    ],
                );
            },
        ),
        (
            "@home",
            &|top| std::fs::create_dir(top.join("@home")).unwrap(),
            &|top| std::fs::remove_dir(top.join("@home")).unwrap(),
        ),
        (
            "/etc is immutable",
            &|top| drop(run("chattr", &["+i", &text(top.join("etc"))])),
            &|top| drop(run("chattr", &["-i", &text(top.join("etc"))])),
        ),
    ];
    for (wanted, spoil, mend) in cases {
        let disk = Disk::with_system();
        disk.arm(After::Reboot);
        disk.mounted(spoil);
        assert_eq!(disk.boot(), 0, "{wanted}");
        assert_eq!(disk.root_flags(), None, "{wanted}");
        let reason = disk.state().reason.unwrap();
        assert!(reason.contains(wanted), "{wanted}: {reason}");
        assert_eq!(disk.stage(), Stage::Armed, "{wanted}");
        disk.mounted(mend);
        assert_eq!(disk.boot(), WOULD_REBOOT, "{wanted}: mended");
    }
}

#[test]
fn a_failure_leaves_the_old_system_and_nothing_behind() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.mounted(common::make_the_proof_fail);
    let old = disk.old_manifest();
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    assert_eq!(disk.stage(), Stage::Failed);
    assert!(
        disk.state()
            .reason
            .unwrap()
            .contains("/boot/vmlinuz-6.1.0-1-amd64 is empty")
    );
    disk.mounted(|top| {
        assert!(!top.join("@").exists() && !top.join(".rootshift/new").exists());
    });
    assert_same(&old, &disk.old_manifest());
    assert_eq!(disk.boot(), 0, "a failed migration is not tried again");
    assert_eq!(disk.stage(), Stage::Failed);
}

#[test]
fn a_flipped_bit_in_any_record_is_an_ordinary_boot_with_nothing_changed() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    let journal = |top: &std::path::Path| top.join(".rootshift/journal");
    let whole = disk.mounted(|top| std::fs::read(journal(top)).unwrap());
    for record in 0..whole.len() / 512 {
        let mut bytes = whole.clone();
        bytes[record * 512 + 40] ^= 4;
        disk.mounted(|top| std::fs::write(journal(top), &bytes).unwrap());
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags(), None);
        disk.mounted(|top| {
            assert_eq!(std::fs::read(journal(top)).unwrap(), bytes);
            assert!(!top.join("@").exists());
        });
    }
    assert!(whole.len() >= 1024, "there are at least two records");
}

#[test]
fn another_file_system_is_left_alone() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    run("btrfstune", &["-f", "-u", &disk.device]);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    assert_eq!(disk.stage(), Stage::Armed);
}
