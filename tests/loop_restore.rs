//! `rootshift restore` in a running system: what it finds, what it puts back, what it refuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;

use common::{BACKUP, Disk, ROLLBACK, Ran, WOULD_REBOOT, batch, install};
use rootshift::documents::plan::After;

/// A system after its migration, with programs that say how they are called.
fn migrated(rollback: &str, prepare: impl FnOnce(&Path)) -> Disk {
    let mut disk = Disk::with_system();
    disk.use_batch(&batch("{}", rollback));
    disk.mounted(|top| {
        install(top, "/bin/true", "update-grub");
        install(top, "/bin/echo", "update-initramfs");
        prepare(top);
    });
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk
}

fn new_file(disk: &Disk, file: &str) -> String {
    disk.mounted(|top| fs::read_to_string(top.join("@").join(file)).unwrap())
}

fn write_new(disk: &Disk, file: &str, text: &str) {
    disk.mounted(|top| {
        let path = top.join("@").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    });
}

fn assert_refused(ran: &Ran, wanted: &[&str]) {
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    for part in wanted {
        assert!(ran.stderr.contains(part), "{part} is missing: {ran:?}");
    }
}

#[test]
fn backups_of_the_migration_are_listed_newest_first() {
    let disk = migrated(ROLLBACK, |_| {});
    write_new(&disk, "etc/fstab.backup.mine", "later");
    let ran = disk.run_in_new_system("restore");
    assert_eq!(ran.code, 0, "{ran:?}");
    let fstab = format!("/etc/fstab{BACKUP}");
    let wanted = format!(
        "fstab: /etc/fstab\n  /etc/fstab.backup.mine\n  {fstab}\ngrub: /etc/default/grub\n  \
         /etc/default/grub{BACKUP}\ninitramfs: /etc/initramfs-tools/modules\n  no backup\n"
    );
    assert_eq!(ran.stdout, wanted);
    let ran = disk.run_in_new_system("restore --list --json");
    let listed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed["restores"][0]["backups"][1], fstab);
}

#[test]
fn the_newest_backup_is_put_back_and_its_program_run() {
    let disk = migrated(ROLLBACK, |_| {});
    let modules = "etc/initramfs-tools/modules";
    write_new(&disk, modules, "broken\n");
    write_new(&disk, &format!("{modules}.backup.1"), "older\n");
    write_new(&disk, &format!("{modules}.backup.2"), "newer\n");
    let ran = disk.run_in_new_system("restore initramfs --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(new_file(&disk, modules), "newer\n");
    assert_eq!(ran.stderr, "-u\n", "update-initramfs -u was called");
    let ran = disk.run_in_new_system("restore initramfs --backup modules.backup.1 --yes --json");
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        told["restored"][0]["backup"],
        format!("/{modules}.backup.1")
    );
    assert_eq!(new_file(&disk, modules), "older\n");
}

#[test]
fn without_a_yes_nothing_is_changed() {
    let disk = migrated(ROLLBACK, |_| {});
    write_new(&disk, "etc/default/grub", "GRUB_TIMEOUT=9\n");
    let ran = disk.run_in_new_system("restore grub");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(new_file(&disk, "etc/default/grub"), "GRUB_TIMEOUT=9\n");
    let ran = disk.run_in_new_system("restore grub --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    let restored = new_file(&disk, "etc/default/grub");
    assert!(restored.starts_with("GRUB_TIMEOUT=0\n"), "{restored}");
}

#[test]
fn a_program_that_fails_is_named_and_the_file_is_back() {
    let disk = migrated(ROLLBACK, |top| install(top, "/bin/false", "update-grub"));
    write_new(&disk, "etc/default/grub", "GRUB_TIMEOUT=9\n");
    let ran = disk.run_in_new_system("restore grub --yes");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("`update-grub` ended with 1"), "{ran:?}");
    assert!(new_file(&disk, "etc/default/grub").starts_with("GRUB_TIMEOUT=0\n"));
}

