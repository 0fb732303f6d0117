//! What a boot finds that is not what was armed: a machine that sleeps, an updated kernel, an
//! image of another kernel, a disk that somebody put back, a disk and its copy side by side. Each
//! is an ordinary boot of what is there, or the resumption that the disk's own journal names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{
    Disk, Kind, VALIDATE, WOULD_REBOOT, assert_same, install, rollback_requested, run, validated,
};
use rootshift::checks::hibernated_device;
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;
use rootshift::sys::Root;
use rootshift::tree::manifest::Manifest;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// Nothing was even mounted: not one byte of the disk is another one.
fn assert_ordinary_and_untouched(disk: &Disk, what: &str) {
    let before = disk.keep_copy("before.img");
    assert_eq!(disk.boot(), 0, "{what}");
    assert_eq!(disk.root_flags(), None, "{what}");
    run("cmp", &[&text(&disk.image), &text(&before)]);
}

/// The old system boots as it is; the journal says why. What it says.
fn assert_refused(disk: &Disk, old: &Manifest, wanted: &[&str]) -> String {
    assert_eq!(disk.boot(), 0, "{wanted:?}");
    assert_eq!(disk.root_flags(), None, "{wanted:?}");
    let reason = disk.state().reason.unwrap_or_default();
    for part in wanted {
        assert!(reason.contains(part), "{part} is not said in: {reason}");
    }
    assert!(
        disk.mounted(|top| !top.join("@").exists()),
        "{wanted:?}: something was made"
    );
    assert_same(old, &disk.old_manifest());
    reason
}

/// Migrates in one boot, and every file is there.
fn assert_migrates(disk: &Disk, old: &Manifest, what: &str) {
    assert_eq!(
        disk.boot(),
        WOULD_REBOOT,
        "{what}: {:?}",
        disk.state().reason
    );
    assert_same(old, &disk.new_manifest());
    assert_eq!(disk.boot(), 0, "{what}");
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"), "{what}");
}

// Sleepers.

/// A folder for [`Disk::view`].
fn view(disk: &mut Disk) -> PathBuf {
    let view = disk.folder.join("view");
    fs::create_dir_all(&view).unwrap();
    disk.view = Some(view.clone());
    view
}

/// The page that a swap device begins with.
fn swap_page(signature: &str) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[4086..4086 + signature.len()].copy_from_slice(signature.as_bytes());
    page
}

#[test]
fn a_hibernated_swap_partition_puts_the_migration_off() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        let swap = view(&mut disk).join("swap");
        fs::write(&swap, swap_page("S1SUSPEND")).unwrap();
        let ran = disk.run_inside("arm --yes");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stdout
                .contains("/dev/shm/swap holds a hibernated system"),
            "{ran:?}"
        );
        assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
        disk.arm(After::Reboot);
        for signature in ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"] {
            fs::write(&swap, swap_page(signature)).unwrap();
            assert_ordinary_and_untouched(&disk, signature);
        }
        // It was resumed, and shut down.
        fs::write(&swap, swap_page("SWAPSPACE2")).unwrap();
        let old = disk.old_manifest();
        assert_migrates(&disk, &old, "a true boot");
    }
}

/// A swap file in the old system, and the page of the disk that it begins at.
fn with_swap_file(kind: Kind) -> (Disk, u64) {
    let disk = Disk::with_system_of(kind);
    let page = disk.in_old(|old| {
        let file = text(old.join("swapfile"));
        run("btrfs", &["filesystem", "mkswapfile", "-s", "1m", &file]);
        run("sync", &["--file-system", &file]);
        run("btrfs", &["inspect-internal", "map-swapfile", "-r", &file])
    });
    (disk, page.parse().unwrap())
}

/// As the kernel does it: past the file system.
fn sign(disk: &Disk, page: u64, signature: &str) {
    let image = fs::OpenOptions::new()
        .write(true)
        .open(&disk.image)
        .unwrap();
    let at = page * 4096 + 4086;
    image
        .write_all_at(&swap_page(signature)[4086..], at)
        .unwrap();
    image.sync_all().unwrap();
}

