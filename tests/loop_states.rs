//! No dead end, and no promise that the next boot does not keep: commands in states that other
//! commands, a broken update-initramfs or a cut have left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{Disk, Kind, Ran, armed, mounted_by_the_kernel, on_trial, validated};
use rootshift::documents::plan::JOURNAL;
use rootshift::engine::Stage;

/// The boot loader alone has booted the new system.
fn rehearsed(disk: &mut Disk) {
    disk.record([validated()]);
    disk.rehearse();
    disk.mounted_as = Some("@".into());
}

fn finalize(disk: &Disk) -> Ran {
    disk.run_booted_with(&disk.new_command_line(), true, "finalize --yes")
}

fn sound(ran: &Ran) {
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Row 8 of issue S: images are ordinary by half when `rollback` promises that the next boot goes back.
#[test]
fn a_rollback_after_a_finalize_that_broke_off_at_the_images_goes_back() {
    for (kind, image) in [(Kind::Flat, 0), (Kind::Flat, 1), (Kind::Rootfs, 0)] {
        let mut disk = on_trial(kind);
        rehearsed(&mut disk);
        disk.stop_images_after("@", Some(1));
        let ran = finalize(&disk);
        assert_eq!((ran.code, disk.stage()), (3, Stage::Rehearsed), "{ran:?}");
        disk.stop_images_after("@", None);
        let ran = disk.run_inside("rollback --yes");
        sound(&ran);
        assert!(ran.says("the next boot goes back"), "{ran:?}");
        let start = disk.start(image);
        let commands = [
            "finalize --yes",
            "disarm",
            "rollback --yes",
            "recover --yes",
        ];
        let said: Vec<String> = commands
            .map(|command| format!("{command}: {:?}", disk.run_inside(command)))
            .to_vec();
        assert_eq!(
            start.root,
            kind.root(),
            "{kind:?}, image {image}: {said:#?}"
        );
    }
}

/// Images that can't be made now are no reason to promise what does not come.
#[test]
fn a_rollback_whose_images_can_not_be_made_promises_nothing() {
    let mut disk = on_trial(Kind::Flat);
    rehearsed(&mut disk);
    disk.stop_images_after("@", Some(1));
    let ran = finalize(&disk);
    assert_eq!((ran.code, disk.stage()), (3, Stage::Rehearsed), "{ran:?}");
    let ran = disk.run_inside("rollback --yes");
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_ne!(disk.stage(), Stage::RollbackRequested);
    disk.stop_images_after("@", None);
    sound(&disk.run_inside("rollback --yes"));
    assert_eq!(disk.start(0).root, "");
}

/// Row 10: a sound journal is nobody's to throw away.
#[test]
fn a_sound_journal_is_not_discarded() {
    for (disk, remedy) in [
        (armed(Kind::Flat), "rootshift disarm"),
        (on_trial(Kind::Flat), "rootshift rollback"),
    ] {
        let before = disk.mounted(|top| fs::read(top.join(JOURNAL)).unwrap());
        let ran = disk.run_inside("disarm --discard-journal");
        assert_eq!(ran.code, 4, "{ran:?}");
        ran.assert_one_line(&["sound", remedy]);
        let after = disk.mounted(|top| fs::read(top.join(JOURNAL)).unwrap());
        assert!(before == after);
    }
}

#[test]
fn a_journal_that_somebody_works_on_is_not_discarded() {
    let disk = armed(Kind::Flat);
    let ran = disk.while_held(|| disk.run_inside("disarm --discard-journal --yes"));
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["another rootshift is at work"]);
    assert_eq!(disk.stage(), Stage::Armed);
}

fn damage(disk: &Disk) {
    disk.mounted(|top| {
        let mut bytes = fs::read(top.join(JOURNAL)).unwrap();
        bytes[700] ^= 16;
        fs::write(top.join(JOURNAL), bytes).unwrap();
    });
}

#[test]
fn a_damaged_journal_is_not_discarded_without_a_yes() {
    let disk = armed(Kind::Flat);
    damage(&disk);
    let ran = disk.run_inside("disarm --discard-journal");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("--yes"), "{ran:?}");
    assert!(disk.mounted(|top| top.join(JOURNAL).exists()));
    sound(&disk.run_inside("disarm --discard-journal --yes"));
    assert!(
        disk.images()
            .iter()
            .all(|image| !image.contains("usr/sbin/rootshift"))
    );
}

/// Row 14.
#[test]
fn a_rollback_while_armed_asks() {
    let disk = armed(Kind::Flat);
    let ran = disk.run_inside("rollback");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(disk.stage(), Stage::Armed);
    sound(&disk.run_inside("rollback --yes"));
    assert_eq!(disk.stage(), Stage::Disarmed);
}

