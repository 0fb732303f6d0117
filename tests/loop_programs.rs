//! The programs that rootshift runs: missing, failing, hanging, printing garbage. Arming and
//! giving back end in one line, with the old system whole and nothing armed by half.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Disk, WOULD_REBOOT, install};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::engine::home::Migration;
use rootshift::sys::Root;

/// Says that all is done.
const WORKS: &str = "exit 0";
/// Lists what the hook would have put into the image.
const LISTS: &str = r#"
    [ -d /var/lib/rootshift/armed ] || exit 0
    for plan in /var/lib/rootshift/armed/*; do echo "etc/rootshift/${plan##*/}"; done
    echo usr/sbin/rootshift; echo scripts/local-premount/rootshift"#;
const HANGS: &str = "kill -STOP $$";

fn script(top: &Path, program: &str, text: Option<&str>) {
    let path = top.join("usr/sbin").join(program);
    fs::remove_file(&path).ok();
    if let Some(text) = text {
        fs::write(&path, format!("#!/usr/sbin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Puts both programs into the system below `root`.
fn programs(disk: &Disk, root: &str, update: Option<&str>, list: Option<&str>) {
    disk.mounted(|top| {
        let root = top.join(root);
        if !root.join("usr/sbin/sh").exists() {
            install(&root, "/bin/sh", "sh");
        }
        script(&root, "update-initramfs", update);
        script(&root, "lsinitramfs", list);
    });
}

#[test]
fn arming_with_a_broken_program_arms_nothing() {
    let disk = Disk::with_system();
    let garbage = r"while [ $((n = n + 1)) -lt 2000 ]; do printf '\377\000plan-%s\n' $n; done";
    for (update, list, wanted) in [
        (None, Some(LISTS), "update-initramfs"),
        (Some(WORKS), None, "lsinitramfs"),
        (
            Some("echo no room >&2; exit 7"),
            Some(LISTS),
            "ended with 7: no room",
        ),
        (Some("kill -9 $$"), Some(LISTS), "ended with 137"),
        (Some(HANGS), Some(LISTS), "still running after 3 s: killed"),
        (Some(WORKS), Some(HANGS), "still running after 3 s: killed"),
        (
            Some(WORKS),
            Some("echo broken >&2; exit 1"),
            "can't be listed: broken",
        ),
        (Some(WORKS), Some(garbage), "is missing in it"),
        (Some(WORKS), Some(WORKS), "is missing in it"),
    ] {
        programs(&disk, "", update, list);
        let ran = disk.run_inside("arm --yes");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(matches!(ran.code, 1 | 3), "{wanted}: {ran:?}");
        assert!(said.contains(wanted), "{wanted}: {ran:?}");
        let armed = disk.mounted(|top| top.join("var/lib/rootshift/armed").exists());
        assert!(!armed, "{wanted}");
        if disk.mounted(|top| top.join(".rootshift/journal").exists()) {
            let stage = disk.stage();
            assert!(
                matches!(stage, Stage::Planned | Stage::Disarmed),
                "{wanted}: {stage:?}"
            );
        }
    }
    // An image that kept the plan all the same boots the old system.
    disk.mounted(|top| {
        let frozen = Migration::open(&Root::open(top).unwrap()).unwrap().unwrap();
        let name = format!("plan-{}.json", frozen.frozen.digest);
        let plans = disk.folder.join("plans");
        fs::create_dir_all(&plans).unwrap();
        fs::copy(top.join(".rootshift/plan.json"), plans.join(name)).unwrap();
    });
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    programs(&disk, "", Some(WORKS), Some(LISTS));
    let ran = disk.run_inside("arm --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(disk.stage(), Stage::Armed);
}

#[test]
fn disarming_with_a_broken_program_is_said_and_may_be_repeated() {
    let disk = Disk::with_system();
    programs(&disk, "", Some(WORKS), Some(LISTS));
    assert_eq!(disk.run_inside("arm --yes").code, 0);
    for (update, list) in [
        (Some("exit 1"), Some(LISTS)),
        (Some(WORKS), Some("echo etc/rootshift/plan-1.json")),
        (None, None),
    ] {
        programs(&disk, "", update, list);
        let ran = disk.run_inside("disarm");
        assert_eq!(ran.code, 3, "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert_eq!(disk.stage(), Stage::Armed);
    }
    programs(&disk, "", Some(WORKS), Some(LISTS));
    assert_eq!(disk.run_inside("disarm").code, 0);
    assert_eq!(disk.stage(), Stage::Disarmed);
}

#[test]
fn finalize_with_a_broken_program_deletes_nothing() {
    let disk = Disk::with_system();
    programs(&disk, "", Some(WORKS), Some(LISTS));
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk.record([common::validated()]);
    disk.rehearse();
    let old = disk.old_manifest();
    for (update, list) in [
        (Some("exit 1"), Some(LISTS)),
        (Some(WORKS), Some("echo usr/sbin/rootshift")),
        (None, None),
    ] {
        programs(&disk, "@", update, list);
        let ran = disk.run_in_new_system("finalize --yes");
        assert_eq!(ran.code, 3, "{ran:?}");
        common::assert_same(&old, &disk.old_manifest());
        assert_eq!(disk.stage(), Stage::Rehearsed, "there is a way back");
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    }
    programs(&disk, "@", Some(WORKS), Some(LISTS));
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(disk.stage(), Stage::Finalized);
}