#[test]
fn a_system_that_sleeps_in_a_swap_file_puts_the_migration_off() {
    for kind in Kind::ALL {
        let (mut disk, page) = with_swap_file(kind);
        let view = view(&mut disk);
        let show = |disk: &Disk, signature: &str| {
            sign(disk, page, signature);
            let seen = text(view.join("disk"));
            run("cp", &["--sparse=always", &text(&disk.image), &seen]);
        };
        disk.arm(After::Reboot);
        let line = format!("root=x ro resume=UUID={} resume_offset={page}\n", disk.uuid);
        fs::write(view.join("cmdline"), line).unwrap();
        show(&disk, "S1SUSPEND");
        assert_ordinary_and_untouched(&disk, "in a swap file");
        let ran = disk.run_inside("check");
        assert!(
            ran.code == 1
                && ran
                    .stdout
                    .contains("/dev/shm/disk holds a hibernated system"),
            "{ran:?}"
        );
        show(&disk, "SWAPSPACE2");
        let old = disk.old_manifest();
        assert_migrates(&disk, &old, "a true boot");
    }
}

#[test]
fn a_swap_file_is_found_wherever_its_place_is_named() {
    let (disk, page) = with_swap_file(Kind::Flat);
    let name = disk.device.strip_prefix("/dev/").unwrap();
    // At this page nobody else looks, so that the device may be one of this machine.
    sign(&disk, page, "S1SUSPEND");
    for (file, said) in [
        ("proc/cmdline", format!("ro resume_offset={page} quiet\n")),
        (
            "conf/conf.d/resume",
            format!("RESUME=UUID={} resume_offset={page}\n", disk.uuid),
        ),
        ("conf/initramfs.conf", format!("resume_offset=\"{page}\"\n")),
        (
            "etc/initramfs-tools/conf.d/resume",
            format!("RESUME=x\nresume_offset={page}\n"),
        ),
        ("sys/power/resume_offset", format!("{page}\n")),
    ] {
        let system = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = system.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(&format!("sys/class/block/{name}/size"), "600000\n");
        write(&format!("sys/class/block/{name}/loop/backing_file"), "x\n");
        write("sys/power/resume_offset", "0\n");
        let root = Root::open(system.path()).unwrap();
        assert_eq!(hibernated_device(&root).unwrap(), None, "{file}");
        write(file, &said);
        let found = hibernated_device(&root).unwrap();
        assert_eq!(found.as_deref(), Some(Path::new(&disk.device)), "{file}");
    }
}

// Other boots than that of a person who wants to work.

/// A kernel that was started to save what is left of a crashed one, or to let a person mend
/// something.
#[test]
fn a_kernel_of_another_purpose_does_nothing() {
    for (what, line) in [
        (
            "kdump",
            "root=x ro elfcorehdr=0x6effffd8 reset_devices nr_cpus=1",
        ),
        ("recovery mode", "root=x ro single"),
        ("rescue", "root=x systemd.unit=rescue.target"),
        ("a shell in the initramfs", "root=x ro break=mount quiet"),
    ] {
        let mut disk = Disk::with_system();
        let view = view(&mut disk);
        disk.arm(After::Reboot);
        fs::write(view.join("cmdline"), format!("{line}\n")).unwrap();
        let old = disk.old_manifest();
        if what == "kdump" {
            assert_ordinary_and_untouched(&disk, what);
        } else {
            assert_refused(&disk, &old, &["the next ordinary boot does it"]);
        }
        // Memory that is kept for a crash kernel is no crash.
        fs::write(view.join("cmdline"), "root=x ro crashkernel=512M quiet\n").unwrap();
        assert_migrates(&disk, &old, what);
        fs::write(view.join("cmdline"), format!("{line}\n")).unwrap();
        assert_eq!(disk.boot(), 0);
        let named = (what != "kdump").then_some("subvol=@");
        assert_eq!(
            disk.root_flags().as_deref(),
            named,
            "{what}: after the commit"
        );
    }
}

// A package that is gone.

const WANTED: &str = "etc/systemd/system/multi-user.target.wants/rootshift-validate.service";