#[test]
fn a_file_of_the_old_system_is_refused_in_the_new_one() {
    let disk = migrated(ROLLBACK, |_| {});
    let fstab = new_file(&disk, "etc/fstab");
    let ran = disk.run_in_new_system("restore fstab --yes");
    assert_refused(
        &ran,
        &[
            &format!("/etc/fstab{BACKUP} does not fit"),
            "subvol",
            "`rootshift rollback` goes back whole",
        ],
    );
    write_new(
        &disk,
        "etc/default/grub.backup.mine",
        "GRUB_CMDLINE_LINUX=\"rootflags=subvol=@other\"\n",
    );
    let ran = disk.run_in_new_system("restore grub --yes");
    assert_refused(&ran, &["grub.backup.mine does not fit", "another root"]);
    // Nothing is put back when one of several does not fit.
    let ran = disk.run_in_new_system("restore initramfs fstab --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(new_file(&disk, "etc/fstab"), fstab);
    write_new(&disk, "etc/fstab.backup.good", &format!("{fstab}# mine\n"));
    let ran = disk.run_in_new_system("restore fstab --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(new_file(&disk, "etc/fstab"), format!("{fstab}# mine\n"));
}

#[test]
fn what_can_not_be_restored_is_said() {
    let disk = migrated(ROLLBACK, |_| {});
    let ran = disk.run_in_new_system("restore fstba --yes");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("there is fstab, grub, initramfs"),
        "{ran:?}"
    );
    let ran = disk.run_in_new_system("restore initramfs --yes");
    assert_refused(&ran, &["no backup /etc/initramfs-tools/modules.backup.*"]);
    let ran = disk.run_in_new_system("restore fstab grub --backup x --yes");
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = disk.run_in_new_system("restore fstab --backup /etc/passwd --yes");
    assert_refused(&ran, &["no backup /etc/passwd of /etc/fstab"]);
    let disk = migrated(&ROLLBACK.replace("true", "false"), |_| {});
    let ran = disk.run_in_new_system("restore");
    assert_refused(&ran, &["no rollback_configuration is enabled"]);
}

#[test]
fn without_a_migration_a_batch_is_named_and_an_armed_one_is_in_the_way() {
    let mut disk = Disk::with_system();
    let ran = disk.run_inside("restore");
    assert_eq!(ran.code, 4, "{ran:?}");
    disk.use_batch(&batch("{}", ROLLBACK));
    disk.mounted(|top| fs::write(top.join("etc/fstab.backup.mine"), "# mine\n").unwrap());
    let old = disk.mounted(|top| fs::read_to_string(top.join("etc/fstab")).unwrap());
    disk.arm(After::Reboot);
    let command = "restore fstab --yes --batch /run/batch.json";
    assert_refused(&disk.run_inside(command), &["rootshift disarm"]);
    let now = || disk.mounted(|top| fs::read_to_string(top.join("etc/fstab")).unwrap());
    assert_eq!(now(), old);
    disk.mounted(|top| fs::remove_file(top.join(".rootshift/journal")).unwrap());
    let ran = disk.run_inside(command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(now(), "# mine\n");
}

#[test]
fn a_restore_command_that_needs_a_shell_is_refused_by_every_command() {
    let mut disk = Disk::with_system();
    let spoilt = ROLLBACK.replace("cp {backup} /etc/fstab", "cp {backup} /etc/fstab; reboot");
    disk.use_batch(&batch("{}", &spoilt));
    for command in ["check", "plan", "arm --yes", "restore"] {
        let ran = disk.run_inside(&format!("{command} --batch /run/batch.json"));
        assert_eq!(ran.code, 2, "{ran:?}");
        let wanted = "rollback_configuration.restore_commands.fstab: \"/etc/fstab;\" is no file \
                      to put back";
        assert!(ran.stderr.contains("/run/batch.json:1:"), "{ran:?}");
        assert!(ran.stderr.contains(wanted), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}
