//! The commands on a system that is ready, and on each that is not: one clear line that names the
//! thing and the remedy, the documented exit status, and nothing changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, assert_same, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;

fn path(top: &Path, inside: &str) -> String {
    top.join(inside).to_str().unwrap().to_owned()
}

/// `check` must refuse with exactly this finding, and leave every file as it was.
fn assert_refused(disk: &Disk, wanted: &[&str]) {
    let before = disk.old_manifest();
    let ran = disk.run_inside("check");
    let line = ran.only_failure();
    for part in wanted {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
    assert!(line.contains("; "), "no remedy in: {line}");
    assert_same(&before, &disk.old_manifest());
    assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
}

fn spoilt(spoil: impl FnOnce(&Path)) -> Disk {
    let disk = Disk::with_system();
    disk.mounted(spoil);
    disk
}

#[test]
fn a_healthy_system_is_ready() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        let ran = disk.run_inside("check");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("Ready."), "{ran:?}");
        assert!(!ran.stdout.contains("FAIL"), "{ran:?}");
    }
}

fn assert_root_refused(spoil: &dyn Fn(&Path), root: &str, wanted: &[&str]) {
    let mut disk = Disk::with_system_of(Kind::Rootfs);
    disk.mounted(spoil);
    disk.mounted_as = Some(root.to_owned());
    let ran = disk.run_inside("check");
    let line = ran.only_failure();
    assert!(wanted.iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn a_root_in_a_subvolume_that_can_not_be_moved_is_refused() {
    type Move<'a> = &'a dyn Fn(&Path);
    let rename = |top: &Path, to: &str| fs::rename(top.join("@rootfs"), top.join(to)).unwrap();
    let cases: [(Move, &str, &[&str]); 6] = [
        (
            &|top| rename(top, "@"),
            "@",
            &["the root is the subvolume @ already"],
        ),
        (
            &|top| {
                fs::create_dir(top.join("systems")).unwrap();
                rename(top, "systems/debian");
            },
            "systems/debian",
            &["the root is systems/debian, not at the top level"],
        ),
        (
            &|top| rename(top, "my root"),
            "my root",
            &["\"my root\" is unusual"],
        ),
        (
            &|top| {
                drop(run(
                    "btrfs",
                    &["-q", "subvolume", "create", &path(top, "@home")],
                ))
            },
            "@rootfs",
            &["a subvolume named @home is at the top level already"],
        ),
        (
            &|top| fs::write(top.join(".@rootfs.rootshift"), "").unwrap(),
            "@rootfs",
            &[".@rootfs.rootshift is at the top level already"],
        ),
        (
            &|top| {
                let config = top.join("@rootfs/boot/grub/grub.cfg");
                let text = fs::read_to_string(&config).unwrap();
                fs::write(config, text.replace("rootflags=subvol=@rootfs", "")).unwrap();
            },
            "@rootfs",
            &["/@/@rootfs/boot/vmlinuz", "does not exist", "update-grub"],
        ),
    ];
    for (spoil, root, wanted) in cases {
        assert_root_refused(spoil, root, wanted);
    }
}

#[test]
fn a_subvolume_of_the_layouts_name_is_refused() {
    let disk = spoilt(|top| {
        run("btrfs", &["-q", "subvolume", "create", &path(top, "@")]);
    });
    assert_refused(
        &disk,
        &[
            "a subvolume named @ is at the top level already",
            "mv -T /mnt/@ /mnt/@.old",
        ],
    );
}

#[test]
fn a_directory_of_the_layouts_name_is_refused() {
    let disk = spoilt(|top| fs::create_dir(top.join("@home")).unwrap());
    assert_refused(
        &disk,
        &[
            "a file or directory named @home",
            "mv -T /mnt/@home /mnt/@home.old",
        ],
    );
}

#[test]
fn an_immutable_boot_fstab_or_home_is_refused() {
    for (file, flag) in [
        ("boot", "i"),
        ("etc/fstab", "i"),
        ("home", "i"),
        ("home/user", "a"),
    ] {
        let disk = spoilt(|top| {
            run("chattr", &[&format!("+{flag}"), &path(top, file)]);
        });
        assert_refused(
            &disk,
            &[&format!("/{file} is"), &format!("chattr -{flag} /{file}")],
        );
        disk.mounted(|top| run("chattr", &[&format!("-{flag}"), &path(top, file)]));
    }
}

#[test]
fn a_swap_file_is_refused() {
    let disk = spoilt(|top| {
        let fstab = top.join("etc/fstab");
        let text = fs::read_to_string(&fstab).unwrap() + "/swap.img none swap sw 0 0\n";
        fs::write(fstab, text).unwrap();
    });
    assert_refused(&disk, &["/swap.img", "swapoff /swap.img"]);
}

#[test]
fn a_hard_link_out_of_a_future_subvolume_is_refused() {
    let disk = spoilt(|top| {
        fs::hard_link(top.join("home/user/files/9"), top.join("var/lib/linked")).unwrap();
    });
    assert_refused(&disk, &["hard links", "/home/user/files/9", "cp -a"]);
}

#[test]
fn a_full_disk_is_refused() {
    let disk = spoilt(|top| {
        let ballast = top.join("ballast");
        fs::write(&ballast, vec![7u8; 8 << 20]).unwrap();
        run("sync", &[]);
        let mut file = fs::File::create(top.join("filler")).unwrap();
        let piece = vec![7u8; 1 << 20];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        let _ = file.sync_all();
        fs::remove_file(ballast).unwrap();
        run("sync", &[]);
        // The refused write has moved the time in memory, and there was no room to write that down.
        file.set_modified(std::time::SystemTime::now()).unwrap();
        file.sync_all().unwrap();
    });
    assert_refused(
        &disk,
        &["MiB of metadata space are free on /", "btrfs balance"],
    );
}

#[test]
fn a_grub_config_that_boots_something_else_is_refused() {
    let disk = spoilt(|top| {
        fs::write(
            top.join("boot/grub/grub.cfg"),
            "menuentry 'x' {\n\tchainloader +1\n}\n",
        )
        .unwrap();
    });
    assert_refused(&disk, &["/boot/grub/grub.cfg", "update-grub"]);
}

#[test]
fn a_system_without_initramfs_tools_is_refused() {
    let disk = spoilt(|top| fs::remove_dir_all(top.join("usr/share/initramfs-tools")).unwrap());
    assert_refused(
        &disk,
        &["not made by initramfs-tools", "apt install initramfs-tools"],
    );
}

#[test]
fn a_root_that_is_not_btrfs_is_refused_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("ext4.img");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
    let target = folder.path().join("root");
    fs::create_dir(&target).unwrap();
    run(
        "mount",
        &[
            "-o",
            "loop",
            image.to_str().unwrap(),
            target.to_str().unwrap(),
        ],
    );
    let survey = rootshift::engine::survey::Survey::of(&target);
    let layout = rootshift::documents::Layout::default();
    let context = survey
        .as_ref()
        .map(|survey| survey.context(&layout))
        .unwrap();
    let check = rootshift::documents::CheckSpec::FlatBtrfsRoot {};
    let outcome = rootshift::checks::look(&check, &context).unwrap();
    drop(survey);
    run("umount", &[target.to_str().unwrap()]);
    let rootshift::checks::Outcome::Fail { problem, remedy } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        problem.contains("is ext4") && remedy.contains("not supported yet"),
        "{problem}"
    );
}

