use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::Sample;

fn sample() -> Sample {
    let sample = Sample::with(&[
        ("etc/crypttab", "# <target>\nswap /dev/sda3\n"),
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nme:x:4242:4243::/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nus:x:4243:\n"),
    ]);
    let path = sample.folder.path();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(path.join("etc/crypttab"), mode).unwrap();
    symlink("/etc/crypttab", path.join("link")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    sample
}

#[test]
fn what_a_file_is() {
    let sample = sample();
    let uid = std::fs::metadata(sample.folder.path()).unwrap().uid();
    for asked in [
        r#""path": "/etc/crypttab", "exists": true"#.to_owned(),
        r#""path": "/etc/crypttab", "type": "file", "mode": "0640", "minimum_size": "20""#.into(),
        format!(r#""path": "/etc/crypttab", "owner": "{uid}""#),
        r#""path": "/etc/crypttab", "contains": ["swap", "/dev/sda3"]"#.into(),
        r#""path": "/link", "type": "file", "mode": "640""#.into(),
        r#""path": "/link", "type": "symlink", "target": "/etc/crypttab""#.into(),
        r#""path": "/etc", "type": "directory""#.into(),
        r#""path": "/nothing", "exists": false"#.into(),
    ] {
        sample.says(&format!(r#"{{"file": {{{asked}}}}}"#), "pass");
    }
    for (asked, found) in [
        (
            r#""path": "/nothing", "exists": true"#,
            "FAIL /nothing does not exist",
        ),
        (
            r#""path": "/nothing", "mode": "0640""#,
            "FAIL /nothing does not exist",
        ),
        (
            r#""path": "/dangling", "exists": true"#,
            "FAIL /dangling does not exist",
        ),
        (
            r#""path": "/dangling", "exists": false"#,
            "FAIL /dangling: it exists",
        ),
        (
            r#""path": "/etc", "type": "file""#,
            "FAIL /etc: it is no regular file",
        ),
        (
            r#""path": "/etc/crypttab", "mode": "0600""#,
            "its mode is 0640, not 0600",
        ),
        (r#""path": "/etc/crypttab", "owner": "me""#, "not me"),
        (
            r#""path": "/etc/crypttab", "group": "nobody-knows""#,
            "not nobody-knows",
        ),
        (
            r#""path": "/etc/crypttab", "minimum_size": "1KB""#,
            "bytes, 1KiB are required",
        ),
        (
            r#""path": "/etc/crypttab", "contains": ["home"]"#,
            "\"home\" is not in it",
        ),
        (
            r#""path": "/link", "target": "/etc/fstab""#,
            "it points to /etc/crypttab",
        ),
        (r#""path": "/etc", "contains": ["x"]"#, "unknown"),
    ] {
        sample.says(&format!(r#"{{"file": {{{asked}}}}}"#), found);
    }
}

#[test]
fn owners_are_known_by_the_systems_own_names() {
    let sample = sample();
    let path = sample.folder.path().join("etc/crypttab");
    let own = std::fs::metadata(&path).unwrap();
    let name = format!("here:x:{}:{}::/:/bin/sh\n", own.uid(), own.gid());
    sample.write("etc/passwd", &name);
    sample.write("etc/group", &format!("ours:x:{}:\n", own.gid()));
    sample.says(
        r#"{"file": {"path": "/etc/crypttab", "owner": "here", "group": "ours"}}"#,
        "pass",
    );
    std::fs::remove_file(sample.folder.path().join("etc/group")).unwrap();
    sample.says(
        r#"{"file": {"path": "/etc/crypttab", "group": "ours"}}"#,
        "unknown cannot open",
    );
}

#[test]
fn no_path_leads_out_of_the_root() {
    let sample = sample();
    symlink(
        "../../../../../../etc/hostname",
        sample.folder.path().join("out"),
    )
    .unwrap();
    for path in ["/out", "/../../../../../etc/hostname"] {
        let check = format!(r#"{{"file": {{"path": "{path}", "exists": true}}}}"#);
        sample.says(&check, "FAIL");
    }
    sample.says(
        "{\"file\": {\"path\": \"/etc/a\\u0000b\", \"exists\": true}}",
        "unknown",
    );
}

#[test]
fn what_is_on_no_btrfs_is_no_subvolume_and_has_no_counters() {
    let mut sample = sample();
    sample.mount("900000001 1 0:30 / / rw - ext4 /dev/sda2 rw\n");
    sample.says(
        r#"{"subvolume": {"path": "etc"}}"#,
        "FAIL etc is no subvolume",
    );
    sample.says(
        r#"{"subvolume": {"path": "@home"}}"#,
        "FAIL @home does not exist",
    );
    if std::fs::metadata("/sys/fs/btrfs").is_err() || !is_btrfs() {
        sample.says(r#"{"device-statistics": {}}"#, "unknown file system of");
    }
    sample.says(
        r#"{"property": {"path": "/etc", "no_copy_on_write": true}}"#,
        "FAIL /etc is copy-on-write",
    );
    sample.says(
        r#"{"property": {"path": "/etc", "compression": "none"}}"#,
        "pass",
    );
}

fn is_btrfs() -> bool {
    crate::sys::Root::open(&std::env::temp_dir())
        .is_ok_and(|root| crate::sys::btrfs::filesystem(&root).is_ok())
}

#[test]
fn compression_is_what_the_mount_says_when_nothing_else_does() {
    let mut sample = sample();
    sample.mount("900000001 1 0:30 / / rw - btrfs /dev/sda2 rw,compress=zstd:1\n");
    let check =
        |form: &str| format!(r#"{{"property": {{"path": "/etc", "compression": "{form}"}}}}"#);
    sample.says(&check("zstd"), "pass");
    sample.says(&check("zstd:1"), "pass");
    sample.says(
        &check("zstd:3"),
        "FAIL /etc: compression is zstd:1, not zstd:3",
    );
    sample.says(&check("none"), "FAIL");
    sample.mounts.clear();
    sample.mount("900000001 1 0:30 / / rw - btrfs /dev/sda2 rw,nodatacow,compress=zstd\n");
    sample.says(&check("none"), "pass");
}
