//! What a batch asks for beside its phases: each key has an effect.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use common::{BACKUP, Disk, Kind, ROLLBACK, Ran, WOULD_REBOOT, assert_same, batch, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;

fn with_rollback(rollback: &str) -> Disk {
    with_rollback_of(Kind::Flat, rollback)
}

fn with_rollback_of(kind: Kind, rollback: &str) -> Disk {
    let mut disk = Disk::with_system_of(kind);
    disk.use_batch(&batch("{}", rollback));
    disk
}

fn backup(top: &Path, file: &str) -> std::path::PathBuf {
    top.join(format!("{file}{BACKUP}"))
}

fn odd_metadata(top: &Path) {
    let fstab = top.join("etc/fstab");
    let fstab = fstab.to_str().unwrap();
    run("setfattr", &["-n", "user.note", "-v", "kept", fstab]);
    run("chown", &["7:8", fstab]);
    run("touch", &["-d", "2001-02-03 04:05:06.789", fstab]);
    fs::set_permissions(fstab, fs::Permissions::from_mode(0o640)).unwrap();
    let directory = top.join("etc/initramfs-tools");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("modules"), "# none\n").unwrap();
    let directory = directory.to_str().unwrap();
    run("touch", &["-d", "2002-02-03 04:05:06.789", directory]);
}

#[test]
fn each_file_is_backed_up_in_the_new_system_before_it_is_rewritten() {
    for kind in [Kind::Flat, Kind::Rootfs] {
        let disk = with_rollback_of(kind, ROLLBACK);
        disk.in_old(odd_metadata);
        assert_backed_up(&disk);
    }
}

fn assert_backed_up(disk: &Disk) {
    let old = disk.old_manifest();
    let texts = disk.in_old(|root| {
        let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
        [read("etc/fstab"), read("etc/default/grub")]
    });
    let of = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        let owner = (metadata.uid(), metadata.gid(), metadata.mode());
        (owner, metadata.mtime(), metadata.mtime_nsec())
    };
    let fstab_before = disk.in_old(|root| of(&root.join("etc/fstab")));
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    disk.mounted(|top| {
        let new = top.join("@");
        let fstab = backup(&new, "etc/fstab");
        assert_eq!(fs::read_to_string(&fstab).unwrap(), texts[0]);
        assert_ne!(fs::read_to_string(new.join("etc/fstab")).unwrap(), texts[0]);
        assert_eq!(of(&fstab), fstab_before);
        let note = ["--only-values", "-n", "user.note", fstab.to_str().unwrap()];
        assert_eq!(run("getfattr", &note), "kept");
        let grub = fs::read_to_string(backup(&new, "etc/default/grub")).unwrap();
        assert_eq!(grub, texts[1]);
        let modules = fs::read_to_string(backup(&new, "etc/initramfs-tools/modules")).unwrap();
        assert_eq!(modules, "# none\n");
    });
    let in_old = disk.in_old(|root| backup(root, "etc/fstab").exists());
    assert!(!in_old, "the old system is untouched");
    assert_same(&old, &disk.new_manifest());
    disk.check();
}

#[test]
fn a_file_that_is_missing_needs_no_backup() {
    let disk = with_rollback(ROLLBACK);
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    disk.mounted(|top| {
        assert!(backup(&top.join("@"), "etc/fstab").exists());
        assert!(!top.join("@/etc/initramfs-tools").exists());
    });
}

#[test]
fn without_enabled_nothing_is_backed_up() {
    let disk = with_rollback(&ROLLBACK.replace("true", "false"));
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk.mounted(|top| assert!(!backup(&top.join("@"), "etc/fstab").exists()));
}

#[test]
fn a_backup_that_is_in_the_way_ends_the_migration_and_not_the_file() {
    let disk = with_rollback(ROLLBACK);
    disk.mounted(|top| fs::write(backup(top, "etc/fstab"), "somebody's").unwrap());
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
    let reason = disk.state().reason.unwrap();
    assert!(reason.contains("has the backup's name already"), "{reason}");
    assert_same(&old, &disk.old_manifest());
}

/// The lines of `check` that begin with this verdict and name.
fn said(ran: &Ran, beginning: &str) -> Vec<String> {
    let lines = ran.stdout.lines();
    let wanted = lines.filter(|line| line.starts_with(beginning));
    wanted.map(str::to_owned).collect()
}

/// `check` with only these prerequisites.
fn check_with(prerequisites: &str) -> Ran {
    let mut disk = Disk::with_system();
    disk.use_batch(&batch(prerequisites, ROLLBACK));
    disk.run_inside("check --batch /run/batch.json")
}

#[test]
fn prerequisites_are_findings_of_check() {
    let asked = r#"{"sudo_privileges": true, "ubuntu_live_boot": true}"#;
    let ran = check_with(asked);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(said(&ran, "ok   sudo_privileges").len(), 1, "{ran:?}");
    let live = "ok   ubuntu_live_boot: satisfied by initramfs-tools";
    assert_eq!(said(&ran, live).len(), 1, "{ran:?}");
    assert_eq!(said(&ran, "ok   rollback_configuration/fstab").len(), 1);
    let missing = "skip rollback_configuration/initramfs: there is no /etc/initramfs-tools/modules";
    assert_eq!(said(&ran, missing).len(), 1, "{ran:?}");
    assert!(!ran.stdout.contains("network_connectivity"), "{ran:?}");
    let ran = check_with(&asked.replace("true", "false"));
    assert!(!ran.stdout.contains("sudo_privileges"), "{ran:?}");
    assert!(!ran.stdout.contains("ubuntu_live_boot"), "{ran:?}");
}

#[test]
fn a_network_that_is_asked_for_and_missing_stops_check_and_arm() {
    let mut disk = Disk::with_system();
    disk.use_batch(&batch(r#"{"network_connectivity": true}"#, ROLLBACK));
    for command in ["check", "arm --yes"] {
        let ran = disk.run_without_network(&format!("{command} --batch /run/batch.json"));
        assert_eq!(ran.code, 1, "{ran:?}");
        let line = "FAIL network_connectivity: there is no default route; connect this machine";
        assert_eq!(said(&ran, line).len(), 1, "{ran:?}");
    }
    disk.mounted(|top| assert!(!top.join(".rootshift").exists()));
}
