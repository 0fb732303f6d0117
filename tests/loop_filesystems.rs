//! A layout that spans two file systems on two disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Disk, Kind, WOULD_REBOOT, assert_same, assert_same_but_for_properties, run};
use rootshift::documents::plan::After;
use rootshift::engine::finalize::finalize;
use rootshift::engine::home::Migration;
use rootshift::engine::{Stage, others};
use rootshift::journal::Record;
use rootshift::report::progress::Progress;
use rootshift::sys::Root;
use rootshift::tree::manifest::Manifest;

fn both(disk: &Disk) -> (Manifest, Manifest) {
    (disk.old_manifest(), disk.other().old_manifest())
}

#[test]
fn both_file_systems_become_subvolumes_with_every_file() {
    for kind in Kind::ALL {
        let disk = Disk::with_two_filesystems(kind);
        let (old, old_ml) = both(&disk);
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), WOULD_REBOOT, "{:?}", disk.state());
        assert_eq!(disk.stage(), Stage::Committed);
        assert_same(&old, &disk.new_manifest());
        assert_same_but_for_properties(&old_ml, &disk.new_other_manifest());
        assert_same(&old_ml, &disk.other().old_manifest());
        disk.check();
        disk.other().check();
    }
}

#[test]
fn fstab_mounts_all_of_them_and_the_boot_hangs_on_none_that_may_fail() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    disk.arm(After::Reboot);
    disk.boot();
    let fstab = disk.mounted(|top| fs::read_to_string(top.join("@/etc/fstab")).unwrap());
    let ml = &disk.other().uuid;
    let lines: Vec<String> = fstab
        .lines()
        .filter(|line| line.contains(ml.as_str()))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            format!("UUID={ml} /ml btrfs defaults,nofail,subvol=@ml 0 0"),
            format!("UUID={ml} /ml/models btrfs defaults,nofail,subvol=@models 0 0"),
            format!("UUID={ml} /ml/datasets btrfs defaults,nofail,subvol=@datasets 0 0"),
        ]
    );
    assert!(fstab.contains("subvol=@home"), "{fstab}");
}

#[test]
fn what_is_made_from_then_on_has_the_properties_that_the_layout_asks_for() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    disk.arm(After::Reboot);
    disk.boot();
    disk.other().mounted(|top| {
        let path = |inside: &str| top.join(inside).to_str().unwrap().to_owned();
        let flags = |inside: &str| {
            let listed = run("lsattr", &["-d", &path(inside)]);
            listed.split_whitespace().next().unwrap().to_owned()
        };
        assert!(flags("@models").contains('C'), "{}", flags("@models"));
        fs::create_dir(path("@models/fresh")).unwrap();
        fs::write(path("@models/fresh/file"), "new").unwrap();
        assert!(flags("@models/fresh/file").contains('C'));
        assert!(!flags("@models/family/7").contains('C'), "it had data");
        // `chattr +m` of the old directory would contradict the layout.
        assert!(flags("@datasets").contains('c') && !flags("@datasets").contains('m'));
        let kind = run(
            "btrfs",
            &["property", "get", &path("@datasets"), "compression"],
        );
        assert_eq!(kind, "compression=zstd");
        assert!(!flags("@ml").contains(['C', 'c', 'm']));
        assert!(
            flags("datasets").contains('m'),
            "the old one keeps its mark"
        );
    });
}

#[test]
fn nothing_is_begun_while_the_other_file_system_is_missing() {
    let mut disk = Disk::with_two_filesystems(Kind::Flat);
    let (old, old_ml) = both(&disk);
    disk.arm(After::Reboot);
    disk.detach_other();
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None, "an ordinary boot");
    assert_eq!(disk.stage(), Stage::Armed);
    let reason = disk.state().reason.unwrap();
    assert!(
        reason.contains("the file system of /ml") && reason.contains("is missing"),
        "{reason}"
    );
    assert_same(&old, &disk.old_manifest());
    assert!(disk.mounted(|top| !top.join("@").exists()));
    disk.attach_other();
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_same_but_for_properties(&old_ml, &disk.new_other_manifest());
}

#[test]
fn a_rollback_brings_both_back_and_keeps_what_was_changed() {
    let disk = Disk::with_two_filesystems(Kind::Rootfs);
    let (old, old_ml) = both(&disk);
    disk.arm(After::Reboot);
    disk.boot();
    let other = disk.other();
    other.mounted(|top| fs::write(top.join("@models/trained"), "kept").unwrap());
    disk.record([common::rollback_requested()]);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
    assert_same(&old_ml, &other.old_manifest());
    other.mounted(|top| {
        let kept = top.join("@models.rolled-back-1/trained");
        assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
        assert!(!top.join(".rootshift").exists());
    });
    let kept = disk.state().kept;
    assert!(
        kept.contains(&"/ml: @models.rolled-back-1".to_owned()),
        "{kept:?}"
    );
    assert_eq!(kept.len(), 6, "{kept:?}");
}

#[test]
fn a_rollback_of_the_root_does_not_wait_for_a_dead_disk() {
    let mut disk = Disk::with_two_filesystems(Kind::Flat);
    let (old, old_ml) = both(&disk);
    disk.arm(After::Reboot);
    disk.boot();
    disk.record([common::rollback_requested()]);
    disk.detach_other();
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=/"));
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_same(&old, &disk.old_manifest());
    disk.attach_other();
    assert_same(&old_ml, &disk.other().old_manifest());
}

