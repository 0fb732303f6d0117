//! How the machine boots: the proof and the switch belong to the engine, whatever a batch says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, make_the_proof_fail};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;

/// The shipped batch with these changes of its text.
fn batch_with(changes: &[(&str, &str)]) -> String {
    let shipped = common::repository().join("batches/flat-to-subvolumes.json");
    let mut text = fs::read_to_string(shipped).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

const REBOOT_VALIDATION: &str = "btrfs_pre_reboot_validation_viScript.json";

/// Batches that prove nothing themselves, or let the proof fail.
fn careless() -> [(&'static str, String); 2] {
    [
        (
            "nothing looks at the boot chain",
            batch_with(&[(REBOOT_VALIDATION, "btrfs_nothing_viScript.json")]),
        ),
        (
            "its failure is let pass",
            batch_with(&[(
                "\"failure_handling\": \"rollback\"",
                "\"failure_handling\": \"continue\"",
            )]),
        ),
    ]
}

/// A viScript that looks at nothing stands in for the one that proves.
fn add_nothing(disk: &Disk) {
    let scripts = disk.folder.join("viscripts");
    let text = fs::read_to_string(scripts.join(REBOOT_VALIDATION)).unwrap();
    let (head, _) = text.split_once("\"checks\"").unwrap();
    let check = "{\"name\": \"a file\", \"check\": {\"names-free\": {}}, \"required\": false}";
    let text = format!("{head}\"checks\": [{check}]}}")
        .replace("btrfs_pre_reboot_validation", "btrfs_nothing");
    fs::write(scripts.join("btrfs_nothing_viScript.json"), text).unwrap();
}

#[test]
fn no_batch_commits_without_a_proof() {
    for kind in Kind::ALL {
        for (what, batch) in careless() {
            let mut disk = Disk::with_system_of(kind);
            disk.use_batch(&batch);
            add_nothing(&disk);
            disk.in_old(make_the_proof_fail);
            disk.arm(After::Reboot);
            disk.boot();
            let state = disk.state();
            assert_eq!(state.stage, Stage::Failed, "{kind:?}, {what}: {state:#?}");
            let reason = state.reason.unwrap();
            assert!(reason.contains("is empty or no file"), "{what}: {reason}");
        }
    }
}

/// Takes the step that switches the boot path out of the viScript, or changes it.
fn change_the_switch(disk: &Disk, change: impl Fn(&str) -> String) {
    let script = disk
        .folder
        .join("viscripts/btrfs_boot_configuration_viScript.json");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, change(&text)).unwrap();
}

fn without_the_step(text: &str) -> String {
    let at = text.find("\"name\": \"boot-path\"").unwrap();
    let from = text[..at].rfind(',').unwrap();
    format!("{}\n  ]\n}}\n", &text[..from])
}

#[test]
fn the_boot_path_is_switched_even_where_the_batch_does_not_say_so() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.use_batch(&batch_with(&[]));
        change_the_switch(&disk, without_the_step);
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), common::WOULD_REBOOT, "{kind:?}");
        let path = match kind {
            Kind::Flat => "boot",
            Kind::Rootfs => "@rootfs",
        };
        let leads = disk.mounted(|top| fs::read_link(top.join(path)));
        let target = match kind {
            Kind::Flat => "@/boot",
            Kind::Rootfs => "@",
        };
        assert_eq!(leads.unwrap(), Path::new(target), "{kind:?}");
        // And back.
        disk.boot();
        disk.record([common::rollback_requested()]);
        disk.boot();
        assert_eq!(disk.stage(), Stage::RolledBack);
        assert!(disk.mounted(|top| top.join(path).is_dir() && !top.join(path).is_symlink()));
    }
}