/// What would have to validate the new system is no part of it: nobody would, and the fourth boot
/// would take it away.
#[test]
fn what_nobody_would_validate_is_not_begun() {
    type Removal = fn(&Path);
    let removals: [(&str, Removal); 4] = [
        ("/usr/sbin/rootshift", |old| {
            fs::remove_file(old.join("usr/sbin/rootshift")).unwrap();
        }),
        ("rootshift-validate.service is missing", |old| {
            fs::remove_file(old.join("usr/lib/systemd/system").join(VALIDATE)).unwrap();
        }),
        ("rootshift-validate.service is disabled", |old| {
            fs::remove_file(old.join(WANTED)).unwrap();
        }),
        ("rootshift-validate.service is masked", |old| {
            symlink("/dev/null", old.join("etc/systemd/system").join(VALIDATE)).unwrap();
        }),
    ];
    for kind in Kind::ALL {
        for (wanted, remove) in removals {
            let disk = Disk::with_system_of(kind);
            disk.arm(After::Reboot);
            disk.in_old(remove);
            let old = disk.old_manifest();
            assert_refused(&disk, &old, &["rootshift was removed", wanted]);
            let ran = disk.run_inside("check");
            assert!(ran.failures()[0].contains(wanted), "{ran:?}");
        }
    }
}

// Updated kernels.

const OLD: &str = "6.1.0-1-amd64";
const NEW: &str = "6.1.0-2-amd64";

/// A system on which `rootshift arm` runs: an image is a list of what it holds.
fn with_tools(kind: Kind) -> Disk {
    let disk = Disk::with_system_of(kind);
    disk.in_old(|old| {
        install(old, "/bin/dash", "sh");
        let program = |name: &str, script: &str| {
            let path = old.join("usr/sbin").join(name);
            fs::write(&path, format!("#!/usr/sbin/sh\n{script}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program(
            "lsinitramfs",
            "while read -r line; do echo \"$line\"; done < \"$1\"",
        );
        program(
            "update-initramfs",
            "for image in /boot/initrd.img-*; do\n\
             \techo scripts/local-premount/rootshift > $image\n\
             \tfor plan in /var/lib/rootshift/armed/plan-*; do\n\
             \t\t[ -e $plan ] && echo usr/sbin/rootshift >> $image\n\
             \t\t[ -e $plan ] && echo etc/rootshift/${plan##*/} >> $image\n\
             \tdone\ndone\n:",
        );
    });
    disk
}

/// Armed by the command itself.
fn armed(kind: Kind) -> Disk {
    let disk = with_tools(kind);
    let ran = disk.run_inside("arm --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    take_plan(&disk);
    disk
}

/// The plan of the disk's images, for [`Disk::boot`].
fn take_plan(disk: &Disk) {
    let plans = disk.folder.join("plans");
    let _ = fs::remove_dir_all(&plans);
    fs::create_dir(&plans).unwrap();
    disk.in_old(|old| {
        for entry in fs::read_dir(old.join("var/lib/rootshift/armed")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), plans.join(entry.file_name())).unwrap();
        }
    });
}

fn write(top: &Path, path: &str, text: &str) {
    fs::write(top.join(path), text).unwrap();
}

fn read(top: &Path, path: &str) -> String {
    fs::read_to_string(top.join(path)).unwrap()
}

fn removal(disk: &Disk, code: i32, wanted: &str) {
    let ran = disk.run_inside("package --before-removal");
    assert_eq!(ran.code, code, "{wanted}: {ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains(wanted), "{wanted} is not said: {ran:?}");
}

fn stays(disk: &Disk, wanted: &str) {
    let before = disk.mounted(|top| fs::read(top.join(".rootshift/journal")).unwrap());
    let ran = disk.run_in_new_system("package --before-removal");
    assert_eq!(ran.code, 4, "{wanted}: {ran:?}");
    ran.assert_one_line(&["this package is not removed", wanted]);
    let after = disk.mounted(|top| fs::read(top.join(".rootshift/journal")).unwrap());
    assert_eq!(before, after, "{wanted}");
}

#[test]
fn the_package_goes_when_no_boot_needs_it_any_more() {
    for kind in Kind::ALL {
        let disk = with_tools(kind);
        removal(&disk, 0, "");
        assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
        let ran = disk.run_inside("arm --yes");
        assert_eq!(ran.code, 0, "{ran:?}");
        take_plan(&disk);
        disk.in_old(|old| {
            fs::create_dir_all(old.join("usr/lib/rootshift")).unwrap();
            write(old, "usr/lib/rootshift/rootshift-tools", "the program");
        });
        disk.while_held(|| removal(&disk, 4, "this package is not removed"));
        removal(&disk, 0, "disarmed: the next boot is an ordinary one");
        assert_eq!(disk.stage(), Stage::Disarmed);
        disk.in_old(|old| {
            let image = read(old, &format!("boot/initrd.img-{OLD}"));
            assert_eq!(image, "scripts/local-premount/rootshift\n");
            assert_eq!(read(old, "var/lib/rootshift/purge"), "the program");
        });
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), 0);
        assert_same(&old, &disk.old_manifest());
        // It may be asked again, and purged.
        removal(&disk, 0, "");
        let ran = disk.run_inside("package --purge");
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
        assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
    }
}

