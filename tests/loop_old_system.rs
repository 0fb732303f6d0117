//! What people do to the old system while it is kept: a way back is promised only to one that is
//! there, and what stands in the way is put right or named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Disk, Kind, Ran, mounted_by_the_kernel, on_trial};
use rootshift::engine::Stage;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

fn said(ran: &Ran) -> String {
    format!("[{}] {} {}", ran.code, ran.stdout.trim(), ran.stderr.trim())
}

/// Follows a path from the top level as GRUB does: across subvolumes and symlinks.
fn as_grub_finds(top: &Path, path: &str) -> Option<PathBuf> {
    let mut found = top.to_path_buf();
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part.is_empty() || part == "." {
            continue;
        }
        if part == ".." {
            found.pop();
            continue;
        }
        let next = found.join(&part);
        let kind = fs::symlink_metadata(&next).ok()?;
        if kind.is_symlink() {
            links += 1;
            if links > 8 {
                return None;
            }
            let target = text(fs::read_link(&next).unwrap());
            if target.starts_with('/') {
                found = top.to_path_buf();
            }
            todo.extend(target.split('/').rev().map(str::to_owned));
            continue;
        }
        found = next;
    }
    Some(found)
}

/// Why GRUB with this prefix can't load a kernel and an image; else the kernel line's rootflags.
fn grub(disk: &Disk, prefix: &str) -> Result<String, String> {
    disk.mounted(|top| {
        let read = |path: &str| {
            let found = as_grub_finds(top, path).ok_or(format!("grub: no {path}"))?;
            let text = fs::read_to_string(&found).map_err(|cause| format!("{path}: {cause}"))?;
            if text.is_empty() {
                return Err(format!("grub: {path} is empty"));
            }
            Ok(text)
        };
        let config = read(&format!("{prefix}/grub.cfg"))?;
        let mut flags = String::new();
        for line in config.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["linux", kernel, rest @ ..] => {
                    read(kernel)?;
                    let given = rest.iter().find_map(|word| word.strip_prefix("rootflags="));
                    flags = given.unwrap_or_default().to_owned();
                }
                ["initrd", image, ..] => {
                    read(image)?;
                    return Ok(flags);
                }
                _ => {}
            }
        }
        Err("grub: no entry".into())
    })
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Flat => "/boot/grub",
        Kind::Rootfs => "/@rootfs/boot/grub",
    }
}

/// One power-on: what came of it, by independent means.
fn power_on(disk: &Disk) -> Result<String, String> {
    for _ in 0..3 {
        let given = grub(disk, prefix(disk.kind))?;
        let code = disk.boot_with(&given);
        if code == common::WOULD_REBOOT {
            continue;
        }
        let flags = disk.root_flags().unwrap_or(given);
        let options = if flags.is_empty() {
            "ro".into()
        } else {
            format!("ro,{flags}")
        };
        return match mounted_by_the_kernel(disk, &options) {
            Some((root, true)) => Ok(root),
            other => Err(format!("{flags}: {other:?}")),
        };
    }
    Err("restarts for ever".into())
}

fn old_kept(kind: Kind) -> &'static str {
    match kind {
        Kind::Flat => ".boot.rootshift",
        Kind::Rootfs => ".@rootfs.rootshift",
    }
}

/// Starts the machine, which runs what comes up from then on.
fn follow(disk: &mut Disk, story: &mut Vec<String>) {
    let booted = power_on(disk);
    story.push(format!("{booted:?} {:?}", disk.stage()));
    if let Ok(root) = booted {
        disk.mounted_as = Some(root.trim_matches('/').to_owned());
    }
}

