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
use rootshift::documents::plan::After;
use rootshift::documents::{CheckSpec, Layout, Plan, StepSpec};
use rootshift::steps::{self, StepContext, Undo};
use rootshift::sys::Root;
use rootshift::tree::compare::{Comparison, compare};
use rootshift::tree::manifest::{Manifest, Options};

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

/// Everything in a folder, contents and all.
fn everything(folder: &Path) -> Manifest {
    let options = Options {
        cross_subvolumes: true,
        contents: true,
        holes: false,
    };
    Manifest::of(&Root::open(folder).unwrap(), options).unwrap()
}

fn same(before: &Manifest, after: &Manifest) -> Comparison {
    compare(before, after, &rootshift::tree::compare::Options::default())
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

/// Every kind of step, with `path` wherever it takes one.
fn steps_with(path: &str) -> Vec<StepSpec> {
    let texts = [
        r#"{"snapshot": {"from": "PATH", "to": "new"}}"#,
        r#"{"snapshot": {"from": "PATH/volume", "to": "new"}}"#,
        r#"{"snapshot": {"from": "/", "to": "PATH/new"}}"#,
        r#"{"promote-directory": {"subvolume": "PATH/volume", "directory": "/directory"}}"#,
        r#"{"promote-directory": {"subvolume": "volume", "directory": "PATH/directory"}}"#,
        r#"{"vacate-directory": {"subvolume": "PATH/volume", "directory": "/directory",
            "old_path": "/directory", "keep_as": "kept"}}"#,
        r#"{"vacate-directory": {"subvolume": "volume", "directory": "PATH/directory",
            "old_path": "PATH/directory", "keep_as": "PATH/kept"}}"#,
        r#"{"write-fstab": {"subvolume": "PATH"}}"#,
        r#"{"write-grub-defaults": {"subvolume": "PATH"}}"#,
        r#"{"write-grub-config": {"subvolume": "PATH"}}"#,
        r#"{"back-up-file": {"subvolume": "PATH", "file": "/etc/fstab", "backup": "/etc/b",
            "old_path": "/etc/fstab"}}"#,
        r#"{"back-up-file": {"subvolume": "volume", "file": "PATH/fstab", "backup": "/etc/b",
            "old_path": "/etc/fstab"}}"#,
        r#"{"back-up-file": {"subvolume": "volume", "file": "/etc/fstab", "backup": "PATH/b",
            "old_path": "/etc/fstab"}}"#,
        r#"{"place-subvolume": {"from": "PATH/volume", "to": "placed"}}"#,
        r#"{"place-subvolume": {"from": "volume", "to": "PATH/placed"}}"#,
        r#"{"clear-staging": {"path": "PATH"}}"#,
        r#"{"clear-staging": {"path": "PATH/directory"}}"#,
        r#"{"switch-boot-path": {"path": "PATH/boot", "target": "x", "keep_as": "PATH/kept"}}"#,
    ];
    let unknown = serde_json::from_str::<StepSpec>(r#"{"?": 0}"#).unwrap_err();
    for kind in unknown.to_string().split('`').skip(3).step_by(2) {
        let used = texts.iter().any(|text| text.contains(kind));
        assert!(used, "{kind}: a new step; say here where it takes a path");
    }
    let step = |text: &str| serde_json::from_str(&text.replace("PATH", path)).unwrap();
    texts.map(step).to_vec()
}

/// The same tree twice: what the steps may touch, and what they must not.
fn fill(folder: &Path, uuid: &str) {
    let volume = folder.join("volume");
    run(
        "btrfs",
        &["-q", "subvolume", "create", volume.to_str().unwrap()],
    );
    for base in [folder.to_owned(), volume] {
        for name in ["directory", "boot/grub", "etc/default"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        fs::write(base.join("directory/file"), "precious").unwrap();
        fs::write(base.join("boot/kernel"), "precious").unwrap();
        fs::write(
            base.join("etc/fstab"),
            format!("UUID={uuid} / btrfs defaults 0 1\n"),
        )
        .unwrap();
        let grub = "GRUB_CMDLINE_LINUX=\"rootflags=subvol=x\"\n";
        fs::write(base.join("etc/default/grub"), grub).unwrap();
        let menu = format!(
            "menuentry 'x' {{\n\tsearch --fs-uuid --set=root {uuid}\n\tlinux /boot/kernel root=UUID={uuid} ro\n}}\n"
        );
        fs::write(base.join("boot/grub/grub.cfg"), menu).unwrap();
    }
}

/// Takes all steps with these paths; says how many of them did something.
fn take(plan: &Plan, jail: &Path, path: &str) -> usize {
    let top = Root::open(jail).unwrap();
    let context = StepContext {
        top: &top,
        plan,
        filesystem: "/",
    };
    let mut took = 0;
    for spec in steps_with(path) {
        let step = steps::of(&spec);
        let _ = step.probe(&context);
        took += usize::from(step.apply(&context).is_ok());
        let _ = step.verify(&context);
        let _ = step.undo(&context, Undo::KeepAside);
        let _ = step.undo(&context, Undo::Discard);
    }
    took
}

#[test]
fn no_path_of_a_step_leads_out_of_the_root() {
    let disk = Disk::with_system();
    let plan = disk.mounted(|top| disk.plan(&Root::open(top).unwrap(), After::Reboot));
    let disk = Disk::format(300);
    disk.mounted(|top| {
        let outside = top.join("outside");
        fs::create_dir(&outside).unwrap();
        fill(&outside, &plan.filesystem.uuid);
        let jail = top.join("jail");
        run(
            "btrfs",
            &["-q", "subvolume", "create", jail.to_str().unwrap()],
        );
        fill(&jail, &plan.filesystem.uuid);
        let before = everything(&outside);
        // The steps do work: with a path inside they change what is there.
        let decoy = jail.join("outside");
        fs::create_dir(&decoy).unwrap();
        fill(&decoy, &plan.filesystem.uuid);
        let untouched = everything(&decoy);
        assert!(take(&plan, &jail, "outside") > 5);
        assert!(!same(&untouched, &everything(&decoy)).is_equal());
        for way in ways_out(top) {
            take(&plan, &jail, &way);
            let same = same(&before, &everything(&outside));
            assert!(same.is_equal(), "{way}: {same:#?}");
        }
        let mut names: Vec<_> = fs::read_dir(top)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["jail", "outside"]);
    });
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
