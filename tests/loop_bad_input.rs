//! Bad documents where root acts on them: each is refused in one line, before anything is changed.
//! And documents that are well formed, whose paths would lead out of the machine's root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use common::{Disk, run};
use rootshift::checks::{self, CheckContext, Outcome};
use rootshift::documents::{CheckSpec, Layout};
use rootshift::sys::Root;

const BATCH: &str = include_str!("../batches/flat-to-subvolumes.json");
const SCRIPT: &str = include_str!("../viscripts/system_validation_viScript.json");

/// Where the spoilt documents lie on the disk.
const FOLDER: &str = "root/documents";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A sound batch in its folder, then spoilt; what `plan`, `check` and `arm` say of it.
fn assert_refused(disk: &Disk, command: &str, wanted: &[&str], spoil: &dyn Fn(&Path)) {
    disk.mounted(|top| {
        let folder = top.join(FOLDER);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        mode(&folder, 0o755);
        fs::write(folder.join("b.json"), BATCH).unwrap();
        mode(&folder.join("b.json"), 0o644);
        spoil(&folder);
    });
    let ran = disk.run_inside(&format!("{command} --batch /{FOLDER}/b.json"));
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (2, ""),
        "{wanted:?}: {ran:?}"
    );
    ran.assert_one_line(wanted);
    assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
}

#[test]
fn what_others_could_have_written_is_not_acted_on() {
    let disk = Disk::with_system();
    let file = format!("/{FOLDER}/b.json");
    let foreign = format!("{file} is not safe to act on: it belongs to user 1000");
    for command in ["check", "plan", "arm --yes"] {
        assert_refused(
            &disk,
            command,
            &[&foreign, &format!("`chown root: {file}`")],
            &|folder| {
                chown(folder.join("b.json"), Some(1000), Some(1000)).unwrap();
            },
        );
    }
    for bits in [0o646, 0o664, 0o666, 0o777] {
        let remedy = format!("`chmod go-w {file}`");
        assert_refused(
            &disk,
            "plan",
            &[&file, "may write to it", &remedy],
            &|folder| {
                mode(&folder.join("b.json"), bits);
            },
        );
    }
}

#[test]
fn what_others_could_have_put_in_its_place_is_not_acted_on() {
    let disk = Disk::with_system();
    assert_refused(&disk, "plan", &["may write to it"], &|folder| {
        run(
            "setfacl",
            &["-m", "u:1000:rw", folder.join("b.json").to_str().unwrap()],
        );
    });
    let remedy = format!("`chmod o-w /{FOLDER}`");
    assert_refused(
        &disk,
        "plan",
        &["anybody may replace it", &remedy],
        &|folder| {
            mode(folder, 0o777);
        },
    );
}