#[test]
fn the_package_stays_as_long_as_a_boot_needs_it() {
    for kind in Kind::ALL {
        let disk = armed(kind);
        assert_eq!(disk.boot(), WOULD_REBOOT);
        stays(&disk, "`rootshift validate`");
        assert_eq!(disk.boot(), 0);
        stays(&disk, "`rootshift rollback`");
        disk.record([validated()]);
        stays(&disk, "`rootshift finalize`");
        disk.record([rollback_requested()]);
        stays(&disk, "reboot");
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.stage(), Stage::RolledBack);
        removal(&disk, 0, "disarmed: the next boot is an ordinary one");
        assert!(!disk.state().armed);
        // The journal says what was kept aside.
        let ran = disk.run_inside("package --purge");
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in ["rolled-back", "btrfs subvolume delete", &disk.uuid] {
            assert!(ran.stdout.contains(part), "{part}: {ran:?}");
        }
        assert!(disk.mounted(|top| top.join(".rootshift/journal").exists()));
    }
}

#[test]
fn a_purge_deletes_nothing_that_is_not_surely_its_own() {
    let disk = armed(Kind::Flat);
    let kept = |why: &str| {
        let ran = disk.run_inside("package --purge");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains(why), "{why}: {ran:?}");
        assert!(
            disk.mounted(|top| top.join(".rootshift/journal").exists()),
            "{why}"
        );
    };
    kept("its migration is under way");
    removal(&disk, 0, "disarmed");
    let journal = disk.mounted(|top| {
        fs::write(top.join(".rootshift/thesis.txt"), "mine").unwrap();
        fs::read(top.join(".rootshift/journal")).unwrap()
    });
    kept(".rootshift/thesis.txt is in it");
    disk.mounted(|top| {
        fs::remove_file(top.join(".rootshift/thesis.txt")).unwrap();
        fs::set_permissions(top.join(".rootshift"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    kept("it is not as rootshift made it");
    disk.mounted(|top| {
        fs::set_permissions(top.join(".rootshift"), fs::Permissions::from_mode(0o700)).unwrap();
        let mut damaged = journal;
        damaged[700] ^= 16;
        fs::write(top.join(".rootshift/journal"), damaged).unwrap();
    });
    kept("damaged at byte");
    // Nor does the package go while nobody knows.
    let ran = disk.run_inside("package --before-removal");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["is not known", "damaged at byte", "`rootshift status`"]);
}

/// What a kernel package and its hooks do: kernel, image (armed as the others), grub.cfg.
fn install_kernel(old: &Path) {
    write(old, &format!("boot/vmlinuz-{NEW}"), "a newer kernel");
    let image = read(old, &format!("boot/initrd.img-{OLD}"));
    write(old, &format!("boot/initrd.img-{NEW}"), &image);
    let config = read(old, "boot/grub/grub.cfg");
    let (head, entry) = config.split_at(config.find("menuentry").unwrap());
    let both = format!("{head}{}{entry}", entry.replace(OLD, NEW));
    write(old, "boot/grub/grub.cfg", &both);
}

fn renew(disk: &Disk, code: i32, wanted: &str) {
    let ran = disk.run_inside("arm --renew");
    assert_eq!(ran.code, code, "{wanted}: {ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains(wanted), "{wanted} is not said: {ran:?}");
    assert!(code == 0 || ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn an_updated_kernel_is_stale_until_the_plan_is_renewed() {
    for kind in Kind::ALL {
        let disk = armed(kind);
        renew(&disk, 0, "The armed plan fits");
        disk.in_old(install_kernel);
        let old = disk.old_manifest();
        assert_refused(
            &disk,
            &old,
            &["/boot/grub/grub.cfg was changed", "`rootshift arm --renew`"],
        );
        renew(&disk, 0, "Renewed");
        assert_eq!(disk.state().reason, None);
        let log = disk.run_inside("log");
        let wanted = format!("renewed for initrd.img-{OLD}, initrd.img-{NEW}");
        assert!(log.stdout.contains(&wanted), "{log:?}");
        renew(&disk, 0, "The armed plan fits");
        assert_migrates(&disk, &old, "renewed");
        let config = disk.mounted(|top| read(top, "@/boot/grub/grub.cfg"));
        let linux = format!("/@/boot/vmlinuz-{NEW} root=");
        assert!(config.contains(&linux), "the new grub.cfg: {config}");
    }
}

#[test]
fn a_rebuilt_image_and_a_removed_kernel_are_renewed_too() {
    let disk = with_tools(Kind::Flat);
    disk.in_old(install_kernel);
    assert_eq!(disk.run_inside("arm --yes").code, 0);
    take_plan(&disk);
    let image = format!("boot/initrd.img-{NEW}");
    let remedy = "`rootshift arm --renew`";
    disk.in_old(|old| {
        let text = read(old, &image);
        write(old, &image, &format!("{text}usr/bin/more\n"));
    });
    let changed = disk.old_manifest();
    assert_refused(&disk, &changed, &[&image, remedy]);
    renew(&disk, 0, "Renewed");
    disk.in_old(|old| {
        fs::remove_file(old.join(&image)).unwrap();
        fs::remove_file(old.join(format!("boot/vmlinuz-{NEW}"))).unwrap();
        let config = read(old, "boot/grub/grub.cfg");
        write(old, "boot/grub/grub.cfg", &config.replace(NEW, OLD));
    });
    let removed = disk.old_manifest();
    assert_refused(&disk, &removed, &[remedy]);
    renew(&disk, 0, "Renewed");
    assert_migrates(&disk, &removed, "removed");
}

/// An update, and something else that was changed: refused as before.
fn assert_not_renewed(code: i32, wanted: &str, spoil: &dyn Fn(&Path)) {
    let disk = armed(Kind::Flat);
    disk.in_old(install_kernel);
    disk.in_old(spoil);
    let old = disk.old_manifest();
    renew(&disk, code, wanted);
    assert_refused(&disk, &old, &["stale"]);
    let renewed = |record: &Record| matches!(record, Record::Renewed { .. });
    assert!(!disk.records().iter().any(renewed), "{wanted}");
}

#[test]
fn what_no_update_changes_is_not_renewed() {
    let again = "was changed since; run `rootshift disarm`, then `rootshift arm`";
    for file in ["etc/fstab", "etc/default/grub"] {
        assert_not_renewed(1, &format!("/{file} {again}"), &|old| {
            let text = read(old, file) + "# edited\n";
            write(old, file, &text);
        });
    }
    assert_not_renewed(1, "a subvolume was made or deleted", &|old| {
        let path = text(old.join("var/lib/machines"));
        run("btrfs", &["-q", "subvolume", "create", &path]);
    });
}

#[test]
fn an_image_without_the_plan_and_a_failed_check_are_not_renewed() {
    let image = format!("boot/initrd.img-{NEW}");
    let missing = format!("{image}: etc/rootshift/plan-");
    assert_not_renewed(3, &missing, &|old| {
        let text = read(old, &image).replace("plan-", "plan-0");
        write(old, &image, &text);
    });
    assert_not_renewed(3, "sbin/rootshift is missing in it", &|old| {
        write(old, &image, "usr/bin/cat\n");
    });
    assert_not_renewed(1, "GRUB can be switched", &|old| {
        let chain = "menuentry 'x' {\n\tchainloader +1\n}\n";
        write(old, "boot/grub/grub.cfg", chain);
    });
    assert_not_renewed(1, "/etc is immutable", &|old| {
        run("chattr", &["+i", &text(old.join("etc"))]);
    });
}

#[test]
fn nothing_is_renewed_beside_a_hibernated_system() {
    let mut disk = armed(Kind::Flat);
    disk.in_old(install_kernel);
    let swap = view(&mut disk).join("swap");
    fs::write(&swap, swap_page("S1SUSPEND")).unwrap();
    renew(&disk, 1, "/dev/shm/swap holds a hibernated system");
    fs::write(&swap, swap_page("SWAPSPACE2")).unwrap();
    renew(&disk, 0, "Renewed");
}

#[test]
fn a_renewal_that_was_cut_off_leaves_the_plan_stale() {
    let disk = armed(Kind::Flat);
    disk.in_old(install_kernel);
    let journal = |top: &Path| top.join(".rootshift/journal");
    let before = disk.mounted(|top| fs::read(journal(top)).unwrap());
    renew(&disk, 0, "Renewed");
    let whole = disk.mounted(|top| fs::read(journal(top)).unwrap());
    let old = disk.old_manifest();
    for cut in (before.len()..whole.len()).step_by(300) {
        disk.mounted(|top| fs::write(journal(top), &whole[..cut]).unwrap());
        assert_refused(&disk, &old, &["stale", "`rootshift arm --renew`"]);
    }
    renew(&disk, 0, "Renewed");
    assert_migrates(&disk, &old, "renewed again");
}

#[test]
fn work_that_was_prepared_before_an_update_is_made_anew() {
    for kind in Kind::ALL {
        let mut disk = armed(kind);
        assert!(disk.cut_at("before-commit"));
        disk.in_old(install_kernel);
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags(), None);
        let reason = disk.state().reason.unwrap();
        assert!(reason.contains("`rootshift arm --renew`"), "{reason}");
        renew(&disk, 0, "Renewed");
        assert_migrates(&disk, &old, "prepared anew");
        let discarded = |record: &Record| matches!(record, Record::Discarded { .. });
        assert!(disk.records().iter().any(discarded));
        assert!(disk.mounted(|top| top.join("@/boot/vmlinuz-6.1.0-2-amd64").exists()));
    }
}

#[test]
fn there_is_nothing_to_renew_before_arming_and_after_the_commit() {
    let disk = with_tools(Kind::Rootfs);
    renew(&disk, 4, "nothing was armed");
    renew_with(&disk, "--batch x", 2, "--renew keeps the plan");
    assert_eq!(disk.run_inside("arm --yes").code, 0);
    take_plan(&disk);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk.mounted(|top| install_kernel(&top.join("@")));
    let records = disk.records();
    let ran = disk.run_in_new_system("arm --renew");
    assert!(
        ran.code == 0 && ran.stdout.contains("nothing to renew"),
        "{ran:?}"
    );
    assert_eq!(disk.records(), records);
    // And what is changed in the new system is nothing to the boot.
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
}

fn renew_with(disk: &Disk, options: &str, code: i32, wanted: &str) {
    let ran = disk.run_inside(&format!("arm --renew {options}"));
    assert!(ran.code == code && ran.stderr.contains(wanted), "{ran:?}");
}

// Images of other kernels.

/// Goes on with the image of another kernel: the same plan, another file.
fn use_the_other_image(disk: &Disk) {
    let plans = disk.folder.join("plans");
    let other = disk.folder.join("other-image");
    fs::rename(&plans, &other).unwrap();
    fs::create_dir(&plans).unwrap();
    for entry in fs::read_dir(&other).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), plans.join(entry.file_name())).unwrap();
    }
    fs::remove_dir_all(other).unwrap();
}

#[test]
fn whichever_kernel_is_picked_goes_on_with_the_migration() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.in_old(install_kernel);
        disk.arm(After::Reboot);
        let old = disk.old_manifest();
        for fault in ["subvolume-renames:3", "committed"] {
            assert!(disk.cut_at(fault), "{fault}");
            use_the_other_image(&disk);
        }
        assert!(disk.boot() == 0 && disk.stage() == Stage::Committed);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
        assert_same(&old, &disk.new_manifest());
    }
}

