//! How the machine boots: the proof and the switch belong to the engine, whatever a batch says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::{Disk, Kind, install, make_the_proof_fail};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;

/// The shipped batch with these changes of its text.
fn batch_with(changes: &[(&str, &str)]) -> String {
    let shipped = common::repository().join("batches/flat-to-subvolumes.json");
    let mut text = fs::read_to_string(shipped).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

const REBOOT_VALIDATION: &str = "btrfs_pre_reboot_validation_viScript.json";

/// Batches that prove nothing themselves, or let the proof fail.
fn careless() -> [(&'static str, String); 2] {
    [
        (
            "nothing looks at the boot chain",
            batch_with(&[(REBOOT_VALIDATION, "btrfs_nothing_viScript.json")]),
        ),
        (
            "its failure is let pass",
            batch_with(&[(
                "\"failure_handling\": \"rollback\"",
                "\"failure_handling\": \"continue\"",
            )]),
        ),
    ]
}

/// A viScript that looks at nothing stands in for the one that proves.
fn add_nothing(disk: &Disk) {
    let scripts = disk.folder.join("viscripts");
    let text = fs::read_to_string(scripts.join(REBOOT_VALIDATION)).unwrap();
    let (head, _) = text.split_once("\"checks\"").unwrap();
    let check = "{\"name\": \"a file\", \"check\": {\"names-free\": {}}, \"required\": false}";
    let text = format!("{head}\"checks\": [{check}]}}")
        .replace("btrfs_pre_reboot_validation", "btrfs_nothing");
    fs::write(scripts.join("btrfs_nothing_viScript.json"), text).unwrap();
}

#[test]
fn no_batch_commits_without_a_proof() {
    for kind in Kind::ALL {
        for (what, batch) in careless() {
            let mut disk = Disk::with_system_of(kind);
            disk.use_batch(&batch);
            add_nothing(&disk);
            disk.in_old(make_the_proof_fail);
            disk.arm(After::Reboot);
            disk.boot();
            let state = disk.state();
            assert_eq!(state.stage, Stage::Failed, "{kind:?}, {what}: {state:#?}");
            let reason = state.reason.unwrap();
            assert!(reason.contains("is empty or no file"), "{what}: {reason}");
        }
    }
}

/// Takes the step that switches the boot path out of the viScript, or changes it.
fn change_the_switch(disk: &Disk, change: impl Fn(&str) -> String) {
    let script = disk
        .folder
        .join("viscripts/btrfs_boot_configuration_viScript.json");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, change(&text)).unwrap();
}

fn without_the_step(text: &str) -> String {
    let at = text.find("\"name\": \"boot-path\"").unwrap();
    let from = text[..at].rfind(',').unwrap();
    format!("{}\n  ]\n}}\n", &text[..from])
}

#[test]
fn the_boot_path_is_switched_even_where_the_batch_does_not_say_so() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.use_batch(&batch_with(&[]));
        change_the_switch(&disk, without_the_step);
        disk.arm(After::Reboot);
        assert_eq!(disk.boot(), common::WOULD_REBOOT, "{kind:?}");
        let path = match kind {
            Kind::Flat => "boot",
            Kind::Rootfs => "@rootfs",
        };
        let leads = disk.mounted(|top| fs::read_link(top.join(path)));
        let target = match kind {
            Kind::Flat => "@/boot",
            Kind::Rootfs => "@",
        };
        assert_eq!(leads.unwrap(), Path::new(target), "{kind:?}");
        // And back.
        disk.boot();
        disk.record([common::rollback_requested()]);
        disk.boot();
        assert_eq!(disk.stage(), Stage::RolledBack);
        assert!(disk.mounted(|top| top.join(path).is_dir() && !top.join(path).is_symlink()));
    }
}

/// On trial, and its validation passed in that boot.
fn validated(kind: Kind) -> Disk {
    moved_on(Disk::with_system_of(kind))
}

/// Migrated, booted by the loader's own line, and validated.
fn moved_on(disk: Disk) -> Disk {
    // Images that hold nothing, as far as anybody looks.
    for program in ["update-initramfs", "lsinitramfs"] {
        disk.in_old(|old| install(old, "/bin/true", program));
    }
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot_with("subvol=@");
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    let ran = disk.run_booted_with(&disk.new_command_line(), true, "validate");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Validated), "{ran:?}");
    assert_eq!(disk.state().loader_named_root, Some(true));
    disk
}

