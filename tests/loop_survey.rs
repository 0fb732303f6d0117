//! What `check` and a plan know of a machine: names of devices, and every subvolume of its disk.

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

use common::{Disk, assert_same, run, write};
use rootshift::documents::plan::After;

/// What systemd 257 makes of /dev/disk (Debian 13), and things that are there for a moment only.
const DEBIAN_13: &str = r#"
    mkdir -p /dev/disk
    mount -t tmpfs -o mode=755 disk /dev/disk
    part=/dev/disk/by-path/pci-0000:00:05.0-part
    mkdir -p $part/by-uuid $part/by-partnum /dev/disk/by-id /dev/disk/by-label
    ln -s ../../../../loop0 $part/by-partnum/1
    ln -s ../../gone /dev/disk/by-id/dangling
    ln -s circle /dev/disk/by-id/circle
    ln -s "../../$(printf 'loop\\377')" "/dev/disk/by-label/$(printf 'odd\\377')"
"#;

#[test]
fn commands_live_with_the_directories_of_debian_13() {
    let disk = Disk::with_system();
    for (command, code) in [("check", 0), ("plan", 0), ("status", 0)] {
        let ran = disk.run_after(DEBIAN_13, command);
        assert_eq!(ran.code, code, "{command}: {ran:?}");
        assert!(!ran.stderr.contains("cannot read"), "{command}: {ran:?}");
    }
}

fn create(top: &Path, name: &str) {
    let path = top.join(name);
    run(
        "btrfs",
        &["-q", "subvolume", "create", path.to_str().unwrap()],
    );
}

fn is_subvolume(path: &Path) -> bool {
    path.exists() && fs::metadata(path).unwrap().ino() == 256
}

fn add_to_fstab(top: &Path, line: &str) {
    let path = top.join("etc/fstab");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text + line + "\n").unwrap();
}

/// A flat system in which fstab mounts a subvolume by its name, at another place than its own.
fn with_data() -> Disk {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        create(top, "data");
        write(top, "data/file", "before\n");
        run("chown", &["1000:1000", top.join("data").to_str().unwrap()]);
        fs::set_permissions(top.join("data"), fs::Permissions::from_mode(0o2750)).unwrap();
        create(top, "data/inner");
        fs::create_dir_all(top.join("srv/data")).unwrap();
        let line = format!("UUID={} /srv/data btrfs subvol=data,noatime 0 0", disk.uuid);
        add_to_fstab(top, &line);
    });
    disk
}

#[test]
fn a_subvolume_that_fstab_mounts_by_name_stays_where_it_is() {
    let disk = with_data();
    let ran = disk.run_inside("check");
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan = disk.arm(After::Reboot);
    assert!(
        !plan
            .old_system
            .nested
            .iter()
            .any(|path| path.starts_with("data"))
    );
    assert!(!plan.old_system.entries.contains(&"data".to_owned()));
    let id = |top: &Path| {
        run(
            "btrfs",
            &[
                "inspect-internal",
                "rootid",
                top.join("data").to_str().unwrap(),
            ],
        )
    };
    let before = disk.mounted(id);
    disk.boot_to_the_end("fstab mounts data");
    assert_eq!(disk.mounted(id), before);
    disk.mounted(|top| {
        // Its place in the new system is a directory like any other, and fstab mounts it there.
        let place = fs::metadata(top.join("@/data")).unwrap();
        assert!(place.ino() > 256, "inode {}", place.ino());
        assert_eq!((place.mode() & 0o7777, place.uid()), (0o2750, 1000));
        assert_eq!(fs::read_dir(top.join("@/data")).unwrap().count(), 0);
        let fstab = fs::read_to_string(top.join("@/etc/fstab")).unwrap();
        let lines = |place: &str| {
            let lines = fstab
                .lines()
                .filter(|line| line.split_whitespace().nth(1) == Some(place));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let theirs = format!("UUID={} /srv/data btrfs subvol=data,noatime 0 0", disk.uuid);
        assert_eq!(lines("/srv/data"), [theirs]);
        assert!(lines("/data")[0].contains("subvol=data"), "{fstab}");
        assert_eq!(lines("/data").len(), 1, "{fstab}");
        assert!(is_subvolume(&top.join("data/inner")));
    });
    assert_same(&disk.old_manifest(), &disk.old_manifest());
    disk.check();
}
