//! Each kind: one that passes, one that fails, one that could not look or had nothing to look at.
//! The checks are given as JSON, as documents give them; the system is a folder.

mod boot;
mod files;
mod mounts;
mod names;
mod services;
mod started;

use super::{CheckContext, Outcome, look};
use crate::documents::plan::FilesystemIdentity;
use crate::documents::{CheckSpec, Layout};
use crate::sys::Root;
use crate::sys::mount::{Mount, parse_mountinfo};

/// A folder that stands for a system.
struct Sample {
    folder: tempfile::TempDir,
    root: Root,
    mounts: Vec<Mount>,
    layout: Layout,
    identity: Option<FilesystemIdentity>,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        Self {
            folder,
            root,
            mounts: Vec::new(),
            layout: Layout::default(),
            identity: None,
        }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let sample = Self::new();
        for (path, text) in files {
            sample.write(path, text);
        }
        sample
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A program that is a shell script.
    ///
    /// Another process writes it: a child that a test beside this one has just forked would keep
    /// a file of ours open for writing, and such a file can't be run (ETXTBSY, execve(2)).
    fn program(&self, name: &str, script: &str) {
        let source = format!("{name}.source");
        self.write(&source, &format!("#!/bin/sh\n{script}\n"));
        let root = self.folder.path();
        let done = std::process::Command::new("install")
            .args(["-D", "-m", "755"])
            .args([root.join(source), root.join("usr/bin").join(name)])
            .status();
        assert!(done.unwrap().success());
    }

    fn mount(&mut self, mountinfo: &str) {
        self.mounts.extend(parse_mountinfo(mountinfo));
    }

    fn lay_out(&mut self, mounted_at: &str, name: &str, mount_point: &str) {
        let filesystem = format!(
            r#"{{"mounted_at": "{mounted_at}",
                "subvolumes": [{{"name": "{name}", "mount_point": "{mount_point}"}}]}}"#
        );
        let filesystem = serde_json::from_str(&filesystem).unwrap();
        self.layout.filesystems.push(filesystem);
    }

    fn context(&self) -> CheckContext<'_> {
        CheckContext {
            system: &self.root,
            mounts: &self.mounts,
            top: Some(&self.root),
            old_root: "",
            layout: &self.layout,
            identity: self.identity.as_ref(),
            others: &[],
        }
    }

    /// In one line: `pass`, `FAIL problem | remedy`, `skip why`, `unknown why`.
    fn look(&self, check: &str) -> String {
        let check: CheckSpec = serde_json::from_str(check).unwrap();
        assert_eq!(check.problem(), None);
        match look(&check, &self.context()) {
            Ok(Outcome::Pass) => "pass".into(),
            Ok(Outcome::Fail { problem, remedy }) => {
                assert!(!remedy.is_empty(), "{problem}");
                format!("FAIL {problem}")
            }
            Ok(Outcome::Skip(why)) => format!("skip {why}"),
            Err(error) => format!("unknown {error}"),
        }
    }

    #[track_caller]
    fn says(&self, check: &str, expected: &str) {
        let found = self.look(check);
        assert!(
            found == expected || (expected != "pass" && found.contains(expected)),
            "{check}\n found: {found}\nwanted: {expected}"
        );
    }
}

