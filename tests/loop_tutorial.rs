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

use common::{Disk, WOULD_REBOOT, assert_same};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;

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
    for step in ["first_copy/copy", "first_copy/place"] {
        assert!(planned.stdout.contains(step), "{planned:?}");
    }
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
    assert_same(&old, &disk.new_manifest());
    disk.mounted(|top| {
        let fstab = |subvolume: &str| {
            std::fs::read_to_string(top.join(subvolume).join("etc/fstab")).unwrap()
        };
        assert!(fstab("@").contains("subvol=@"), "{}", fstab("@"));
        assert_eq!(
            fstab("@first"),
            fstab(""),
            "it is from before anything was configured"
        );
    });
    disk.check();
}

#[test]
fn a_rollback_keeps_the_copy_under_another_name() {
    let disk = system_with_documents();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    disk.boot();
    let asked = disk.run_inside("rollback --yes");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::RolledBack);
    let kept = disk.state().kept;
    assert!(
        kept.iter().any(|name| name == "@first.rolled-back-1"),
        "{kept:?}"
    );
    assert_same(&old, &disk.old_manifest());
}
