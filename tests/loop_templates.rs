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
use rootshift::journal::Record;
use rootshift::tree::compare;

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

fn others(disk: &Disk) -> [String; 2] {
    disk.mounted(|top| {
        let its_own = |name| fs::read_to_string(top.join(name).join("its own"));
        ["@", "@home"].map(|name| its_own(name).unwrap())
    })
}

fn beside_another_system() -> Disk {
    let disk = Disk::with_system_of(Kind::Rootfs);
    disk.mounted(|top| {
        for name in ["@", "@home"] {
            let path = top.join(name);
            common::run(
                "btrfs",
                &["-q", "subvolume", "create", path.to_str().unwrap()],
            );
            fs::write(path.join("its own"), "another system's").unwrap();
        }
    });
    disk
}

/// What `check` names as the way out where another system has the name `@`, to its end.
#[test]
fn beside_another_system_that_has_the_name_it_goes_under_a_free_one() {
    let mut disk = beside_another_system();
    let said = disk.run_inside("check");
    let remedy = "`rootshift new --template debian-rootfs --output FILE`";
    assert!(said.code == 1 && said.stdout.contains(remedy), "{said:?}");
    let ran = disk.run_inside("new --template debian-rootfs --output /root.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = disk.run_inside("check --batch /root.json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let before = disk.old_manifest();
    let text = disk.in_old(|old| fs::read_to_string(old.join("root.json")).unwrap());
    disk.use_batch(&text);
    let plan = disk.arm(After::Reboot);
    assert_eq!(plan.subvolumes(), ["@_1", "@home_1", "@var_log"]);
    assert_eq!(disk.boot(), WOULD_REBOOT, "{}", disk.boot_log());
    assert_eq!(disk.boot(), 0, "{}", disk.boot_log());
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@_1"));
    assert_eq!(others(&disk), ["another system's"; 2]);
    disk.record([common::validated()]);
    assert_eq!(disk.boot_with("subvol=@_1"), 0, "{}", disk.boot_log());
    assert_eq!(disk.stage(), Stage::Rehearsing, "{}", disk.boot_log());
    let line = disk.new_command_line().replace("@", "@_1");
    let split_off = "@home_1=/home @var_log=/var/log";
    let ran = disk.run_booted_as("@_1", split_off, &line, true, "validate");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Rehearsed), "{ran:?}");
    // Back, and the very files are there.
    let kept = disk.keep_copy("rehearsed.img");
    disk.record([common::rollback_requested()]);
    disk.boot();
    assert_eq!(disk.stage(), Stage::RolledBack, "{}", disk.boot_log());
    common::assert_same(&before, &disk.old_manifest());
    assert_eq!(others(&disk), ["another system's"; 2]);
    // Or to the end: what is the other system's own stays.
    disk.restore(&kept);
    disk.record([Record::Disarmed]);
    disk.mounted(|top| {
        let new = top.join("@_1");
        fs::create_dir_all(new.join("var/lib/rootshift")).unwrap();
        common::install(&new, "/bin/echo", "systemctl");
        for program in ["update-initramfs", "lsinitramfs"] {
            common::install(&new, "/bin/true", program);
        }
    });
    let ran = disk.run_booted_as("@_1", split_off, &line, true, "finalize --yes");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Finalized), "{ran:?}");
    assert_eq!(others(&disk), ["another system's"; 2]);
    disk.mounted(|top| {
        let mut new = common::manifest(top, "@_1");
        for (at, name) in [("home", "@home_1"), ("var/log", "@var_log")] {
            new.graft(Path::new(at), common::manifest(top, name))
                .unwrap();
        }
        let ours = |path: &Path| common::is_ours(path) || path.starts_with("var/lib/rootshift");
        let options = compare::Options {
            ignore: &ours,
            ignore_difference: &common::is_expected,
        };
        let lost = compare::compare(&before, &new, &options);
        assert!(lost.missing.is_empty(), "{lost:#?}");
    });
    disk.check();
}