#[test]
fn what_a_check_leaves_alone_is_not_touched() {
    let sample = Sample::with(&[("etc/passwd", "root:x:0:0::/root:/bin/sh\n")]);
    let before = std::fs::metadata(sample.folder.path().join("etc/passwd")).unwrap();
    sample.says(r#"{"users": {"names": ["root"]}}"#, "pass");
    let after = std::fs::metadata(sample.folder.path().join("etc/passwd")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

/// What many checks read, and a check that passes by it.
const SHARED: [(&str, &str, &str); 13] = [
    (
        "etc/group",
        "adm:x:4:\n",
        r#"{"groups": {"names": ["adm"]}}"#,
    ),
    (
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\n",
        r#"{"users": {"names": ["root"]}}"#,
    ),
    (
        "etc/fstab",
        "/dev/sda1 /data btrfs defaults 0 0\n",
        r#"{"fstab-entry": {"at": "/data"}}"#,
    ),
    (
        "proc/meminfo",
        "MemTotal: 1000000 kB\n",
        r#"{"memory": {"minimum": "64 MB"}}"#,
    ),
    (
        "proc/cmdline",
        "root=/dev/sda1 quiet\n",
        r#"{"kernel-command-line": {"contains": ["quiet"]}}"#,
    ),
    (
        "boot/grub/grub.cfg",
        "menuentry 'Linux' {\n linux /vmlinuz root=/dev/sda1 quiet\n}\n",
        r#"{"grub-entry": {"contains": ["quiet"]}}"#,
    ),
    (
        "boot/grub/grub.cfg",
        "menuentry 'Linux' {\n linux /vmlinuz root=/dev/sda1 quiet\n}\n",
        r#"{"grub-entry": {"title": "Linux", "lacks": ["debug"]}}"#,
    ),
    (
        "proc/net/route",
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
        r#"{"network": {}}"#,
    ),
    (
        "proc/net/tcp",
        "0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 1\n",
        r#"{"ports": {"names": ["tcp:22"]}}"#,
    ),
    (
        "proc/filesystems",
        "nodev\tproc\n",
        r#"{"kernel-filesystems": {"names": ["proc"]}}"#,
    ),
    (
        "proc/1/comm",
        "systemd\n",
        r#"{"processes": {"names": ["systemd"]}}"#,
    ),
    (
        "var/lib/dpkg/status",
        "Package: dpkg\nStatus: install ok installed\n",
        r#"{"packages": {"names": ["dpkg"]}}"#,
    ),
    (
        "usr/lib/systemd/system/getty@.service",
        "",
        r#"{"service": {"unit": "getty@tty1.service"}}"#,
    ),
];

fn parsed(check: &str) -> CheckSpec {
    serde_json::from_str(check).unwrap()
}

#[test]
fn what_is_read_for_one_check_serves_the_others() {
    for (path, text, check) in SHARED {
        let sample = Sample::with(&[(path, text), ("proc/net/udp", "")]);
        let mut looker = super::Looker::new(sample.context());
        let check = parsed(check);
        assert_eq!(looker.look(&check).unwrap(), Outcome::Pass, "{check:?}");
        std::fs::remove_file(sample.folder.path().join(path)).unwrap();
        assert_eq!(looker.look(&check).unwrap(), Outcome::Pass, "{check:?}");
        let anew = look(&check, &sample.context());
        assert!(!matches!(anew, Ok(Outcome::Pass)), "{check:?}: {anew:?}");
    }
}

#[test]
fn what_could_not_be_read_is_tried_again() {
    let sample = Sample::new();
    let mut looker = super::Looker::new(sample.context());
    let check = parsed(r#"{"groups": {"names": ["adm"]}}"#);
    assert!(looker.look(&check).is_err());
    sample.write("etc/group", "adm:x:4:\n");
    assert_eq!(looker.look(&check).unwrap(), Outcome::Pass);
}

#[test]
fn after_a_program_of_the_document_all_is_read_anew() {
    let sample = Sample::with(&[("etc/group", "adm:x:4:\n")]);
    sample.program(
        "adduser",
        &format!(
            "echo new:x:5: >> {}/etc/group",
            sample.folder.path().display()
        ),
    );
    let mut looker = super::Looker::new(sample.context());
    let check = parsed(r#"{"groups": {"names": ["new"]}}"#);
    assert_ne!(looker.look(&check).unwrap(), Outcome::Pass);
    let program = parsed(r#"{"command-output": {"argv": ["adduser"]}}"#);
    assert_eq!(looker.look(&program).unwrap(), Outcome::Pass);
    assert_eq!(looker.look(&check).unwrap(), Outcome::Pass);
}