/// `finalize` says no with this, and changes nothing.
fn assert_not_yet(disk: &Disk, line: &str, wanted: &[&str]) {
    let before = disk.records();
    let ran = disk.run_booted_with(line, true, "finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(wanted);
    assert_eq!(disk.records(), before);
}

#[test]
fn the_old_system_stays_until_the_loader_alone_has_booted_the_new_one() {
    for kind in Kind::ALL {
        let disk = validated(kind);
        let line = disk.new_command_line();
        assert_not_yet(&disk, &line, &["reboot once more", "by itself"]);
        // A boot that had to be helped is none.
        disk.boot();
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
        assert_eq!(disk.stage(), Stage::Validated);
        assert_not_yet(&disk, &line, &["reboot once more"]);
        disk.rehearse();
        let state = disk.state();
        assert!(!state.chain.is_empty());
        // What the loader reads is changed: once more.
        disk.mounted(|top| {
            let config = top.join("@/boot/grub/grub.cfg");
            let text = fs::read_to_string(&config).unwrap();
            fs::write(&config, text + "# update-grub was here\n").unwrap();
        });
        assert_not_yet(
            &disk,
            &line,
            &["reboot once more: /boot/grub/grub.cfg has changed"],
        );
        disk.rehearse();
        disk.record([Record::Disarmed]);
        disk.mounted(|top| fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap());
        let ran = disk.run_booted_with(&line, true, "finalize --yes");
        assert_eq!((ran.code, disk.stage()), (0, Stage::Finalized), "{ran:?}");
    }
}

#[test]
fn finalize_looks_itself_where_the_rehearsal_has_not_been_looked_at() {
    let disk = validated(Kind::Flat);
    disk.boot_with("subvol=@");
    disk.record([Record::Disarmed]);
    disk.mounted(|top| fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap());
    let ran = disk.run_booted_with(&disk.new_command_line(), true, "finalize --yes");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Finalized), "{ran:?}");
}

#[test]
fn a_rehearsal_that_is_never_validated_is_followed_by_a_boot_that_is_overridden() {
    let disk = validated(Kind::Flat);
    for number in 1..=3 {
        assert_eq!(disk.boot_with("subvol=@,noatime"), 0);
        assert_eq!((disk.root_flags(), disk.state().rehearsals), (None, number));
        // The kernel of these tests is always the same: a boot of another one was cut off.
        disk.record([Record::RehearsalBegun {
            number,
            boot: Some("another boot".into()),
        }]);
        assert_eq!(disk.boot_with("subvol=@,noatime"), 0);
        assert_eq!(disk.stage(), Stage::Validated);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@,noatime"));
    }
    // Enough of that, until somebody looks at it.
    disk.boot_with("subvol=@");
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    let line = disk.new_command_line();
    assert_not_yet(&disk, &line, &["rootshift validate", "reboot once more"]);
    let ran = disk.run_booted_with(&line, true, "validate");
    assert_eq!((ran.code, disk.state().rehearsals), (0, 0), "{ran:?}");
    disk.rehearse();
}

#[test]
fn a_root_that_can_not_be_booted_as_the_loader_names_it_is_no_rehearsal() {
    let disk = validated(Kind::Flat);
    assert_eq!(disk.boot_with("subvol=@,nonsense=1"), 0);
    let state = disk.state();
    assert_eq!(state.stage, Stage::Validated);
    assert!(state.reason.unwrap().contains("nonsense=1"));
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_not_yet(
        &disk,
        &disk.new_command_line(),
        &["reboot once more", "nonsense=1"],
    );
}

#[test]
fn a_boot_by_another_line_or_loader_proves_nothing() {
    let disk = validated(Kind::Flat);
    let line = disk.new_command_line();
    let kept = disk.keep_copy("validated.img");
    let mut disk = disk;
    for (line, reason) in [
        (
            line.replace("subvol=@", "noatime"),
            "its last rootflags= is noatime",
        ),
        (
            line.replace("BOOT_IMAGE=/@/boot/vmlinuz-6.1.0-1-amd64 ", ""),
            "no entry of /boot/grub/grub.cfg",
        ),
        (
            line.replace("quiet", "quiet nomodeset"),
            "no entry of /boot/grub/grub.cfg",
        ),
        (
            line.replace("/@/boot", "/boot"),
            "no entry of /boot/grub/grub.cfg",
        ),
    ] {
        disk.restore(&kept);
        disk.boot_with("subvol=@");
        let ran = disk.run_booted_with(&line, true, "validate");
        assert_eq!(ran.code, 0, "{ran:?}");
        let state = disk.state();
        assert_eq!(state.stage, Stage::Validated, "{line}");
        assert!(state.reason.as_ref().unwrap().contains(reason), "{state:?}");
    }
}