#[test]
fn a_typo_in_a_batch_is_named_with_its_place() {
    let mut disk = Disk::with_system();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typo.json");
    let text = fs::read_to_string(common::repository().join("batches/flat-to-subvolumes.json"));
    let text = text.unwrap().replace("rollback_enabled", "rolback_enabled");
    fs::write(&file, &text).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains("rolback"))
        .unwrap()
        + 1;
    let place = format!("/run/typo.json:{line}:");
    disk.batch = Some(file);
    for command in ["check", "plan", "arm --yes"] {
        let ran = disk.run_inside(&format!("{command} --batch /run/typo.json"));
        assert_eq!(ran.code, 2, "{ran:?}");
        ran.assert_one_line(&[
            &place,
            "rolback_enabled",
            "did you mean `rollback_enabled`?",
        ]);
        assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
    }
}

#[test]
fn a_batch_that_does_not_exist_is_named() {
    let disk = Disk::with_system();
    let ran = disk.run_inside("plan --batch flat-to-subvolume");
    assert_eq!(ran.code, 2, "{ran:?}");
    ran.assert_one_line(&[
        "no batch named flat-to-subvolume",
        "/usr/share/rootshift/batches",
    ]);
}

#[test]
fn without_roots_rights_nothing_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("rootshift");
    fs::copy(env!("CARGO_BIN_EXE_rootshift"), &binary).unwrap();
    run("chmod", &["-R", "a+rx", folder.path().to_str().unwrap()]);
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([binary.to_str().unwrap(), "check"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        "rootshift: this needs root's rights; run it with sudo\n"
    );
}

