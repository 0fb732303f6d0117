//! The life of a migration on a real btrfs behind a loop device, with the binary at boot mode.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, WOULD_REBOOT, assert_same, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;
use rootshift::report::progress::Progress;

#[test]
fn a_flat_root_becomes_subvolumes_with_every_file() {
    becomes_subvolumes(Kind::Flat);
}

#[test]
fn a_root_in_one_subvolume_becomes_subvolumes_with_every_file() {
    let disk = becomes_subvolumes(Kind::Rootfs);
    disk.mounted(|top| {
        // core.img's prefix, the old rootflags and the old fstab lead to the new system.
        assert_eq!(fs::read_link(top.join("@rootfs")).unwrap(), Path::new("@"));
        let read = |path: &str| fs::read_to_string(top.join(path)).unwrap();
        let (fstab, uuid) = (read("@rootfs/etc/fstab"), &disk.uuid);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            fstab.lines().map(words).collect::<Vec<_>>(),
            [
                "# /etc/fstab",
                "",
                &format!("UUID={uuid} / btrfs defaults,subvol=@ 0 0"),
                &format!("UUID={uuid} /home btrfs defaults,subvol=@home 0 0"),
                &format!("UUID={uuid} /var/log btrfs defaults,subvol=@var_log 0 0"),
                "#odd",
            ]
        );
        let grub = read("@/boot/grub/grub.cfg");
        assert!(
            grub.contains("/@/boot/vmlinuz-6.1.0-1-amd64 root="),
            "{grub}"
        );
        assert!(grub.contains("ro rootflags=subvol=@ quiet"), "{grub}");
        assert!(!grub.contains("@rootfs"), "{grub}");
        assert!(top.join(".@rootfs.rootshift/etc/fstab").is_file());
    });
}

#[test]
fn what_is_backed_up_leaves_the_times_of_its_directory_for_every_kind_of_root() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.use_batch(&common::batch("{}", common::ROLLBACK));
        let old = disk.old_manifest();
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), WOULD_REBOOT);
        assert_same(&old, &disk.new_manifest());
        let copy = format!("@/etc/fstab{}", common::BACKUP);
        assert!(disk.mounted(|top| top.join(copy).is_file()));
    }
}

fn becomes_subvolumes(kind: Kind) -> Disk {
    let disk = Disk::with_system_of(kind);
    let old = disk.old_manifest();
    let plan = disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    let planned: Vec<&str> = plan.steps().iter().map(|step| step.id.as_str()).collect();
    assert_eq!(disk.state().done, planned);
    assert_same(&old, &disk.new_manifest());
    disk.check();
    disk
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
    for kind in Kind::ALL {
        rolled_back(kind);
    }
}

fn rolled_back(kind: Kind) {
    let disk = Disk::with_system_of(kind);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    if kind == Kind::Rootfs {
        assert_same(&old, &disk.old_manifest());
    }
    disk.mounted(|top| fs::write(top.join("@home/user/new-work"), "kept").unwrap());
    disk.record([common::rollback_requested()]);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some(kind.root_flags()));
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
    disk.mounted(|top| {
        assert!(!top.join(kind.root()).is_symlink());
        assert!(!top.join(".@rootfs.rootshift").exists());
        let kept = top.join("@home.rolled-back-1/user/new-work");
        assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
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

#[test]
fn a_new_system_that_never_validates_is_rolled_back_by_itself() {
    Kind::ALL.into_iter().for_each(rolled_back_by_itself);
}

fn rolled_back_by_itself(kind: Kind) {
    let disk = Disk::with_system_of(kind);
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
    assert_eq!(disk.root_flags().as_deref(), Some(kind.root_flags()));
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn work_prepared_from_an_old_system_that_changed_since_is_thrown_away() {
    for kind in Kind::ALL {
        for file in ["home/user/files/7", "home/user/vm/disk"] {
            thrown_away_when_changed(kind, file);
        }
    }
}

fn thrown_away_when_changed(kind: Kind, file: &str) {
    let disk = Disk::with_system_of(kind);
    disk.arm(After::Reboot);
    leave_half_prepared(&disk);
    disk.in_old(|old| fs::write(old.join(file), "changed since").unwrap());
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
            let context = rootshift::steps::StepContext::new(&top, &plan, "/");
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
                left: None,
            };
            migration.record(done).unwrap();
        }
    });
}

#[test]
fn a_changed_machine_makes_the_plan_stale_and_nothing_is_done() {
    for kind in Kind::ALL {
        stale_when_changed(kind);
    }
}