/// Row 14.
#[test]
fn blockers_are_json_where_json_was_asked_for() {
    let disk = Disk::with_images(Kind::Flat);
    disk.mounted(|top| fs::remove_dir_all(top.join("usr/share/initramfs-tools")).unwrap());
    let ran = disk.run_inside("arm --yes --json");
    assert_eq!(ran.code, 1, "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stdout);
    let findings = told["findings"].as_array().unwrap();
    assert!(
        findings.iter().any(|finding| finding["verdict"] == "fail"),
        "{told:#}"
    );
}

fn text(path: impl AsRef<std::path::Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// snapper, or a person, makes the new system's subvolume the default one; the old system's kernel
/// line and its fstab name none.
#[test]
fn an_old_system_that_was_gone_back_to_boots_whatever_is_the_default_subvolume() {
    let mut disk = on_trial(Kind::Flat);
    disk.mounted(|top| common::run("btrfs", &["subvolume", "set-default", &text(top.join("@"))]));
    let ran = disk.run_inside("rollback --yes");
    if ran.code != 0 {
        assert!(ran.stderr.contains("set-default"), "{ran:?}");
        return;
    }
    assert_eq!(disk.start(0).root, "");
    let ran = disk.run_inside("disarm");
    if ran.code != 0 {
        assert!(ran.stderr.contains("set-default"), "{ran:?}");
        return;
    }
    let status = disk.run_inside("status");
    // root=UUID=… ro, and nothing else: /proc/cmdline of the old system.
    let root = mounted_by_the_kernel(&disk, "ro");
    let wanted = Some(("/".to_owned(), true));
    assert_eq!(root, wanted, "{}{}", ran.stdout, status.stdout);
}

/// Somebody made room, or tidied up, by hand: there is nothing to go back to.
#[test]
fn no_boot_goes_back_to_an_old_system_that_is_gone() {
    let mut failed = Vec::new();
    for (kind, asked) in [
        (Kind::Flat, true),
        (Kind::Flat, false),
        (Kind::Rootfs, true),
        (Kind::Rootfs, false),
    ] {
        let disk = on_trial(kind);
        disk.delete_old_system();
        let stays = disk.run_inside("package --before-removal");
        stays.assert_one_line(&["not removed", "only rootshift can end it"]);
        assert!(!stays.stderr.contains("rollback"), "{stays:?}");
        let mut promised = String::new();
        if asked {
            let ran = disk.run_inside("rollback --yes");
            promised = format!("{} {}", ran.stdout.trim(), ran.stderr.trim());
        }
        for boot in 1..=4 {
            disk.boot();
            let flags = disk.root_flags().unwrap_or_else(|| "subvol=@".into());
            let root = mounted_by_the_kernel(&disk, &format!("ro,{flags}"));
            if !matches!(root, Some((_, true))) {
                failed.push(format!(
                    "{kind:?}, asked for: {asked} ({promised}); boot {boot} names {flags}: {root:?}, \
                     {:?}; beside it {:?}",
                    disk.stage(),
                    disk.mounted(|top| top.join("@.rolled-back-1/usr").exists()),
                ));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The old system's own name was given to something else since: that is not the old system.
#[test]
fn a_boot_that_goes_back_boots_the_old_system_and_not_what_has_its_name() {
    let disk = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        common::write(&top.join("@"), "etc/new-system", "made in the new system");
        fs::remove_file(top.join("@rootfs")).unwrap();
        let (from, to) = (text(top.join("@")), text(top.join("@rootfs")));
        common::run("btrfs", &["-q", "subvolume", "snapshot", &from, &to]);
    });
    let ran = disk.run_inside("rollback --yes");
    if ran.code != 0 {
        return;
    }
    disk.boot();
    let flags = disk.root_flags().unwrap_or_else(|| "subvol=@".into());
    let named = flags.trim_start_matches("subvol=").to_owned();
    let is_new = disk.mounted(|top| top.join(&named).join("etc/new-system").exists());
    let told = (disk.stage(), flags);
    assert!(told.0 != Stage::RolledBack || !is_new, "{told:?}");
}

/// Hardening guides make /var/log append-only.
#[test]
fn a_rollback_ends_whatever_attributes_the_new_subvolumes_have() {
    for (attribute, subvolume) in [("+a", "@var_log"), ("+i", "@home"), ("+i", "@")] {
        let mut disk = on_trial(Kind::Flat);
        disk.mounted(|top| common::run("chattr", &[attribute, &text(top.join(subvolume))]));
        let ran = disk.run_inside("rollback --yes");
        if ran.code != 0 {
            assert!(ran.stderr.contains("chattr"), "{ran:?}");
            continue;
        }
        let roots: Vec<String> = (0..3).map(|_| disk.start(0).root).collect();
        let said: Vec<String> = ["status", "rollback --yes", "recover --yes", "disarm"]
            .map(|command| format!("{command}: {:?}", disk.run_inside(command)))
            .to_vec();
        let stage = disk.stage();
        disk.mounted(|top| {
            let unlock = ["-f", "-i", "-a", &text(top.join(subvolume))];
            let _ = std::process::Command::new("chattr").args(unlock).output();
        });
        let told = said.iter().any(|said| said.contains("chattr"));
        assert!(
            stage == Stage::RolledBack || told,
            "{stage:?} after {roots:?}: {said:#?}"
        );
    }
}

/// A second disk is added to the new system's file system: no copy, and nothing to be detached.
#[test]
fn a_file_system_that_got_a_second_device_goes_back_or_promises_nothing() {
    let mut disk = on_trial(Kind::Rootfs);
    let second = disk.folder.join("second.img");
    fs::File::create(&second)
        .unwrap()
        .set_len(300 << 20)
        .unwrap();
    let device = common::run("losetup", &["--find", "--show", &text(&second)]);
    disk.mounted(|top| common::run("btrfs", &["device", "add", "-f", &device, &text(top)]));
    let view = disk.folder.join("view");
    fs::create_dir_all(&view).unwrap();
    for (name, file) in [("one", &disk.image), ("two", &second)] {
        let bytes = fs::read(file).unwrap();
        fs::write(view.join(name), &bytes[..1 << 20]).unwrap();
    }
    disk.view = Some(view);
    let ran = disk.run_inside("rollback --yes");
    let said = format!("{} {}", ran.stdout.trim(), ran.stderr.trim());
    disk.boot_with("subvol=@");
    let stage = disk.stage();
    let log = disk.boot_log();
    disk.view = None;
    let _ = std::process::Command::new("losetup")
        .args(["-d", &device])
        .status();
    let last = log.lines().rfind(|line| line.starts_with("rootshift!"));
    let last = last.unwrap_or_default();
    assert!(
        !log.contains("detach the copy"),
        "{said}: {stage:?}; {last}"
    );
    assert!(
        ran.code != 0 || stage == Stage::RolledBack,
        "{said}: {stage:?}; {last}"
    );
}

/// A kernel that was installed in the new system is what GRUB has loaded in the boot that goes back:
/// the old system has no modules for it.
#[test]
fn a_boot_that_goes_back_restarts_where_the_old_system_has_no_modules_for_its_kernel() {
    let release = common::run("uname", &["-r"]);
    for kind in Kind::ALL {
        let disk = on_trial(kind);
        disk.mounted(|top| {
            let dep = format!("lib/modules/{release}/modules.dep");
            common::write(&top.join("@"), &dep, "");
            let old = match kind {
                Kind::Flat => top.to_owned(),
                Kind::Rootfs => top.join(".@rootfs.rootshift"),
            };
            common::write(&old, "lib/modules/6.1.0-1-amd64/modules.dep", "");
        });
        sound(&disk.run_inside("rollback --yes"));
        let code = disk.boot();
        assert_eq!(disk.stage(), Stage::RolledBack);
        assert_eq!(
            code,
            common::WOULD_REBOOT,
            "{kind:?}: goes on with {:?} under the kernel {release}",
            disk.root_flags()
        );
    }
}

/// `check`'s own remedy for a copy is `btrfstune` on it: whoever keeps that copy is left with one
/// that can neither go on nor back.
#[test]
fn a_copy_with_a_uuid_of_its_own_promises_nothing_that_no_boot_does() {
    let mut disk = on_trial(Kind::Flat);
    disk.record([validated()]);
    let (old, new) = (disk.uuid.clone(), disk.uuid.replace("5a1f3c0e", "6b1f3c0e"));
    common::run("losetup", &["-d", &disk.device]);
    common::run("btrfstune", &["-M", &new, &text(&disk.image)]);
    let image = disk.folder.join("copy.img");
    fs::rename(&disk.image, &image).unwrap();
    fs::File::create(&disk.image).unwrap();
    disk.uuid.clone_from(&new);
    disk.device = common::run("losetup", &["--find", "--show", &text(&image)]);
    disk.mounted(|top| {
        let boot = ["@/boot/grub/grub.cfg", ".boot.rootshift/grub/grub.cfg"];
        for file in ["@/etc/fstab", "etc/fstab"].iter().chain(&boot) {
            let text = fs::read_to_string(top.join(file)).unwrap();
            fs::write(top.join(file), text.replace(&old, &new)).unwrap();
        }
    });
    let ran = disk.run_inside("rollback --yes");
    disk.boot_with("subvol=@");
    let stage = disk.stage();
    let commands = [
        "status",
        "validate",
        "finalize --yes",
        "disarm",
        "recover --yes",
    ];
    let discard = ["disarm --discard-journal --yes"];
    let said: Vec<String> = commands
        .iter()
        .chain(&discard)
        .map(|command| format!("{command}: {:?}", disk.run_inside(command)))
        .collect();
    assert!(
        ran.code != 0 || stage == Stage::RolledBack,
        "{} {stage:?}: {said:#?}",
        ran.stdout
    );
}