#[test]
fn a_device_that_does_not_exist_is_an_ordinary_boot() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    let device = std::mem::replace(&mut disk.device, "/dev/nothing-of-this-name".into());
    assert_eq!(disk.boot(), 0);
    disk.device = device;
    assert_eq!(disk.root_flags(), None);
}

#[test]
fn a_damaged_journal_is_named_with_its_remedy() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    let journal = |top: &Path| top.join(".rootshift/journal");
    let whole = disk.mounted(|top| fs::read(journal(top)).unwrap());
    for record in 0..whole.len() / 512 {
        let mut bytes = whole.clone();
        bytes[record * 512 + 99] ^= 1;
        disk.mounted(|top| fs::write(journal(top), &bytes).unwrap());
        for command in ["status", "log", "rollback --yes"] {
            let ran = disk.run_inside(command);
            assert_eq!(ran.code, 3, "{ran:?}");
            ran.assert_one_line(&["damaged at byte", "disarm --discard-journal"]);
            assert_eq!(disk.mounted(|top| fs::read(journal(top)).unwrap()), bytes);
        }
    }
}

#[test]
fn status_and_log_say_where_it_stands() {
    let disk = Disk::with_system();
    let ran = disk.run_inside("status");
    assert!(ran.stdout.contains("Nothing is armed"), "{ran:?}");
    let ran = disk.run_inside("log");
    assert_eq!(ran.code, 4, "{ran:?}");
    disk.arm(After::Reboot);
    let ran = disk.run_inside("status");
    let next = ran.stdout.split("Next ").nth(1).unwrap();
    let lines: Vec<&str> = next.lines().map(str::trim).collect();
    assert!(
        lines.contains(&"reboot") && lines.contains(&"rootshift disarm"),
        "{ran:?}"
    );
    disk.boot();
    let ran = disk.run_inside("log");
    assert!(
        ran.stdout.contains("COMMITTED: the new system is root"),
        "{ran:?}"
    );
    let ran = disk.run_inside("status --json");
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status["stage"], "committed");
}

#[test]
fn finalize_waits_for_a_validated_system() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    let ran = disk.run_inside("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    disk.boot();
    // From the old system there is nothing to be validated: the new one has to run.
    let ran = disk.run_inside("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["has not passed its validation", "reboot"]);
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["has not passed its validation", "rootshift validate"]);
}

#[test]
fn the_plan_lists_what_the_journal_then_shows_as_done() {
    let disk = Disk::with_system();
    let ran = disk.run_inside("plan --json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let planned: Vec<&str> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["id"].as_str().unwrap())
        .collect();
    disk.arm(After::Reboot);
    disk.boot();
    let ran = disk.run_inside("log --json");
    let log: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let done: Vec<&str> = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["record"] == "done")
        .map(|record| record["step"].as_str().unwrap())
        .collect();
    assert_eq!(planned, done);
}