#[test]
fn an_image_that_was_never_made_ordinary_still_leads_to_the_new_system() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), WOULD_REBOOT);
        let new = disk.new_manifest();
        let leads = |what: &str| {
            let records = disk.records();
            for _ in 0..5 {
                assert_eq!(disk.boot(), 0, "{what}");
                assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"), "{what}");
            }
            assert_eq!(disk.records(), records, "{what}");
            assert_same(&new, &disk.new_manifest());
        };
        disk.record([common::validated()]);
        leads("validated");
        disk.rehearse();
        disk.record([Record::Disarmed]);
        leads("the other images are ordinary");
        disk.with_migration(|top, migration| {
            let new = &top.within(Path::new("@")).unwrap();
            let progress = &mut rootshift::report::progress::Progress::hidden();
            rootshift::engine::finalize::finalize(new, top, migration, progress).unwrap();
        });
        assert_eq!(disk.stage(), Stage::Finalized);
        leads("finalized");
    }
}

// Disks that were put back.

#[test]
fn a_disk_put_back_goes_on_from_what_its_own_journal_says() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        let before = disk.keep_copy("never-armed.img");
        disk.arm(After::Reboot);
        let old = disk.old_manifest();
        let armed = disk.keep_copy("armed.img");
        assert!(disk.cut_at("subvolume-renames:5"));
        let cut = disk.keep_copy("cut.img");
        assert_migrates(&disk, &old, "first");
        disk.record([common::validated()]);
        for (image, attempts) in [(&armed, 1), (&cut, 2)] {
            disk.restore(image);
            assert_migrates(&disk, &old, "put back");
            assert_eq!(disk.state().attempts, attempts);
        }
        // Its images are ordinary; this one came from elsewhere.
        disk.restore(&before);
        assert_ordinary_but_for_a_mount(&disk, &old);
        assert!(disk.mounted(|top| !top.join(".rootshift").exists()));
    }
}