#[test]
fn a_failure_takes_back_what_was_prepared_on_both() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    disk.in_old(common::make_the_proof_fail);
    disk.arm(After::Reboot);
    let (old, old_ml) = both(&disk);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    assert_same(&old, &disk.old_manifest());
    assert_same(&old_ml, &disk.other().old_manifest());
    let left = disk.other().mounted(common::names);
    assert_eq!(left, ["README", "datasets", "models", "scratch"]);
}

#[test]
fn a_change_on_the_other_file_system_makes_prepared_work_stale() {
    let mut disk = Disk::with_two_filesystems(Kind::Flat);
    disk.arm(After::Reboot);
    // Without faults compiled in there is no cut to be had: a subvolume that was prepared.
    disk.record([
        Record::Attempt { number: 1 },
        Record::Begun {
            step: "btrfs_subvolume_creation/snapshot[/ml:@ml]".into(),
        },
    ]);
    disk.other().mounted(|top| {
        let path = |inside: &str| top.join(inside).to_str().unwrap().to_owned();
        run("btrfs", &["-q", "subvolume", "create", &path(".rootshift")]);
        fs::create_dir(top.join(".rootshift/new")).unwrap();
        let staged = path(".rootshift/new/@ml");
        run(
            "btrfs",
            &["-q", "subvolume", "snapshot", &path(""), &staged],
        );
        fs::write(top.join("models/family/7"), "changed since").unwrap();
    });
    let (_, old_ml) = both(&disk);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    let discarded = |record: &Record| match record {
        Record::Discarded { reason } => reason.contains("/ml"),
        _ => false,
    };
    assert!(disk.records().iter().any(discarded), "{:?}", disk.records());
    assert_same_but_for_properties(&old_ml, &disk.new_other_manifest());
    disk.detach_other();
    disk.attach_other();
}

#[test]
fn finalize_deletes_the_old_trees_of_both() {
    let mut disk = Disk::with_two_filesystems(Kind::Flat);
    let plan = disk.arm(After::Reboot);
    disk.boot();
    let new_ml = disk.new_other_manifest();
    disk.record([common::validated()]);
    disk.rehearse();
    disk.record([Record::Disarmed]);
    let run_it = |disk: &Disk| {
        let base = disk.folder.join("final");
        let system = Root::open(Path::new("/")).unwrap();
        let result = disk.mounted(|top| {
            let top = Root::open(top).unwrap();
            let mut migration = Migration::open(&top).unwrap().unwrap();
            let there = others::mount_of_plan(&system, &plan, &base, Duration::ZERO);
            migration.others = there.into();
            let new = top.within(Path::new("@")).unwrap();
            finalize(&new, &top, &mut migration, &mut Progress::hidden())
                .map_err(|error| error.to_string())
        });
        others::unmount_all(&system, &plan, &base);
        result
    };
    disk.detach_other();
    let refused = run_it(&disk).unwrap_err();
    assert!(refused.contains("the file system of /ml"), "{refused}");
    assert!(disk.mounted(|top| top.join("home/user/files/7").exists()));
    disk.attach_other();
    run_it(&disk).unwrap();
    assert_eq!(
        disk.other().mounted(common::names),
        ["@datasets", "@ml", "@models"]
    );
    assert_same(&new_ml, &disk.new_other_manifest());
    disk.other().check();
}

#[test]
fn check_and_plan_look_at_both() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    let ran = disk.run_inside("check --batch /run/two-filesystems.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = disk.run_inside("plan --batch /run/two-filesystems.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    for step in [
        "snapshot[/ml:@ml]",
        "promote[/ml:@models]",
        "place[/ml:@datasets]",
    ] {
        assert!(
            ran.stdout.contains(step),
            "{step} is missing in {}",
            ran.stdout
        );
    }
}

#[test]
fn what_stands_in_the_way_on_the_other_file_system_is_refused() {
    type Spoil<'a> = &'a dyn Fn(&Path);
    let make = |path: std::path::PathBuf| {
        run(
            "btrfs",
            &["-q", "subvolume", "create", path.to_str().unwrap()],
        );
    };
    let cases: [(Spoil, &[&str]); 4] = [
        (
            &|top| make(top.join("@models")),
            &["a subvolume named @models", "mv -T /mnt/@models"],
        ),
        (
            &|top| fs::rename(top.join("datasets"), top.join("data")).unwrap(),
            &["/ml/datasets does not exist"],
        ),
        (
            &|top| fs::hard_link(top.join("models/family/9"), top.join("linked")).unwrap(),
            &["hard links", "/ml/models/family/9"],
        ),
        (
            &|top| {
                drop(run(
                    "chattr",
                    &["+i", top.join("models/family").to_str().unwrap()],
                ))
            },
            &["/ml/models/family is immutable"],
        ),
    ];
    for (spoil, wanted) in cases {
        assert_other_refused(spoil, wanted);
    }
}

fn assert_other_refused(spoil: &dyn Fn(&Path), wanted: &[&str]) {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    disk.other().mounted(spoil);
    let ran = disk.run_inside("check --batch /run/two-filesystems.json");
    let line = ran.only_failure();
    assert!(wanted.iter().all(|part| line.contains(part)), "{line}");
}