#[test]
fn the_report_has_the_seeds_form() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.boot();
    let ran = disk.run_inside("report --json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let log = &report["execution_log"];
    assert_eq!(log["batch_id"], "flat-to-subvolumes_20231218_143022");
    assert_eq!(log["start_time"], "2023-12-18T14:30:22Z");
    let status = |name: &str| {
        let phases = log["phases"].as_array().unwrap();
        let phase = phases.iter().find(|phase| phase["name"] == name).unwrap();
        let duration = phase["duration"].as_str().unwrap();
        assert!(
            duration.strip_suffix('s').unwrap().parse::<u64>().is_ok(),
            "{duration}"
        );
        phase["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status("core_installation"), "completed");
    assert_eq!(status("pre_reboot_validation"), "completed");
    assert_eq!(status("post_installation_validation"), "pending");
    let proof = &log["phases"][2]["viScripts"][0];
    assert_eq!(proof["name"], "btrfs_pre_reboot_validation_viScript.json");
    assert_eq!(
        (&proof["status"], &proof["checks_passed"]),
        (&"success".into(), &3.into())
    );
    assert_eq!(proof["checks_failed"], 0);
}

#[test]
fn a_failed_proof_is_failed_in_the_report() {
    let disk = Disk::with_system();
    disk.mounted(common::make_the_proof_fail);
    disk.arm(After::Reboot);
    disk.boot();
    let ran = disk.run_inside("report --json");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let phase = &report["execution_log"]["phases"][2];
    assert_eq!(phase["status"], "failed");
    assert_eq!(phase["success_rate"], 0);
    assert_eq!(phase["viScripts"][0]["checks_failed"], 1);
}

/// A moved system on trial, as a boot leaves it.
fn on_trial() -> Disk {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    assert_eq!(disk.stage(), Stage::Committed);
    disk
}

/// `validate` does not pass any more.
fn spoil_fstab(disk: &Disk) {
    disk.mounted(|top| {
        let fstab = top.join("@/etc/fstab");
        let text = fs::read_to_string(&fstab).unwrap();
        let lines = text.lines().filter(|line| !line.contains("subvol=@home"));
        let without: Vec<&str> = lines.collect();
        fs::write(&fstab, without.join("\n") + "\n").unwrap();
    });
}

#[test]
fn a_validation_that_says_the_same_again_is_not_recorded_again() {
    let disk = on_trial();
    spoil_fstab(&disk);
    let validate = || {
        let ran = disk.run_booted_with(&disk.new_command_line(), true, "validate");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("rootshift rollback"), "{ran:?}");
        disk.records().len()
    };
    let before = disk.records().len();
    let first = validate();
    assert!(first > before, "{first}");
    let records = disk.records();
    assert!(matches!(records.last(), Some(Record::NotValidated { .. })));
    assert_eq!(validate(), first);
    assert_eq!(validate(), first);
    // Another boot is another verdict.
    disk.record([Record::Trial { number: 2 }]);
    let second = validate();
    assert_eq!(second, first + 1 + (first - before));
    // What is to be mended now is another thing.
    disk.mounted(|top| fs::write(top.join("@/boot/grub/grub.cfg"), "").unwrap());
    assert!(validate() > second);
}

#[test]
fn a_way_back_is_promised_only_where_there_is_one() {
    for records in [
        vec![Record::FinalizeBegun],
        vec![Record::FinalizeBegun, Record::Finalized { entries: 1 }],
    ] {
        let disk = on_trial();
        disk.record([common::validated()]);
        disk.record(records);
        spoil_fstab(&disk);
        let ran = disk.run_booted_with(&disk.new_command_line(), true, "validate");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("Not as planned"), "{ran:?}");
        assert!(!ran.stdout.contains("rootshift rollback"), "{ran:?}");
    }
}