fn assert_ordinary_but_for_a_mount(disk: &Disk, old: &Manifest) {
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags(), None);
    assert!(disk.mounted(|top| !top.join("@").exists()));
    assert_same(old, &disk.old_manifest());
}

/// The same batch, armed a second time a little later.
fn armed_again(disk: &Disk) {
    disk.record([Record::Disarmed]);
    disk.in_old(|old| write(old, "home/user/files/1", "changed between\n"));
    disk.mounted(|top| {
        let top = Root::open(top).unwrap();
        let mut plan = disk.plan(&top, After::Reboot);
        plan.batch_id.push_str("_later");
        common::arm(&top, disk.kind, &plan, &disk.folder.join("plans"));
    });
}

#[test]
fn an_image_of_another_arming_begins_nothing_and_leads_to_the_committed_root() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        let first = disk.keep_copy("first.img");
        let earlier = disk.folder.join("earlier-plans");
        run(
            "cp",
            &["-r", &text(disk.folder.join("plans")), &text(&earlier)],
        );
        armed_again(&disk);
        let later = disk.folder.join("plans");
        let second = disk.keep_copy("second.img");
        let another = "the initramfs holds another plan";
        // The later image on the earlier disk.
        disk.restore(&first);
        let old = disk.old_manifest();
        assert_refused(&disk, &old, &[another, "`rootshift disarm`"]);
        // The earlier image on the later disk.
        disk.restore(&second);
        let old = disk.old_manifest();
        fs::rename(&later, disk.folder.join("later-plans")).unwrap();
        fs::rename(&earlier, &later).unwrap();
        assert_refused(&disk, &old, &[another]);
        // Its own one migrates, and then any leads to the new system.
        fs::rename(&later, &earlier).unwrap();
        fs::rename(disk.folder.join("later-plans"), &later).unwrap();
        assert_migrates(&disk, &old, "its own image");
        fs::remove_dir_all(&later).unwrap();
        fs::rename(&earlier, &later).unwrap();
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    }
}

