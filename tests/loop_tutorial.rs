//! The batch of docs/tutorial.md migrates a system, and does there what the page says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;
#[path = "common/tutorial.rs"]
mod tutorial;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use common::{Disk, WOULD_REBOOT, assert_same};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;

/// The root of a subvolume is its inode 256 (btrfs-ioctl(2)); what a snapshot leaves of a nested one
/// has another number.
fn is_subvolume(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.ino() == 256)
}

/// With the tutorial's documents in the system, where its plan can be asked for, and beside it.
fn system_with_documents() -> Disk {
    let mut disk = Disk::with_system();
    tutorial::save(&disk.folder);
    disk.mounted(|top| {
        std::fs::create_dir_all(top.join("home/user/my-batch")).unwrap();
        tutorial::save(&top.join("home/user/my-batch"));
    });
    disk.batch = Some(disk.folder.join("web_server.json"));
    disk
}

#[test]
fn the_batch_is_planned_and_leaves_a_copy_of_the_new_root() {
    let disk = system_with_documents();
    let planned = disk.run_inside("plan --batch /home/user/my-batch/web_server.json");
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.stdout.contains("first_copy/copy"), "{planned:?}");
    let looked = disk.run_inside("run --batch /home/user/my-batch/web_server.json --phase before");
    assert_eq!(looked.code, 0, "{looked:?}");
    let one = "/home/user/my-batch/web_server_viScript.json";
    let looked = disk.run_inside(&format!("run --viscript {one}"));
    for check in ["nginx is active", "there is room for logs"] {
        assert!(looked.stdout.contains(check), "{looked:?}");
    }
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    disk.mounted(|top| {
        let copy = top.join("@/first-copy");
        assert!(is_subvolume(&copy));
        let fstab = |subvolume: &str| {
            std::fs::read_to_string(top.join(subvolume).join("etc/fstab")).unwrap()
        };
        assert!(fstab("@").contains("subvol=@"), "{}", fstab("@"));
        assert_eq!(
            fstab("@/first-copy"),
            fstab(""),
            "it is from before anything was configured"
        );
        common::run(
            "btrfs",
            &["-q", "subvolume", "delete", copy.to_str().unwrap()],
        );
    });
    // But for the copy nothing is different.
    assert_same(&old, &disk.new_manifest());
    disk.check();
}

#[test]
fn a_rollback_keeps_the_copy_with_the_new_system() {
    let disk = system_with_documents();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    let asked = disk.run_inside("rollback --yes");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::RolledBack);
    disk.mounted(|top| assert!(is_subvolume(&top.join("@.rolled-back-1/first-copy"))));
    assert_same(&old, &disk.old_manifest());
}