#[test]
fn images_without_rootshift_override_nothing_either() {
    let disk = validated(Kind::Flat);
    let line = disk.new_command_line();
    let ran = disk.run_booted_with(&line.replace("subvol=@", "noatime"), false, "validate");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Validated), "{ran:?}");
    let ran = disk.run_booted_with(&line, false, "validate");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Rehearsed), "{ran:?}");
    let records = disk.records().len();
    disk.run_booted_with(&line, false, "validate");
    assert_eq!(disk.records().len(), records);
}

#[test]
fn check_refuses_a_machine_that_something_else_boots() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        let line = disk.old_command_line();
        let ran = disk.run_inside("check");
        assert_eq!(ran.code, 0, "{ran:?}");
        for (line, wanted) in [
            (
                format!("initrd=\\initrd.img root=UUID={} ro quiet", disk.uuid),
                "another boot loader than GRUB started this kernel",
            ),
            (
                format!("{line} nomodeset"),
                "no entry of /boot/grub/grub.cfg starts",
            ),
            (
                line.replace(" quiet", ""),
                "no entry of /boot/grub/grub.cfg starts",
            ),
        ] {
            let ran = disk.run_old_booted_with(&line, "check");
            let failed = ran.only_failure();
            assert!(failed.contains(wanted), "{failed}");
        }
    }
}

const GRUB_D: &str = "etc/default/grub.d/50-flags.cfg";
const FLAGS: &str = "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX rootflags=noatime\"\n";

#[test]
fn root_flags_in_grub_d_are_a_blocker_before_and_after() {
    let disk = Disk::with_system();
    disk.mounted(|top| common::write(top, GRUB_D, FLAGS));
    let ran = disk.run_inside("check");
    let failed = ran.only_failure();
    assert!(
        failed.contains("/etc/default/grub.d/50-flags.cfg"),
        "{failed}"
    );
    assert!(
        failed.contains("GRUB_CMDLINE_LINUX of /etc/default/grub"),
        "{failed}"
    );
    // Written on trial, it is seen before anything is deleted.
    let disk = validated(Kind::Rootfs);
    disk.rehearse();
    disk.mounted(|top| common::write(&top.join("@"), GRUB_D, FLAGS));
    let line = disk.new_command_line();
    assert_not_yet(
        &disk,
        &line,
        &["/etc/default/grub.d/50-flags.cfg", "update-grub"],
    );
}

