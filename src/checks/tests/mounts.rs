use super::Sample;
use crate::documents::plan::FilesystemIdentity;

const UUID: &str = "0b5a2c6e-0000-4000-8000-000000000001";

/// A desktop with a data disk; the numbers are none of real mounts.
fn desktop() -> Sample {
    let mut sample = Sample::with(&[(
        "etc/fstab",
        "UUID=0b5a2c6e-0000-4000-8000-000000000001 / btrfs subvol=@,noatime 0 1\n\
         /dev/sdb1 /data btrfs subvol=/@data,compress=zstd 0 0\n\
         /dev/sdc1 /ml btrfs defaults 0 0\n\
         /dev/sdd1 /models btrfs noauto 0 0\n",
    )]);
    sample.mount(
        "900000001 1 0:30 /@ / rw,noatime - btrfs /dev/sda2 rw,compress=zstd:3,subvol=/@\n\
         900000002 1 0:31 /@data /data rw - btrfs /dev/sdb1 rw,subvol=/@data\n\
         900000003 1 0:32 / /var/log rw - btrfs /dev/sda2 rw\n\
         900000004 1 0:33 / /net rw - autofs systemd-1 rw\n",
    );
    for (folder, _) in [("data/x", ()), ("etc/x", ())] {
        sample.write(folder, "");
    }
    sample.lay_out("/data", "@data", "/data");
    sample
}