#[test]
fn neither_a_symlink_nor_a_viscript_is_a_way_around_it() {
    let disk = Disk::with_system();
    // The folder that counts is the one where the file is.
    assert_refused(
        &disk,
        "plan",
        &["anybody may replace it", "/elsewhere`"],
        &|folder| {
            let elsewhere = folder.join("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            mode(&elsewhere, 0o777);
            fs::rename(folder.join("b.json"), elsewhere.join("b.json")).unwrap();
            symlink(format!("/{FOLDER}/elsewhere/b.json"), folder.join("b.json")).unwrap();
        },
    );
    let script = "system_validation_viScript.json";
    assert_refused(&disk, "plan", &[script, "may write to it"], &|folder| {
        fs::write(folder.join(script), SCRIPT).unwrap();
        mode(&folder.join(script), 0o666);
    });
    let installed = "usr/share/rootshift/viscripts/system_validation_viScript.json";
    assert_refused(
        &disk,
        "plan",
        &[installed, "belongs to user 1"],
        &|folder| {
            chown(folder.join("../..").join(installed), Some(1), None).unwrap();
        },
    );
}

#[test]
fn what_only_root_can_write_is_acted_on() {
    let disk = Disk::with_system();
    disk.mounted(|top| {
        let folder = top.join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        // Sticky: others can put files there, and not touch root's.
        mode(&folder, 0o1777);
        fs::write(folder.join("b.json"), BATCH).unwrap();
        mode(&folder.join("b.json"), 0o400);
        symlink(format!("/{FOLDER}/b.json"), top.join("root/link.json")).unwrap();
    });
    for file in [
        &format!("/{FOLDER}/b.json"),
        "/root/link.json",
        "flat-to-subvolumes",
    ] {
        let ran = disk.run_inside(&format!("plan --batch {file}"));
        assert_eq!(ran.code, 0, "{file}: {ran:?}");
    }
}

#[test]
fn a_bad_batch_is_refused_in_one_line_with_its_place() {
    let disk = Disk::with_system();
    let replaced = |from: &str, to: &str| BATCH.replacen(from, to, 1);
    let deep = format!("\"phases\": {}", "[".repeat(10_000));
    let control = "\"description\": \"\\u001b]0;x\\u0007";
    for (text, wanted) in [
        (String::new(), ":1:1: the document is empty"),
        (
            BATCH[..BATCH.len() / 2].to_owned(),
            "the document ends in the middle of",
        ),
        (replaced("\"phases\":", &deep), "phases[0]"),
        (
            replaced("\"version\": \"1.0\"", "\"version\": \"9\""),
            "version: unknown variant `9`, expected `1.0`",
        ),
        (
            replaced("\"batch_name\"", "\"batch_nane\""),
            "did you mean `batch_name`?",
        ),
        (replaced("_viScript.json", "/../x"), "is no plain file name"),
        (
            replaced("\"description\": \"", control),
            "the control character \\u001b",
        ),
        (
            replaced(
                "\"mount_point\": \"/home",
                "\"mount_point\": \"/ho\\u0000me",
            ),
            "\\u0000",
        ),
    ] {
        assert_refused(&disk, "plan", &["/b.json:", wanted], &|folder| {
            fs::write(folder.join("b.json"), &text).unwrap();
        });
    }
    let large = ":1:1: 104857600 bytes are more than any document has";
    assert_refused(&disk, "check", &[large], &|folder| {
        let file = fs::File::create(folder.join("b.json")).unwrap();
        file.set_len(100 << 20).unwrap();
    });
    assert_refused(
        &disk,
        "arm --yes",
        &[":1:1: not a regular file"],
        &|folder| {
            fs::remove_file(folder.join("b.json")).unwrap();
            run(
                "mkfifo",
                &["-m", "600", folder.join("b.json").to_str().unwrap()],
            );
        },
    );
    assert_refused(&disk, "plan", &[":1:1: not a regular file"], &|folder| {
        fs::remove_file(folder.join("b.json")).unwrap();
        symlink("/dev/zero", folder.join("b.json")).unwrap();
    });
}

/// Paths that lead from `jail` to the folder `outside` beside it, for who follows them.
fn ways_out(top: &Path) -> Vec<String> {
    let jail = top.join("jail");
    symlink("../outside", jail.join("relative")).unwrap();
    symlink(top.join("outside"), jail.join("absolute")).unwrap();
    symlink("/proc/self/cwd", jail.join("magic")).unwrap();
    let absolute = top.join("outside").to_str().unwrap().to_owned();
    let mut ways = vec![
        "../outside".to_owned(),
        "/../../outside".to_owned(),
        absolute,
    ];
    ways.extend(["relative", "absolute", "magic", "./x/../../outside"].map(str::to_owned));
    ways
}

#[test]
fn no_path_of_a_check_leads_out_of_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let (jail, outside) = (folder.path().join("jail"), folder.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(jail.join("outside")).unwrap();
    fs::create_dir_all(jail.join("etc/systemd/system")).unwrap();
    fs::write(jail.join("etc/systemd/system/x.service"), "").unwrap();
    let system = Root::open(&jail).unwrap();
    let layout = Layout::default();
    let context = CheckContext {
        system: &system,
        mounts: &[],
        top: None,
        layout: &layout,
        identity: None,
        old_root: "",
        others: &[],
    };
    let answers = |path: &str| {
        let check =
            format!("{{\"socket\": {{\"path\": \"{path}/socket\", \"unit\": \"x.service\"}}}}");
        let check: CheckSpec = serde_json::from_str(&check).unwrap();
        matches!(checks::look(&check, &context), Ok(Outcome::Pass))
    };
    let _outside = UnixListener::bind(outside.join("socket")).unwrap();
    let ways = ways_out(folder.path());
    for way in &ways {
        assert!(!answers(way), "{way}");
    }
    let _inside = UnixListener::bind(jail.join("outside/socket")).unwrap();
    for way in ["outside", "/outside", "../outside", "relative"] {
        assert!(answers(way), "{way}");
    }
}
