//! `rootshift new` on a machine: what it writes is clean, can be planned, and migrates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, WOULD_REBOOT};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;

/// Lints the batch beside all installed viScripts.
fn assert_clean(disk: &Disk, batch: &str) {
    let viscripts = fs::read_dir(common::repository().join("viscripts")).unwrap();
    let mut command = format!("lint {batch}");
    for entry in viscripts {
        let name = entry.unwrap().file_name();
        command.push_str(&format!(" /run/viscripts/{}", name.to_str().unwrap()));
    }
    let ran = disk.run_inside(&command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.ends_with(" 0 problems\n"), "{ran:?}");
}

/// Writes a batch, looks at it, plans it, and migrates by it; the plan's subvolumes.
fn assert_migrates(kind: Kind, template: &str, prepare: impl FnOnce(&Path)) -> Vec<String> {
    let mut disk = Disk::with_system_of(kind);
    disk.in_old(prepare);
    let ran = disk.run_inside(&format!("new --template {template} --output /root.json"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("rootshift plan --batch /root.json"),
        "{ran:?}"
    );
    assert_clean(&disk, "/root.json");
    for command in ["check", "plan"] {
        let ran = disk.run_inside(&format!("{command} --batch /root.json"));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let text = disk.in_old(|old| fs::read_to_string(old.join("root.json")).unwrap());
    assert!(
        text.contains(&disk.uuid),
        "the file system is named: {text}"
    );
    disk.use_batch(&text);
    let plan = disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::Committed);
    plan.subvolumes().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_flat_root_is_migrated_by_its_template() {
    let subvolumes = assert_migrates(Kind::Flat, "flat-to-subvolumes", |old| {
        fs::create_dir_all(old.join("srv/www")).unwrap();
    });
    assert_eq!(subvolumes, ["@", "@home", "@var_log", "@srv"]);
}

#[test]
fn a_root_in_one_subvolume_is_migrated_by_its_template() {
    let subvolumes = assert_migrates(Kind::Rootfs, "debian-rootfs", |_| {});
    assert_eq!(subvolumes, ["@", "@home", "@var_log"]);
}

#[test]
fn models_and_data_sets_on_the_root_are_migrated_by_their_template() {
    let subvolumes = assert_migrates(Kind::Flat, "ml-workstation", |old| {
        for path in ["models/one", "data/datasets/two"] {
            fs::create_dir_all(old.join(path)).unwrap();
        }
    });
    let wanted = ["@", "@home", "@var_log", "@models", "@data_datasets"];
    assert_eq!(subvolumes, wanted);
}

#[test]
fn without_an_output_it_is_printed_and_a_file_is_never_overwritten() {
    let disk = Disk::with_system();
    let ran = disk.run_inside("new --template flat-to-subvolumes");
    assert_eq!(ran.code, 0, "{ran:?}");
    let batch: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        batch["layout"]["filesystems"][0]["subvolumes"][1]["name"],
        "@home"
    );
    disk.mounted(|top| fs::write(top.join("mine.json"), "mine").unwrap());
    let ran = disk.run_inside("new --template flat-to-subvolumes --output /mine.json");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("/mine.json is there already"),
        "{ran:?}"
    );
    let kept = disk.mounted(|top| fs::read_to_string(top.join("mine.json")).unwrap());
    assert_eq!(kept, "mine");
}

#[test]
fn a_template_that_does_not_fit_is_refused_in_one_line() {
    let disk = Disk::with_system();
    for (template, code, part) in [
        ("ext4-in-place", 4, "use --template flat-to-subvolumes"),
        ("ext4-to-disk", 4, "use --template flat-to-subvolumes"),
        ("debian-rootfs", 4, "use --template flat-to-subvolumes"),
        ("flat", 2, "no template flat: there are flat-to-subvolumes"),
    ] {
        let ran = disk.run_inside(&format!("new --template {template} --output /x.json"));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(disk.mounted(|top| !top.join("x.json").exists()));
    }
}