fn sound(ran: &Ran) {
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Somebody made room in the old system's /boot, or tidied its kernels away: GRUB stands still.
#[test]
fn no_boot_goes_back_to_an_old_system_whose_boot_files_are_gone() {
    let mut failed = Vec::new();
    for kind in Kind::ALL {
        for (what, named, asked) in [
            ("rm -rf $B/*", "grub/grub.cfg is gone", true),
            ("rm -rf $B/*", "", false),
            ("rm $B/vmlinuz-*", "$B/vmlinuz-6.1.0-1-amd64, from", true),
            ("rm $B/initrd.img-*", "", false),
            ("rm $B/grub/grub.cfg", "$B/grub/grub.cfg is gone", true),
            (": >$B/grub/grub.cfg", "has no entry for it", true),
            (
                "sed -i s/vmlinuz/windows/ $B/grub/grub.cfg",
                "$B/windows-6",
                true,
            ),
            ("sed -i '/^menuentry/,$d' $B/grub/grub.cfg", "", false),
        ] {
            let disk = on_trial(kind);
            let boot = match kind {
                Kind::Flat => ".boot.rootshift",
                Kind::Rootfs => ".@rootfs.rootshift/boot",
            };
            disk.mounted(|top| {
                let script = format!("B={}/{boot}; {what}", text(top));
                common::run("sh", &["-c", &script])
            });
            let mut story = vec![format!("{kind:?}, {what}, asked {asked}")];
            let refused = !asked || {
                let ran = disk.run_inside("rollback --yes");
                story.push(said(&ran));
                ran.code == 4 && ran.stderr.contains(&named.replace("$B", boot))
            };
            let mut starts = true;
            for _ in 0..5 {
                let booted = power_on(&disk);
                story.push(format!("{booted:?} {:?}", disk.stage()));
                starts &= booted.is_ok();
            }
            if !refused || !starts {
                failed.push(story);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// `update-grub` ran in the old system while that was root for one boot, and wrote the name that it
/// is kept under: the rollback takes that name away.
#[test]
fn an_old_system_that_names_itself_as_it_is_kept_is_gone_back_to() {
    let mut disk = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        let config = top.join(".@rootfs.rootshift/boot/grub/grub.cfg");
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains("/@rootfs/boot/vmlinuz"), "{text}");
        fs::write(config, text.replace("@rootfs", ".@rootfs.rootshift")).unwrap();
    });
    let mut story = vec![said(&disk.run_inside("rollback --yes"))];
    for _ in 0..3 {
        follow(&mut disk, &mut story);
    }
    assert!(!story.iter().any(|one| one.contains("Err(")), "{story:#?}");
    assert_eq!(disk.stage(), Stage::RolledBack, "{story:#?}");
}

/// rootshift's own subvolume was made read-only, so that nobody deletes it: no boot can count.
#[test]
fn a_journal_in_a_read_only_subvolume_is_told_with_what_makes_it_writable() {
    let disk = on_trial(Kind::Flat);
    let read_only = |value: &str| {
        disk.mounted(|top| {
            let home = text(top.join(".rootshift"));
            common::run("btrfs", &["property", "set", "-ts", &home, "ro", value])
        })
    };
    read_only("true");
    let status = disk.run_in_new_system("status");
    let discard = disk.run_in_new_system("disarm --discard-journal --yes");
    read_only("false");
    assert!(!status.says("goes back by itself"), "{status:?}");
    assert!(
        status.says("btrfs property set -ts /mnt/.rootshift ro false"),
        "{status:?}"
    );
    assert_ne!(discard.code, 0, "{discard:?}");
    assert!(disk.run_in_new_system("status").says("goes back by itself"));
}

/// GRUB finds the old system by way of the top level.
#[test]
fn a_read_only_top_level_does_not_hold_up_a_rollback() {
    for kind in Kind::ALL {
        let mut disk = on_trial(kind);
        disk.mounted(|top| {
            common::run(
                "btrfs",
                &["property", "set", "-ts", &text(top), "ro", "true"],
            )
        });
        let mut story = vec![said(&disk.run_inside("rollback --yes"))];
        for _ in 0..2 {
            follow(&mut disk, &mut story);
        }
        assert_eq!(disk.stage(), Stage::RolledBack, "{story:#?}");
    }
}

/// What has the old system's kept name is a snapshot of the new one: the inventory knows better.
#[test]
fn a_snapshot_of_the_new_system_under_the_kept_name_is_not_gone_back_to() {
    let mut disk = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        fs::rename(top.join(".@rootfs.rootshift"), top.join("old-one")).unwrap();
        let (from, to) = (text(top.join("@")), text(top.join(".@rootfs.rootshift")));
        common::run("btrfs", &["-q", "subvolume", "snapshot", &from, &to]);
    });
    let mut story = vec![said(&disk.run_inside("rollback --yes"))];
    for _ in 0..2 {
        follow(&mut disk, &mut story);
    }
    assert!(!story.iter().any(|one| one.contains("Err(")), "{story:#?}");
}