/// What a GRUB with this prefix embedded would go on with, read by GRUB's own file system code.
fn read_by_grub(disk: &Disk, path: &str) -> Option<String> {
    let image = disk.image.to_str().unwrap();
    let output = std::process::Command::new("grub-fstest")
        .args([image, "cat", &format!("(loop0){path}")])
        .output()
        .expect("grub-fstest is needed: run `apt-get install grub-common`");
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

/// As `grub-install` in the new system leaves it: modules of its own build.
fn install_grub_in_the_new_system(disk: &Disk) {
    disk.mounted(|top| {
        common::write(top, "@/boot/grub/i386-pc/normal.mod", "the new build");
        common::write(top, "@/boot/grub/fonts/unicode.pf2", &"f".repeat(70_000));
        common::write(top, "@/boot/grub/grubenv", "# GRUB Environment Block\n");
    });
}

/// As the page of `status` says, from the inside out.
fn delete_kept(kept: &Path, nested: &str) {
    let inside = (!nested.is_empty()).then(|| kept.join(nested));
    for path in inside.iter().map(|path| path.as_path()).chain([kept]) {
        common::run(
            "btrfs",
            &["-q", "subvolume", "delete", path.to_str().unwrap()],
        );
    }
}

#[test]
fn a_grub_that_was_installed_in_the_new_system_finds_the_old_one_after_a_rollback() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        let old = disk.old_manifest();
        disk.boot();
        disk.boot();
        install_grub_in_the_new_system(&disk);
        disk.record([common::rollback_requested()]);
        disk.boot();
        assert_eq!(disk.stage(), Stage::RolledBack);
        let own = match kind {
            Kind::Flat => "/boot/grub/grub.cfg",
            Kind::Rootfs => "/@rootfs/boot/grub/grub.cfg",
        };
        let read = |path: &str| read_by_grub(&disk, path);
        let found = read("/@/boot/grub/grub.cfg").expect("GRUB finds a configuration");
        assert!(found.contains("vmlinuz-6.1.0-1-amd64"), "{found}");
        assert_eq!(read(own), Some(found));
        let module = read("/@/boot/grub/i386-pc/normal.mod");
        assert_eq!(module.as_deref(), Some("the new build"));
        assert_eq!(
            read("/@/boot/grub/fonts/unicode.pf2").unwrap().len(),
            70_000
        );
        common::assert_same(&old, &disk.old_manifest());
        // It outlives what was kept aside.
        disk.mounted(|top| {
            let kept = top.join("@.rolled-back-1");
            assert!(kept.join("etc/fstab").exists());
            delete_kept(&kept, "var/lib/portables");
        });
        assert!(read("/@/boot/grub/grub.cfg").is_some());
        // And makes room for another migration.
        disk.record([Record::Disarmed]);
        let ran = disk.run_inside("check");
        assert!(
            !ran.stdout
                .contains("FAIL names are free: a file or directory named @ "),
            "{ran:?}"
        );
        disk.mounted(|top| {
            for (name, nested) in [("@home", "user/vm"), ("@var_log", "")] {
                let kept = top.join(format!("{name}.rolled-back-1"));
                delete_kept(&kept, nested);
            }
        });
        let plan = disk.arm(After::Reboot);
        assert!(!plan.old_system.entries.contains(&"@".to_owned()));
        assert_eq!(disk.boot(), common::WOULD_REBOOT, "{}", disk.boot_log());
        assert_eq!(disk.stage(), Stage::Committed);
        assert!(
            read("/@/boot/grub/grub.cfg")
                .unwrap()
                .contains("rootflags=subvol=@")
        );
        assert!(!disk.mounted(|top| top.join("@/@").exists()), "{kind:?}");
    }
}

#[test]
fn a_rollback_that_is_cut_anywhere_leaves_what_grub_reads() {
    for kind in Kind::ALL {
        let mut disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        disk.boot();
        disk.boot();
        install_grub_in_the_new_system(&disk);
        disk.record([common::rollback_requested()]);
        let before = disk.keep_copy("before.img");
        for number in 1..=40 {
            disk.restore(&before);
            let reached = disk.cut_at(&format!("step-undone:{number}"));
            assert!(
                read_by_grub(&disk, "/@/boot/grub/grub.cfg").is_some(),
                "{kind:?} {number}"
            );
            if !reached {
                break;
            }
            disk.boot();
            assert_eq!(disk.stage(), Stage::RolledBack, "{kind:?} {number}");
            assert!(read_by_grub(&disk, "/@/boot/grub/i386-pc/normal.mod").is_some());
        }
    }
}

/// An entry that somebody wrote for a flat root, by the links that Debian keeps in `/`.
fn own_entry(disk: &Disk, title: &str, prefix: &str, flags: &str) -> String {
    let uuid = &disk.uuid;
    format!(
        "#!/bin/sh\nexec tail -n +3 $0\nmenuentry '{title}' {{\n  search --no-floppy --fs-uuid \
         --set=root {uuid}\n  linux {prefix}/vmlinuz root=UUID={uuid} ro {flags}\n  initrd \
         {prefix}/initrd.img\n}}\n"
    )
}

const CUSTOM: &str = "etc/grub.d/40_custom";