/// Another state of the journal, and of nothing else.
fn put_journal_back(disk: &Disk, journal: &[u8]) {
    disk.mounted(|top| fs::write(top.join(".rootshift/journal"), journal).unwrap());
}

fn journal_of(disk: &Disk) -> Vec<u8> {
    disk.mounted(|top| fs::read(top.join(".rootshift/journal")).unwrap())
}

#[test]
fn an_older_journal_beside_a_newer_tree_begins_nothing() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        let journal = journal_of(&disk);
        // The boot path is switched already: the kernel command line names the new system.
        assert_eq!(disk.boot(), WOULD_REBOOT);
        let (old, new) = (disk.old_manifest(), disk.new_manifest());
        put_journal_back(&disk, &journal);
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags(), None);
        assert_eq!(disk.stage(), Stage::Armed);
        assert_same(&new, &disk.new_manifest());
        assert_same(&old, &disk.old_manifest());
        // Half prepared, and then used as the old system for a while.
        let mut disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        let journal = journal_of(&disk);
        assert!(disk.cut_at("subvolume-renames:3"));
        put_journal_back(&disk, &journal);
        disk.in_old(|old| write(old, "home/user/files/3", "written since\n"));
        let old = disk.old_manifest();
        assert_eq!(disk.boot(), 0, "stale work is not taken for this run's");
        let reason = disk.state().reason.unwrap();
        assert!(
            reason.contains("work that the journal does not know of"),
            "{reason}"
        );
        assert_same(&old, &disk.old_manifest());
    }
}

