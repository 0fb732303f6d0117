//! Checks on a real btrfs: what only the kernel can say.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, run};
use rootshift::checks::{Outcome, look};
use rootshift::documents::{CheckSpec, Layout};
use rootshift::engine::survey::Survey;
use rootshift::sys::Root;

/// A disk whose subvolume @home is mounted in the top level at /home.
fn with_home_mounted(work: impl FnOnce(&Path)) {
    let disk = Disk::format(300);
    disk.mounted(|top| {
        for name in ["@home", "frozen", "made"] {
            subvolume(&top.join(name));
        }
        run(
            "btrfs",
            &[
                "property",
                "set",
                "-ts",
                &text(&top.join("frozen")),
                "ro",
                "true",
            ],
        );
        fs::create_dir_all(top.join("etc")).unwrap();
        fs::create_dir_all(top.join("home")).unwrap();
        let home = text(&top.join("home"));
        run("mount", &["-o", "subvol=@home", &disk.device, &home]);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(top)));
        run("umount", &[&home]);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn subvolume(path: &Path) {
    run("btrfs", &["-q", "subvolume", "create", &text(path)]);
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The option is the whole file system's, whichever mount it is given with.
fn compress(top: &Path) {
    let home = text(&top.join("home"));
    run("mount", &["-o", "remount,compress=zstd:1", &home]);
}

/// `pass`, `FAIL …`, `skip …` or `unknown …`.
fn found(top: &Path, check: &str) -> String {
    let mut survey = Survey::of(top).unwrap();
    survey.top = Some(Root::open(top).unwrap());
    let layout: Layout = serde_json::from_str(
        r#"{"filesystems": [{"mounted_at": "/",
            "subvolumes": [{"name": "@home", "mount_point": "/home"}]}]}"#,
    )
    .unwrap();
    let check: CheckSpec = serde_json::from_str(check).unwrap();
    match look(&check, &survey.context(&layout)) {
        Ok(Outcome::Pass) => "pass".into(),
        Ok(Outcome::Fail { problem, .. }) => format!("FAIL {problem}"),
        Ok(Outcome::Skip(why)) => format!("skip {why}"),
        Err(error) => format!("unknown {error}"),
    }
}

#[track_caller]
fn says(top: &Path, check: &str, expected: &str) {
    let found = found(top, check);
    assert!(
        found == expected || (expected != "pass" && found.contains(expected)),
        "{check}\n found: {found}\nwanted: {expected}"
    );
}

#[test]
fn mounts_and_what_they_show() {
    with_home_mounted(|top| {
        compress(top);
        for check in [
            r#"{"mount": {"at": "/", "filesystem": "btrfs", "subvolume": "/"}}"#,
            r#"{"mount": {"at": "/home", "subvolume": "@home", "as_in_layout": true}}"#,
            r#"{"mount": {"at": "/home", "options": ["compress=zstd:1", "rw"]}}"#,
            r#"{"filesystem": {"at": "/etc", "filesystem": "btrfs", "subvolume": "/"}}"#,
            r#"{"filesystem": {"at": "/home", "subvolume": "@home"}}"#,
        ] {
            says(top, check, "pass");
        }
        let wrong = r#"{"mount": {"at": "/home", "subvolume": "@"}}"#;
        says(top, wrong, "FAIL /home: its subvolume is /@home, not @");
        says(
            top,
            r#"{"mount": {"at": "/etc"}}"#,
            "FAIL nothing is mounted at /etc",
        );
    });
}

#[test]
fn subvolumes_and_their_lock() {
    with_home_mounted(|top| {
        for check in [
            r#"{"subvolume": {"path": "@home", "read_only": false}}"#,
            r#"{"subvolume": {"path": "frozen", "read_only": true}}"#,
            r#"{"subvolume": {"path": "/made"}}"#,
            r#"{"subvolume": {"path": "/home"}}"#,
            r#"{"subvolume": {"path": "/"}}"#,
        ] {
            says(top, check, "pass");
        }
        let frozen = r#"{"subvolume": {"path": "frozen", "read_only": false}}"#;
        says(top, frozen, "FAIL the subvolume frozen is read-only");
        says(
            top,
            r#"{"subvolume": {"path": "etc"}}"#,
            "FAIL etc is no subvolume",
        );
    });
}