/// As grub-mkconfig runs it.
fn write_custom(root: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    common::write(root, CUSTOM, text);
    fs::set_permissions(root.join(CUSTOM), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_an_entry_of_your_own_boots_is_not_deleted() {
    for kind in Kind::ALL {
        let (prefix, flags) = match kind {
            Kind::Flat => ("", ""),
            Kind::Rootfs => ("/@rootfs", "rootflags=subvol=@rootfs"),
        };
        let disk = Disk::with_system_of(kind);
        disk.in_old(|old| {
            write_custom(old, &own_entry(&disk, "mine", prefix, flags));
            for (link, to) in [
                ("vmlinuz", "boot/vmlinuz-6.1.0-1-amd64"),
                ("initrd.img", "boot/initrd.img-6.1.0-1-amd64"),
            ] {
                let _ = fs::remove_file(old.join(link));
                std::os::unix::fs::symlink(to, old.join(link)).unwrap();
            }
        });
        // It is said before, and stands in nobody's way.
        let ran = disk.run_inside("check");
        assert_eq!(ran.code, 0, "{ran:?}");
        let is_said = ran
            .stdout
            .contains("\"mine\" in /etc/grub.d/40_custom boots this system");
        assert_eq!(is_said, kind == Kind::Flat, "{ran:?}");
        let disk = moved_on(disk);
        let line = disk.new_command_line();
        let refused = |wanted: &[&str]| {
            assert_not_yet(
                &disk,
                &line,
                &[wanted, &["`update-grub`", "nothing is deleted"]].concat(),
            );
        };
        disk.rehearse();
        // Another root's name leads to the new system.
        if kind == Kind::Flat {
            refused(&["/etc/grub.d/40_custom: its menu entry \"mine\""]);
            // Root is the new one, and still the kernel is loaded by a link of the old one.
            let mixed = own_entry(&disk, "half mine", "", "rootflags=subvol=@");
            disk.mounted(|top| {
                fs::remove_file(top.join("@").join(CUSTOM)).unwrap();
                common::write(&top.join("@"), "boot/grub/custom.cfg", &mixed);
            });
            disk.rehearse();
            refused(&[
                "/boot/grub/custom.cfg: its menu entry \"half mine\" loads /vmlinuz of the old system",
            ]);
        }
        let mended = own_entry(&disk, "mine", "/@", "rootflags=subvol=@");
        disk.mounted(|top| {
            let _ = fs::remove_file(top.join("@/boot/grub/custom.cfg"));
            write_custom(&top.join("@"), &mended);
        });
        disk.rehearse();
        disk.record([Record::Disarmed]);
        disk.mounted(|top| fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap());
        let ran = disk.run_booted_with(&line, true, "finalize --yes");
        assert_eq!((ran.code, disk.stage()), (0, Stage::Finalized), "{ran:?}");
    }
}

/// Until there is no room for a single block of data.
fn fill(disk: &Disk) {
    disk.mounted(|top| {
        let file = top.join("@/var/full");
        let full = format!("of={}", file.display());
        for size in ["bs=1M", "bs=4k"] {
            let dd = std::process::Command::new("dd")
                .args([
                    "if=/dev/urandom",
                    size,
                    &full,
                    "oflag=append",
                    "conv=notrunc,fsync",
                ])
                .output()
                .unwrap();
            assert!(
                String::from_utf8_lossy(&dd.stderr).contains("No space left"),
                "{dd:?}"
            );
        }
    });
}

#[test]
fn a_rollback_on_a_full_disk_leaves_what_grub_reads() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.arm(After::Reboot);
        disk.boot();
        disk.boot();
        install_grub_in_the_new_system(&disk);
        disk.mounted(|top| {
            let big: Vec<u8> = (0..3_000_000_u32)
                .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
                .collect();
            fs::write(top.join("@/boot/grub/i386-pc/normal.mod"), big).unwrap();
        });
        disk.record([common::rollback_requested()]);
        fill(&disk);
        disk.boot();
        assert_eq!(
            disk.stage(),
            Stage::RolledBack,
            "{kind:?}: {}",
            disk.boot_log()
        );
        let config = read_by_grub(&disk, "/@/boot/grub/grub.cfg");
        assert!(config.is_some(), "{kind:?}: {}", disk.boot_log());
        assert!(
            disk.mounted(|top| top.join("@.rolled-back-1/etc/fstab").exists()),
            "{}",
            disk.boot_log()
        );
    }
}

fn seconds_now() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Writes to a file of the new system some time after now.
fn write_later(disk: &Disk, path: &str, text: &str) {
    std::thread::sleep(std::time::Duration::from_millis(2100));
    disk.mounted(|top| {
        let path = top.join("@").join(path);
        let old = fs::read_to_string(&path).unwrap();
        fs::write(&path, old + text).unwrap();
    });
}