/// "So that nobody deletes the old system by mistake."
#[test]
fn a_locked_old_system_is_gone_back_to_or_its_lock_is_named() {
    let mut failed = Vec::new();
    for kind in Kind::ALL {
        let mut disk = on_trial(kind);
        let kept = old_kept(kind);
        disk.mounted(|top| common::run("chattr", &["+i", &text(top.join(kept))]));
        let mut story = vec![said(&disk.run_inside("rollback --yes"))];
        for _ in 0..3 {
            follow(&mut disk, &mut story);
        }
        let stage = disk.stage();
        for command in ["status", "rollback --yes", "recover --yes", "disarm"] {
            story.push(format!("{command}: {}", said(&disk.run_inside(command))));
        }
        disk.mounted(|top| {
            let unlock = format!("chattr -f -i {0}/{kept} {0}/boot {0}/@rootfs", text(top));
            let _ = std::process::Command::new("sh")
                .args(["-c", &unlock])
                .output();
        });
        let told = story.iter().any(|one| one.contains("chattr"));
        if stage != Stage::RolledBack && !told {
            failed.push((kind, story));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The new root has no init, and the link to the old one is another's: the old one is mounted for
/// one boot, at every boot. What is printed there leads in a circle.
#[test]
fn an_old_system_that_runs_for_one_boot_is_told_the_truth_and_has_a_way_on() {
    let mut disk = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        fs::remove_file(top.join("@/usr/lib/systemd/systemd")).unwrap();
        fs::remove_file(top.join("@rootfs")).unwrap();
        std::os::unix::fs::symlink("./@", top.join("@rootfs")).unwrap();
    });
    let mut story = Vec::new();
    for _ in 0..2 {
        follow(&mut disk, &mut story);
    }
    assert_eq!(disk.mounted_as.as_deref(), Some(".@rootfs.rootshift"));
    let status = disk.run_inside("status");
    let lie = status.says("the new system starts");
    story.push(said(&status));
    let discard = disk.run_inside("disarm --discard-journal --yes");
    story.push(said(&discard));
    let rollback = disk.run_inside("rollback --yes");
    story.push(said(&rollback));
    let circle = discard.stderr.contains("run `rootshift rollback`") && rollback.code != 0;
    assert!(!lie && !circle, "lie: {lie}, circle: {circle}: {story:#?}");
}

/// Somebody saw to it that the journal stays: "don't delete `.rootshift`".
#[test]
fn recover_does_not_disarm_a_trial_whose_journal_can_not_be_written() {
    let disk = on_trial(Kind::Flat);
    let journal = ".rootshift/journal";
    disk.mounted(|top| common::run("chattr", &["+i", &text(top.join(journal))]));
    let status = disk.run_in_new_system("status");
    let recover = disk.run_in_new_system("recover --yes");
    let images = disk.images();
    disk.mounted(|top| common::run("chattr", &["-i", &text(top.join(journal))]));
    assert_eq!(disk.stage(), Stage::Committed);
    let armed = images
        .iter()
        .all(|image| image.contains("usr/sbin/rootshift"));
    assert!(armed, "{}\n{}", said(&status), said(&recover));
}

/// `btrfs property set … ro true`, so that nobody changes the old system.
#[test]
fn a_read_only_old_system_is_not_called_whole_without_a_remedy() {
    let mut disk = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        let kept = text(top.join(".@rootfs.rootshift"));
        common::run("btrfs", &["property", "set", "-ts", &kept, "ro", "true"])
    });
    let mut story = vec![said(&disk.run_inside("status"))];
    story.push(said(&disk.run_inside("rollback --yes")));
    follow(&mut disk, &mut story);
    let read_only = disk.mounted(|top| {
        let path = top.join("@rootfs");
        path.is_dir() && fs::write(path.join("probe"), "").is_err()
    });
    let disarm = disk.run_inside("disarm");
    story.push(said(&disarm));
    let told = story.iter().any(|one| one.contains("property"));
    assert!(
        told || disk.stage() != Stage::RolledBack || !read_only && disarm.code == 0,
        "root is read-only: {read_only}: {story:#?}"
    );
}