#[test]
fn a_mount_is_told_by_the_kernel() {
    let sample = desktop();
    for asked in [
        r#""at": "/""#,
        r#""at": "/", "filesystem": "btrfs", "subvolume": "@""#,
        r#""at": "/", "options": ["noatime", "compress=zstd"]"#,
        r#""at": "/data", "subvolume": "/@data", "as_in_layout": true"#,
        r#""at": "/var/log", "subvolume": "/""#,
        r#""at": "/data/", "source": "/dev/sdb1""#,
    ] {
        sample.says(&format!(r#"{{"mount": {{{asked}}}}}"#), "pass");
    }
    for (asked, found) in [
        (
            r#""at": "/data", "filesystem": "ext4""#,
            "FAIL /data: it is btrfs, not ext4",
        ),
        (
            r#""at": "/data", "subvolume": "@""#,
            "its subvolume is /@data, not @",
        ),
        (
            r#""at": "/data", "source": "/dev/sda2""#,
            "its source is /dev/sdb1",
        ),
        (
            r#""at": "/data", "options": ["noatime"]"#,
            "the option noatime is missing",
        ),
        (
            r#""at": "/data", "options": ["r"]"#,
            "the option r is missing",
        ),
        (
            r#""at": "/ml""#,
            "FAIL /ml is in /etc/fstab and not mounted",
        ),
        (
            r#""at": "/ml", "optional": true"#,
            "FAIL /ml is in /etc/fstab and not mounted",
        ),
        (r#""at": "/srv""#, "FAIL nothing is mounted at /srv"),
        (r#""at": "/net""#, "FAIL nothing is mounted at /net"),
        (
            r#""at": "/srv", "optional": true"#,
            "skip this machine has no /srv",
        ),
        (
            r#""at": "/models", "optional": true"#,
            "skip this machine has no /models",
        ),
    ] {
        sample.says(&format!(r#"{{"mount": {{{asked}}}}}"#), found);
    }
}

#[test]
fn a_subvolume_that_the_layout_does_not_want_is_found() {
    let mut sample = desktop();
    sample.lay_out("/var/log", "@var_log", "/var/log");
    let check = r#"{"mount": {"at": "/var/log", "as_in_layout": true}}"#;
    sample.says(check, "FAIL /var/log: its subvolume is /, not @var_log");
    // The layout says nothing of it.
    sample.mount("900000009 1 0:39 /x /srv rw - btrfs /dev/sde1 rw\n");
    sample.says(r#"{"mount": {"at": "/srv", "as_in_layout": true}}"#, "pass");
}

#[test]
fn an_fstab_that_is_a_directory_is_no_missing_line() {
    let sample = Sample::with(&[("etc/fstab/x", "")]);
    sample.says(r#"{"mount": {"at": "/data"}}"#, "unknown");
    sample.says(r#"{"fstab-entry": {"at": "/data"}}"#, "unknown");
}

#[test]
fn a_device_is_known_by_all_its_names() {
    let mut sample = desktop();
    sample.write("dev/disk/by-uuid/x", "");
    let link = sample.folder.path().join("dev/disk/by-uuid").join(UUID);
    std::os::unix::fs::symlink("../../sda2", link).unwrap();
    let by_uuid = format!(r#"{{"mount": {{"at": "/", "source": "UUID={UUID}"}}}}"#);
    sample.says(&by_uuid, "pass");
    let other = by_uuid.replace("0001", "0002");
    sample.says(&other, "FAIL /: its source is /dev/sda2");
    // In an initramfs without udev's links the file system's own UUID is known.
    std::fs::remove_dir_all(sample.folder.path().join("dev")).unwrap();
    sample.says(&by_uuid, "FAIL");
    sample.identity = Some(FilesystemIdentity {
        uuid: UUID.into(),
        aliases: vec!["/dev/sda2".into()],
    });
    sample.says(&by_uuid, "pass");
}

#[test]
fn the_file_system_under_a_path() {
    let sample = desktop();
    for asked in [
        r#""at": "/data/x", "filesystem": "btrfs", "subvolume": "@data""#,
        r#""at": "/etc", "subvolume": "@""#,
    ] {
        sample.says(&format!(r#"{{"filesystem": {{{asked}}}}}"#), "pass");
    }
    let check = |at: &str| format!(r#"{{"filesystem": {{"at": "{at}", "filesystem": "ext4"}}}}"#);
    sample.says(&check("/data"), "FAIL /data: it is btrfs, not ext4");
    sample.says(&check("/nowhere"), "FAIL /nowhere does not exist");
    let optional = r#"{"filesystem": {"at": "/no", "filesystem": "x", "optional": true}}"#;
    sample.says(optional, "skip");
    let bare = Sample::with(&[("etc/x", "")]);
    bare.says(
        &check("/etc"),
        "unknown no mount in the mount table holds /etc",
    );
}

#[test]
fn lines_of_fstab() {
    let sample = desktop();
    for asked in [
        r#""at": "/", "filesystem": "btrfs", "subvolume": "@", "options": ["noatime"]"#,
        r#""at": "/data", "subvolume": "@data", "source": "/dev/sdb1", "as_in_layout": true"#,
        r#""at": "/ml""#,
    ] {
        sample.says(&format!(r#"{{"fstab-entry": {{{asked}}}}}"#), "pass");
    }
    for (asked, found) in [
        (
            r#""at": "/ml", "subvolume": "@ml""#,
            "FAIL /etc/fstab: /ml: its subvolume is none",
        ),
        (
            r#""at": "/ml", "options": ["compress=zstd"]"#,
            "is missing in defaults",
        ),
        (
            r#""at": "/ml", "source": "UUID=x""#,
            "its source is /dev/sdc1",
        ),
        (r#""at": "/srv""#, "FAIL /etc/fstab has no line for /srv"),
        (r#""at": "/srv", "optional": true"#, "skip"),
    ] {
        sample.says(&format!(r#"{{"fstab-entry": {{{asked}}}}}"#), found);
    }
}

#[test]
fn what_is_asked_of_a_place_that_this_machine_lacks_is_skipped() {
    let sample = desktop();
    for check in [
        r#"{"free-space": {"at": "/srv", "minimum": "1", "optional": true}}"#,
        r#"{"device-statistics": {"at": "/srv", "optional": true}}"#,
        r#"{"property": {"path": "/srv", "no_copy_on_write": true, "optional": true}}"#,
        r#"{"subvolume": {"path": "/srv", "optional": true}}"#,
    ] {
        sample.says(check, "skip this machine has no /srv");
        let required = check.replace(r#", "optional": true"#, "");
        sample.says(&required, "FAIL /srv does not exist");
    }
    sample.says(
        r#"{"free-space": {"at": "/ml", "minimum": "1", "optional": true}}"#,
        "FAIL /ml is in /etc/fstab and not mounted",
    );
}

#[test]
fn free_bytes_are_looked_at_on_any_file_system() {
    let sample = desktop();
    sample.says(r#"{"free-space": {"at": "/data", "minimum": "1"}}"#, "pass");
    sample.says(
        r#"{"free-space": {"at": "/data", "minimum": "16000000TB"}}"#,
        "MiB of /data are free",
    );
}