const GRUB_CONFIG: &str = "boot/grub/grub.cfg";

#[test]
fn a_chain_that_this_boot_did_not_read_is_not_proved_by_it() {
    let disk = validated(Kind::Flat);
    disk.boot_with("subvol=@");
    assert_eq!(disk.stage(), Stage::Rehearsing);
    // An upgrade between the boot and the validation that passes.
    let began = seconds_now();
    write_later(&disk, GRUB_CONFIG, "# update-grub was here\n");
    let ran = disk.run_up_since(began, true, "validate");
    let state = disk.state();
    assert_eq!((ran.code, state.stage), (0, Stage::Validated), "{ran:?}");
    let reason = state.reason.unwrap();
    assert!(reason.contains("/boot/grub/grub.cfg"), "{reason}");
    let line = disk.new_command_line();
    assert_not_yet(&disk, &line, &["reboot once more", "/boot/grub/grub.cfg"]);
    disk.rehearse();
    // The same with images that hold nothing, once all was recorded already.
    let chain = disk.state().chain;
    let began = seconds_now();
    write_later(&disk, GRUB_CONFIG, "# update-grub was here again\n");
    let ran = disk.run_up_since(began, false, "finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&["reboot once more: /boot/grub/grub.cfg has changed"]);
    assert_eq!(
        (disk.stage(), disk.state().chain),
        (Stage::Rehearsed, chain)
    );
}

#[test]
fn root_flags_that_update_grub_puts_twice_are_no_fault() {
    let disk = Disk::with_system();
    disk.in_old(|old| {
        common::write(
            old,
            "etc/default/grub",
            "GRUB_CMDLINE_LINUX=\"rootflags=noatime\"\n",
        );
    });
    let disk = moved_on(disk);
    disk.mounted(|top| {
        let defaults = fs::read_to_string(top.join("@/etc/default/grub")).unwrap();
        assert!(
            defaults.contains("rootflags=subvol=@,noatime"),
            "{defaults}"
        );
        // As 10_linux does it.
        let config = top.join("@").join(GRUB_CONFIG);
        let text = fs::read_to_string(&config).unwrap();
        let twice = text.replace(
            "rootflags=subvol=@",
            "rootflags=subvol=@ rootflags=subvol=@,noatime",
        );
        assert_ne!(text, twice);
        fs::write(config, twice).unwrap();
    });
    let line = disk.new_command_line();
    let line = line.replace("subvol=@", "subvol=@ rootflags=subvol=@,noatime");
    let ran = disk.run_booted_with(&line, true, "validate");
    assert_eq!(ran.code, 0, "{ran:?}");
}

const WINDOWS: &str = "set default=\"Windows\"\nmenuentry 'Windows' {\n\tchainloader /EFI/Microsoft/Boot/bootmgfw.efi\n}\n";
const FEDORA: &str = "set default=\"Fedora\"\nmenuentry 'Fedora' {\n\tlinux /boot/vmlinuz-6.9 root=UUID=ff ro\n\tinitrd /boot/initramfs-6.9.img\n}\n";

fn add_to_menu(root: &Path, text: &str) {
    let config = root.join(GRUB_CONFIG);
    let old = fs::read_to_string(&config).unwrap();
    fs::write(config, old + text).unwrap();
}

#[test]
fn another_system_may_be_what_grub_starts_by_itself() {
    for kind in Kind::ALL {
        for other in [WINDOWS, FEDORA] {
            let disk = Disk::with_system_of(kind);
            disk.in_old(|old| add_to_menu(old, other));
            let ran = disk.run_inside("check");
            assert_eq!(ran.code, 0, "{ran:?}");
            let disk = moved_on(disk);
            disk.rehearse();
            // It becomes the default on trial.
            let disk = Disk::with_system_of(kind);
            let disk = moved_on(disk);
            disk.mounted(|top| add_to_menu(&top.join("@"), other));
            let ran = disk.run_booted_with(&disk.new_command_line(), true, "validate");
            assert_eq!(ran.code, 0, "{ran:?}");
        }
    }
}

#[test]
fn check_tells_what_the_proof_would_find_in_the_menu() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.in_old(|old| fs::write(old.join("boot/initrd.img-6.1.0-1-amd64"), "").unwrap());
        let ran = disk.run_inside("check");
        let failed = ran.failures().join("\n");
        assert!(
            failed.contains("initrd.img-6.1.0-1-amd64 is empty"),
            "{ran:?}"
        );
        assert!(!failed.contains("please report"), "{failed}");
    }
}

