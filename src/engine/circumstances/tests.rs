use std::path::Path;

use super::{findings, sudo_privileges};
use crate::checks::{CheckContext, Outcome};
use crate::documents::batch::Circumstances;
use crate::documents::{Batch, Layout};
use crate::engine::preflight::{Finding, Verdict};
use crate::sys::Root;
use crate::sys::mount::parse_mountinfo;

fn batch(prerequisites: Circumstances) -> Batch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("batches/ubuntu_btrfs_installation.json");
    let mut batch = Batch::parse("b.json", &std::fs::read(path).unwrap()).unwrap();
    batch.dependencies.prerequisites = prerequisites;
    batch
}

/// What is found on a system with these files, whose root is of this type.
fn found(batch: &Batch, files: &[(&str, &str)], fstype: &str) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let system = Root::open(folder.path()).unwrap();
    system.create_directories(Path::new("proc"), 0o755).unwrap();
    for (path, text) in files {
        let path = Path::new(path);
        system
            .create_directories(path.parent().unwrap(), 0o755)
            .unwrap();
        system.write_new_file(path, text.as_bytes(), 0o644).unwrap();
    }
    let mounts = parse_mountinfo(&format!("1 0 0:1 / / rw - {fstype} none rw\n"));
    let context = CheckContext {
        system: &system,
        mounts: &mounts,
        top: None,
        layout: &Layout::default(),
        identity: None,
        old_root: "",
        others: &[],
    };
    findings(batch, &context)
}

fn one(wanted: &str, batch: &Batch, files: &[(&str, &str)], fstype: &str) -> Option<Finding> {
    let mut findings = found(batch, files, fstype).into_iter();
    findings.find(|finding| finding.name == wanted)
}

#[test]
fn what_is_not_asked_for_is_not_looked_at() {
    let mut batch = batch(Circumstances::default());
    batch.rollback_configuration = None;
    assert_eq!(found(&batch, &[], "btrfs"), []);
}

#[test]
fn a_network_is_a_default_route() {
    let batch = batch(Circumstances {
        network_connectivity: true,
        ..Circumstances::default()
    });
    let route = "eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0\n";
    let there = one(
        "network_connectivity",
        &batch,
        &[("proc/net/route", route)],
        "btrfs",
    );
    assert_eq!(there.unwrap().verdict, Verdict::Pass);
    let missing = one("network_connectivity", &batch, &[], "btrfs").unwrap();
    assert!(missing.blocks());
    assert!(
        missing
            .line()
            .contains("no default route; connect this machine")
    );
}

#[test]
fn a_live_boot_is_a_live_session_or_the_initramfs() {
    let batch = batch(Circumstances {
        ubuntu_live_boot: true,
        ..Circumstances::default()
    });
    let tools = [("usr/share/initramfs-tools/scripts/local", "")];
    for (files, fstype, verdict, part) in [
        (
            &tools[..0],
            "overlay",
            Verdict::Pass,
            "a live session: root is overlay",
        ),
        (
            &tools[..],
            "btrfs",
            Verdict::Pass,
            "satisfied by initramfs-tools",
        ),
        (&tools[..0], "btrfs", Verdict::Fail, "no live session"),
    ] {
        let finding = one("ubuntu_live_boot", &batch, files, fstype).unwrap();
        assert_eq!(finding.verdict, verdict);
        assert!(finding.line().contains(part), "{}", finding.line());
        assert_eq!(finding.blocks(), verdict == Verdict::Fail);
    }
}

#[test]
fn privileges_are_roots() {
    assert_eq!(sudo_privileges(true), Outcome::Pass);
    assert!(
        matches!(sudo_privileges(false), Outcome::Fail { remedy, .. } if remedy.contains("sudo"))
    );
    let batch = batch(Circumstances {
        sudo_privileges: true,
        ..Circumstances::default()
    });
    assert!(one("sudo_privileges", &batch, &[], "btrfs").is_some());
}

#[test]
fn what_can_not_be_backed_up_is_said_before() {
    let batch = batch(Circumstances::default());
    let files = [("etc/fstab", ""), ("etc/default/grub/is/a/directory", "")];
    let verdict = |name: &str| {
        let name = format!("rollback_configuration/{name}");
        one(&name, &batch, &files, "btrfs").unwrap().verdict
    };
    assert_eq!(verdict("fstab"), Verdict::Pass);
    assert_eq!(verdict("grub"), Verdict::Fail);
    assert_eq!(verdict("initramfs"), Verdict::Skip);
}