#[test]
fn a_newer_journal_beside_an_older_tree_boots_the_tree_that_is_there() {
    for kind in Kind::ALL {
        for finished in [false, true] {
            let mut disk = Disk::with_system_of(kind);
            disk.arm(After::Reboot);
            let old = disk.old_manifest();
            let armed = disk.keep_copy("armed.img");
            assert_eq!(disk.boot(), WOULD_REBOOT);
            if finished {
                disk.record([common::validated()]);
            }
            let journal = journal_of(&disk);
            disk.restore(&armed);
            put_journal_back(&disk, &journal);
            for _ in 0..5 {
                assert_eq!(disk.boot(), 0);
                let flags = disk.root_flags();
                assert_eq!(flags.as_deref(), Some(kind.root_flags()), "{finished}");
            }
            // The root that the journal names was tried, and is none: the journal says so now.
            assert_eq!(disk.stage(), Stage::RolledBack);
            let reason = disk.state().reason.unwrap();
            let wanted = "the new system's root can't be mounted with subvol=@";
            assert!(reason.contains(wanted), "{reason}");
            assert_same(&old, &disk.old_manifest());
            disk.mounted(|top| {
                let boot = top.join(kind.root()).join("boot");
                assert!(
                    boot.is_dir() && !boot.is_symlink(),
                    "GRUB's path is as it was"
                );
            });
        }
    }
}

#[test]
fn of_two_disks_with_one_uuid_none_is_touched() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        let view = view(&mut disk);
        let copy = |name: &str| {
            let file = fs::read(&disk.image).unwrap();
            fs::write(view.join(name), &file[..1 << 20]).unwrap();
        };
        copy("one");
        assert_eq!(disk.run_inside("check").code, 0);
        copy("two");
        let ran = disk.run_inside("check");
        let wanted = format!(
            "/dev/shm/one and /dev/shm/two both hold the file system {}",
            disk.uuid
        );
        assert!(ran.code == 1 && ran.stdout.contains(&wanted), "{ran:?}");
        disk.arm(After::Reboot);
        assert_ordinary_and_untouched(&disk, "two disks");
        fs::remove_file(view.join("two")).unwrap();
        let old = disk.old_manifest();
        assert_migrates(&disk, &old, "one disk");
    }
}

// The room that was there.

#[test]
fn room_that_was_taken_since_is_a_refusal_until_it_is_given_back() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    let filler = |top: &Path| top.join("filler");
    disk.mounted(|top| {
        let ballast = top.join("ballast");
        fs::write(&ballast, vec![7u8; 8 << 20]).unwrap();
        run("sync", &["--file-system", &text(top)]);
        let mut file = fs::File::create(filler(top)).unwrap();
        let piece = vec![7u8; 1 << 20];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        let _ = file.sync_all();
        fs::remove_file(ballast).unwrap();
        // The refused write has moved the time in memory, and there was no room to write that down.
        file.set_modified(std::time::SystemTime::now()).unwrap();
        file.sync_all().unwrap();
        run("sync", &["--file-system", &text(top)]);
    });
    let old = disk.old_manifest();
    assert_refused(&disk, &old, &["there is room", "metadata space"]);
    disk.mounted(|top| {
        fs::remove_file(filler(top)).unwrap();
        run("sync", &["--file-system", &text(top)]);
        let balance = ["-q", "balance", "start", "-dusage=20", &text(top)];
        run("btrfs", &balance);
    });
    let old = disk.old_manifest();
    assert_migrates(&disk, &old, "room again");
}