/// The commands that `status` prints for what was kept aside, followed literally.
#[test]
fn what_is_kept_aside_can_be_deleted_as_status_says() {
    let mut failed = Vec::new();
    for (kind, act, name) in [
        (Kind::Flat, "chattr +a", "@var_log"),
        (Kind::Flat, "btrfs property set -ts $AT ro true;:", "@home"),
        (Kind::Rootfs, "btrfs subvolume set-default", "@"),
    ] {
        let mut disk = on_trial(kind);
        disk.mounted(|top| {
            let script = format!("AT={0}/{name}; {act} {0}/{name}", text(top));
            common::run("sh", &["-c", &script])
        });
        sound(&disk.run_inside("rollback --yes"));
        disk.start(0);
        assert_eq!(disk.stage(), Stage::RolledBack);
        sound(&disk.run_inside("disarm"));
        let status = disk.run_inside("status");
        let lines = status.stdout.lines().map(str::trim);
        let lines: Vec<&str> = lines
            .filter(|line| line.starts_with("btrfs ") || line.starts_with("chattr"))
            .collect();
        disk.mounted(|top| {
            for line in lines {
                let line = line.replace("/mnt", &text(top));
                let ran = std::process::Command::new("sh")
                    .args(["-c", &line])
                    .output();
                let ran = ran.unwrap();
                if !ran.status.success() {
                    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
                    failed.push(format!("{act} {name}: {line}: {stderr}"));
                }
            }
            let unlock = format!("chattr -f -i -a {}/@*", text(top));
            let _ = std::process::Command::new("sh")
                .args(["-c", &unlock])
                .output();
        });
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Ready means that it is armed.
#[test]
fn check_sees_an_image_that_can_not_be_made_anew() {
    let disk = Disk::with_images(Kind::Rootfs);
    let image = "@rootfs/boot/initrd.img-6.1.0-1-amd64";
    disk.mounted(|top| common::run("chattr", &["+i", &text(top.join(image))]));
    let check = disk.run_inside("check");
    let arm = disk.run_inside("arm --yes");
    disk.mounted(|top| common::run("chattr", &["-i", &text(top.join(image))]));
    assert!(
        check.code != 0 || arm.code == 0,
        "Ready, then {}",
        arm.stderr
    );
}

/// Locked, and read-only as well: `rename_placed` can't take the lock off.
#[test]
fn a_locked_and_read_only_subvolume_does_not_hold_up_a_rollback() {
    let mut disk = on_trial(Kind::Flat);
    disk.mounted(|top| {
        let path = text(top.join("@home"));
        common::run("chattr", &["+i", &path]);
        common::run("btrfs", &["property", "set", "-ts", &path, "ro", "true"])
    });
    let mut story = vec![said(&disk.run_inside("rollback --yes"))];
    for _ in 0..2 {
        follow(&mut disk, &mut story);
    }
    let stage = disk.stage();
    story.push(said(&disk.run_inside("status")));
    disk.mounted(|top| {
        let at = format!("for s in {}/@home*; do", text(top));
        let unlock = format!("{at} btrfs property set -ts $s ro false; chattr -i $s; done");
        common::run("sh", &["-c", &unlock])
    });
    let told = story.iter().any(|one| one.contains("chattr"));
    assert!(stage == Stage::RolledBack || told, "{story:#?}");
}

/// Half of the old tree was deleted for room; the commit's inventory names what belongs to it.
#[test]
fn an_old_system_without_its_libraries_or_its_var_is_not_called_whole() {
    let mut failed = Vec::new();
    for what in ["var", "lib64", "etc"] {
        let mut disk = on_trial(Kind::Flat);
        disk.mounted(|top| {
            let nested = text(top.join("var/lib/portables"));
            common::run("btrfs", &["-q", "subvolume", "delete", &nested]);
            common::run("rm", &["-rf", &text(top.join(what))])
        });
        let whole = disk.run_inside("status").says("The old one is whole");
        let rollback = disk.run_inside("rollback --yes");
        disk.start(0);
        if whole || disk.stage() == Stage::RolledBack {
            let stage = disk.stage();
            failed.push(format!(
                "{what}: whole: {whole}; {}; {stage:?}",
                said(&rollback)
            ));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