#[test]
fn where_no_rehearsal_will_come_finalize_says_what_to_do() {
    let disk = validated(Kind::Flat);
    let line = disk.new_command_line();
    let without = line.replace("rootflags=subvol=@ ", "");
    // One boot by another entry, or a loader that never will.
    let ran = disk.run_booted_with(&without, true, "finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&[
        "reboot by the first entry",
        "starts another system",
        "rootshift rollback",
    ]);
    // By the default subvolume it starts the right one, and no boot is a rehearsal.
    disk.mounted(|top| {
        common::run(
            "btrfs",
            &["subvolume", "set-default", top.join("@").to_str().unwrap()],
        );
    });
    assert_not_yet(
        &disk,
        &without,
        &["has no rootflags=subvol=@", "update-grub", "reboot"],
    );
    let ran = disk.run_booted_with(&without, true, "finalize --yes");
    assert!(!ran.stderr.contains("reboot once more"), "{ran:?}");
}

#[test]
fn a_number_beside_the_name_is_a_rehearsal_too() {
    let disk = validated(Kind::Flat);
    let id = disk.mounted(|top| {
        let told = common::run(
            "btrfs",
            &["subvolume", "show", top.join("@").to_str().unwrap()],
        );
        let line = told
            .lines()
            .find(|line| line.contains("Subvolume ID:"))
            .unwrap()
            .to_owned();
        line.split_whitespace().next_back().unwrap().to_owned()
    });
    disk.boot_with(&format!("subvol=@,subvolid={id}"));
    assert_eq!((disk.root_flags(), disk.stage()), (None, Stage::Rehearsing));
}

#[test]
fn a_boot_that_proves_the_same_again_hardly_fills_the_journal() {
    let disk = validated(Kind::Flat);
    disk.rehearse();
    let chain = disk.state().chain;
    disk.rehearse();
    assert_eq!(disk.state().chain, chain);
    let records = disk.records();
    let last = records.last();
    assert!(
        matches!(last, Some(Record::Rehearsed { chain, root: Some(_) }) if chain.is_empty()),
        "{last:?}"
    );
}

/// `.boot.rootshift` looks like a leftover of a tool; it is all that the old system's GRUB reads.
#[test]
fn no_boot_goes_back_to_an_old_system_whose_boot_directory_is_gone() {
    let disk = validated(Kind::Flat);
    disk.mounted(|top| fs::remove_dir_all(top.join(".boot.rootshift")).unwrap());
    disk.record([common::rollback_requested()]);
    disk.boot();
    let (stage, flags) = (disk.stage(), disk.root_flags());
    let ours = "/boot/grub/grub.cfg";
    assert!(
        read_by_grub(&disk, ours).is_some(),
        "{stage:?}, {flags:?}: GRUB finds no {ours}; the new system is whole as @.rolled-back-1: {}",
        disk.mounted(|top| top.join("@.rolled-back-1/boot/grub/grub.cfg").exists())
    );
}

/// Timeshift has put a snapshot back as `@` before the rollback, and GRUB was installed from there: what
/// `check` says next must not take its configuration away.
#[test]
fn a_remedy_does_not_take_away_what_an_installed_grub_begins_at() {
    let disk = validated(Kind::Rootfs);
    install_grub_in_the_new_system(&disk);
    disk.mounted(|top| {
        let [root, before] = ["@", "@.before"].map(|name| top.join(name));
        fs::rename(&root, &before).unwrap();
        let [to, from] = [&root, &before].map(|path| path.to_str().unwrap());
        common::run("btrfs", &["-q", "subvolume", "snapshot", from, to]);
    });
    disk.record([common::rollback_requested()]);
    disk.boot();
    assert_eq!(disk.stage(), Stage::RolledBack);
    disk.record([Record::Disarmed]);
    let ran = disk.run_inside("check");
    if !ran.stdout.contains("mv -T /mnt/@ /mnt/@.old") {
        return;
    }
    disk.mounted(|top| fs::rename(top.join("@"), top.join("@.old")).unwrap());
    let found = read_by_grub(&disk, "/@/boot/grub/grub.cfg");
    assert!(found.is_some(), "{:?}", ran.failures());
}