fn stale_when_changed(kind: Kind) {
    for (file, name) in [
        ("etc/fstab", "/etc/fstab"),
        ("boot/grub/grub.cfg", "/boot/grub/grub.cfg"),
        ("etc/default/grub", "/etc/default/grub"),
        ("boot/initrd.img-6.1.0-1-amd64", "initrd.img-6.1.0-1-amd64"),
        ("boot/initrd.img-6.1.0-2-amd64", "initrd.img-6.1.0-2-amd64"),
    ] {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        disk.in_old(|top| {
            let mut text = fs::read_to_string(top.join(file)).unwrap_or_default();
            text.push_str("# one more line\n");
            fs::write(top.join(file), text).unwrap();
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
    Kind::ALL.into_iter().for_each(refused_and_mended);
}

fn refused_and_mended(kind: Kind) {
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let make = |top: &std::path::Path, name: &str| {
        run(
            "btrfs",
            &["-q", "subvolume", "create", &text(top.join(name))],
        );
    };
    let beside = |old: &Path| match kind {
        Kind::Flat => old.join("@home"),
        Kind::Rootfs => old.parent().unwrap().join("@home"),
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
            &|old| fs::create_dir(beside(old)).unwrap(),
            &|old| fs::remove_dir(beside(old)).unwrap(),
        ),
        (
            "/etc is immutable",
            &|top| drop(run("chattr", &["+i", &text(top.join("etc"))])),
            &|top| drop(run("chattr", &["-i", &text(top.join("etc"))])),
        ),
    ];
    for (wanted, spoil, mend) in cases {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        disk.in_old(spoil);
        assert_eq!(disk.boot(), 0, "{wanted}");
        assert_eq!(disk.root_flags(), None, "{wanted}");
        let reason = disk.state().reason.unwrap();
        assert!(reason.contains(wanted), "{wanted}: {reason}");
        assert_eq!(disk.stage(), Stage::Armed, "{wanted}");
        disk.in_old(mend);
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
    let whole = disk.mounted(|top| fs::read(journal(top)).unwrap());
    for record in 0..whole.len() / 512 {
        let mut bytes = whole.clone();
        bytes[record * 512 + 40] ^= 4;
        disk.mounted(|top| fs::write(journal(top), &bytes).unwrap());
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags(), None);
        disk.mounted(|top| {
            assert_eq!(fs::read(journal(top)).unwrap(), bytes);
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

/// As after `validate`, with ordinary images; returns what finalizing said.
fn finalize(disk: &Disk) -> Result<u64, String> {
    if disk.stage() == Stage::Committed {
        disk.record([common::validated()]);
        disk.rehearse();
        disk.record([Record::Disarmed]);
    }
    disk.mounted(|top| {
        let top = rootshift::sys::Root::open(top).unwrap();
        let new = top.within(Path::new("@")).unwrap();
        let mut migration = rootshift::engine::home::Migration::open(&top)
            .unwrap()
            .unwrap();
        rootshift::engine::finalize::finalize(&new, &top, &mut migration, &mut Progress::hidden())
            .map_err(|error| error.to_string())
    })
}

#[test]
fn finalize_deletes_the_old_system_and_nothing_else() {
    for (kind, left) in [
        (
            Kind::Flat,
            vec![".rootshift", "@", "@home", "@var_log", "boot"],
        ),
        (
            Kind::Rootfs,
            vec![
                ".rootshift",
                "@",
                "@home",
                "@other",
                "@rootfs",
                "@var_log",
                "notes",
            ],
        ),
    ] {
        let disk = Disk::with_system_of(kind);
        if kind == Kind::Rootfs {
            disk.mounted(|top| {
                let other = top.join("@other");
                run(
                    "btrfs",
                    &["-q", "subvolume", "create", other.to_str().unwrap()],
                );
                fs::write(top.join("notes"), "somebody's").unwrap();
            });
        }
        disk.arm(After::Reboot);
        disk.boot();
        disk.boot();
        let new = disk.new_manifest();
        let late = disk.in_old(|old| {
            let late = old.join("home/user/late");
            run(
                "btrfs",
                &["-q", "subvolume", "create", late.to_str().unwrap()],
            );
            late
        });
        let refused = finalize(&disk).unwrap_err();
        assert!(
            refused.contains("home/user/late in the old system"),
            "{refused}"
        );
        disk.mounted(|_| {
            run(
                "btrfs",
                &["-q", "subvolume", "delete", late.to_str().unwrap()],
            )
        });
        finalize(&disk).unwrap();
        assert_eq!(disk.stage(), Stage::Finalized);
        assert_eq!(disk.mounted(common::names), left, "{kind:?}");
        assert_same(&new, &disk.new_manifest());
        disk.check();
    }
}