#[test]
fn how_things_are_stored() {
    with_home_mounted(|top| {
        for name in ["compressed", "plain", "in-place"] {
            fs::create_dir(top.join(name)).unwrap();
        }
        let set = |name: &str, value: &str| {
            let path = text(&top.join(name));
            run("btrfs", &["property", "set", &path, "compression", value]);
        };
        set("compressed", "zstd");
        set("plain", "none");
        run("chattr", &["+C", &text(&top.join("in-place"))]);
        fs::write(top.join("compressed/file"), "x").unwrap();
        fs::write(top.join("in-place/file"), "x").unwrap();
        let check =
            |path: &str, asked: &str| format!(r#"{{"property": {{"path": "{path}", {asked}}}}}"#);
        for (path, asked) in [
            (
                "/compressed",
                r#""compression": "zstd", "no_copy_on_write": false"#,
            ),
            ("/compressed/file", r#""compression": "zstd""#),
            ("/plain", r#""compression": "none""#),
            ("/etc", r#""compression": "none""#),
            (
                "/in-place",
                r#""no_copy_on_write": true, "compression": "none""#,
            ),
            ("/in-place/file", r#""no_copy_on_write": true"#),
        ] {
            says(top, &check(path, asked), "pass");
        }
        compress(top);
        for (path, form) in [("/home", "zstd"), ("/etc", "zstd:1"), ("/plain", "none")] {
            let asked = format!(r#""compression": "{form}""#);
            says(top, &check(path, &asked), "pass");
        }
        let nocow = r#""no_copy_on_write": true"#;
        says(
            top,
            &check("/compressed", nocow),
            "FAIL /compressed is copy-on-write",
        );
        says(
            top,
            &check("/plain", r#""compression": "lzo""#),
            "compression is none, not lzo",
        );
        let cow = r#""no_copy_on_write": false"#;
        says(
            top,
            &check("/in-place", cow),
            "FAIL /in-place is not copy-on-write",
        );
    });
}

#[test]
fn room_for_data_and_metadata() {
    with_home_mounted(|top| {
        says(top, r#"{"free-space": {}}"#, "pass");
        says(
            top,
            r#"{"free-space": {"at": "/home", "minimum": "10MB", "metadata": "10MB"}}"#,
            "pass",
        );
        says(top, r#"{"free-space": {"minimum": "10GB"}}"#, "FAIL");
        says(
            top,
            r#"{"free-space": {"at": "/home", "metadata": "10GB"}}"#,
            "MiB of metadata space are free on /home, 10240 MiB are needed",
        );
    });
}

/// A block of a file is damaged on the disk, and the file is read.
#[test]
fn errors_that_btrfs_has_counted() {
    const MARK: &[u8] = b"a block that will be damaged on the disk, sixty-four bytes long.";
    const STATISTICS: &str = r#"{"device-statistics": {"at": "/"}}"#;
    let disk = Disk::format(300);
    disk.mounted(|top| {
        fs::write(top.join("file"), MARK.repeat(4096)).unwrap();
        says(top, STATISTICS, "pass");
    });
    let image = fs::read(&disk.image).unwrap();
    let at = image
        .chunks(4096)
        .position(|block| block.starts_with(MARK))
        .unwrap();
    let writable = fs::OpenOptions::new()
        .write(true)
        .open(&disk.device)
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&writable, &[b'?'; 512], at as u64 * 4096).unwrap();
    writable.sync_all().unwrap();
    disk.mounted(|top| {
        says(top, STATISTICS, "pass");
        fs::read(top.join("file")).unwrap_err();
        says(top, STATISTICS, "FAIL / has counted errors: device 1: ");
        let said = found(top, STATISTICS);
        assert!(said.ends_with(" corruption"), "{said}");
    });
}
