//! Each kind: one that passes, one that fails, one that could not look or had nothing to look at.
//! The checks are given as JSON, as documents give them; the system is a folder.

mod boot;
mod files;
mod mounts;
mod names;
mod services;

use std::path::Path;

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

#[test]
fn what_is_read_for_one_check_serves_the_others() {
    let sample = Sample::with(&[("etc/group", "adm:x:4:\n")]);
    let looker = super::Looker::new(sample.context());
    let check: CheckSpec = serde_json::from_str(r#"{"groups": {"names": ["adm"]}}"#).unwrap();
    assert_eq!(looker.look(&check).unwrap(), Outcome::Pass);
    std::fs::remove_file(sample.folder.path().join("etc/group")).unwrap();
    assert_eq!(looker.look(&check).unwrap(), Outcome::Pass);
    assert!(look(&check, &sample.context()).is_err());
    assert!(!sample.root.exists(Path::new("etc/group")).unwrap());
}
