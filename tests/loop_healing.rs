//! The machine that heals itself: a new root that can't be booted, and systemd's emergency mode.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Disk, Kind, Ran, WOULD_REBOOT, assert_same, install, run};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::journal::Record;
use rootshift::tree::manifest::Manifest;

const KEPT: [&str; 3] = [
    "@.rolled-back-1",
    "@home.rolled-back-1",
    "@var_log.rolled-back-1",
];

/// A disk whose new system is root and was booted once, and everything in the old one.
fn on_trial(kind: Kind) -> (Disk, Manifest) {
    try_out(Disk::with_system_of(kind))
}

fn try_out(disk: Disk) -> (Disk, Manifest) {
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    (disk, old)
}

fn past_validation(kind: Kind) -> (Disk, Manifest) {
    let (disk, old) = on_trial(kind);
    disk.record([common::validated()]);
    (disk, old)
}

fn without_init(top: &Path) {
    fs::remove_file(top.join("@/usr/sbin/init")).unwrap();
}

fn without_new_root(top: &Path) {
    fs::rename(top.join("@"), top.join("@mine")).unwrap();
}

fn boot_with(disk: &Disk, variables: &[(&str, &str)]) -> Ran {
    let _ = fs::remove_file(disk.param_conf());
    let mut command = disk.boot_command(env!("CARGO_BIN_EXE_rootshift"));
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// One boot brings the old system back; what was changed in the new one is kept, and told.
fn goes_back_at_once(disk: &Disk, old: &Manifest, reason: &str) {
    assert_eq!(disk.boot(), 0);
    is_back(disk, old, reason);
}

fn is_back(disk: &Disk, old: &Manifest, reason: &str) {
    assert_eq!(disk.root_flags().as_deref(), Some(disk.kind.root_flags()));
    let state = disk.state();
    assert_eq!(state.stage, Stage::RolledBack, "{state:#?}");
    let why = state.reason.unwrap();
    assert!(why.contains(reason), "{why}");
    assert_same(old, &disk.old_manifest());
    disk.check();
    let status = disk.run_inside("status");
    assert_eq!(status.code, 0, "{}", status.stderr);
    for wanted in [why].iter().chain(&state.kept) {
        assert!(status.says(wanted), "{}", status.stdout);
    }
}

#[test]
fn a_new_root_without_an_init_gives_way_to_the_old_one_in_the_same_boot() {
    for kind in Kind::ALL {
        let (disk, old) = on_trial(kind);
        disk.mounted(|top| {
            fs::write(top.join("@/etc/new-work"), "kept").unwrap();
            without_init(top);
        });
        goes_back_at_once(&disk, &old, "the new system's root holds no init");
        assert_eq!(disk.state().kept, KEPT);
        let kept = disk.mounted(|top| fs::read(top.join("@.rolled-back-1/etc/new-work")));
        assert_eq!(kept.unwrap(), b"kept");
        // And it stays so.
        disk.boot();
        assert_eq!(disk.root_flags().as_deref(), Some(kind.root_flags()));
    }
}

/// There is no way back for good, and still only one root that starts.
#[test]
fn an_old_system_that_can_not_be_gone_back_to_boots_where_the_new_one_does_not() {
    let (disk, _) = on_trial(Kind::Flat);
    disk.record([common::validated()]);
    disk.mounted(|top| {
        without_init(top);
        fs::remove_dir_all(top.join(".boot.rootshift")).unwrap();
    });
    for _ in 0..2 {
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=/"));
        let stage = disk.stage();
        assert!(stage.new_system_is_root(), "{stage:?}");
    }
    assert!(disk.mounted(|top| top.join("@/boot/grub/grub.cfg").is_file()));
}

#[test]
fn giving_way_restarts_where_the_old_system_has_no_modules_for_the_kernel() {
    let (disk, _) = on_trial(Kind::Rootfs);
    disk.mounted(|top| {
        without_init(top);
        let old = top.join(".@rootfs.rootshift");
        common::write(&old, "lib/modules/6.1.0-1-amd64/modules.dep", "");
    });
    assert_eq!(disk.boot(), WOULD_REBOOT);
    assert_eq!(disk.stage(), Stage::RolledBack);
    assert_eq!(disk.boot(), 0, "once only");
    let old = disk.kind.root_flags();
    assert_eq!(disk.root_flags().as_deref(), Some(old));
}

#[test]
fn a_new_root_that_was_renamed_gives_way_to_the_old_one_and_stays_where_it_is() {
    for kind in Kind::ALL {
        let (disk, old) = on_trial(kind);
        disk.mounted(without_new_root);
        goes_back_at_once(&disk, &old, "the new system's root can't be mounted");
        assert_eq!(disk.state().kept, KEPT[1..]);
        assert!(disk.mounted(|top| top.join("@mine/etc/fstab").is_file()));
    }
}

#[test]
fn a_new_root_that_was_deleted_gives_way_to_the_old_one_even_when_it_was_validated() {
    for kind in Kind::ALL {
        let (disk, old) = past_validation(kind);
        disk.mounted(|top| {
            let nested = top.join("@/var/lib/portables");
            for gone in [nested, top.join("@")] {
                run(
                    "btrfs",
                    &["-q", "subvolume", "delete", gone.to_str().unwrap()],
                );
            }
        });
        goes_back_at_once(&disk, &old, "the new system's root can't be mounted");
    }
}

#[test]
fn nothing_is_tried_that_changes_the_new_system() {
    let (disk, _) = past_validation(Kind::Flat);
    let seen = |disk: &Disk| disk.mounted(common::manifest_of_new);
    let (before, generation) = (seen(&disk), generation(&disk));
    disk.boot();
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert!(common::compare(&before, &seen(&disk)).is_equal());
    assert_eq!(generation, self::generation(&disk));
    assert_eq!(disk.stage(), Stage::Validated);
}

/// The transaction in which a subvolume's tree was changed last.
fn generation(disk: &Disk) -> String {
    disk.mounted(|top| {
        let shown = run(
            "btrfs",
            &["subvolume", "show", top.join("@").to_str().unwrap()],
        );
        let line = shown.lines().find(|line| line.contains("Generation:"));
        line.unwrap().trim().to_owned()
    })
}

#[test]
fn options_that_the_kernel_refuses_are_left_out_and_told() {
    for kind in Kind::ALL {
        let (disk, _) = past_validation(kind);
        let flags = [("ROOTFLAGS", "-o subvol=@,no-such-option")];
        assert_eq!(boot_with(&disk, &flags).code, 0);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
        let state = disk.state();
        assert_eq!(state.stage, Stage::Validated);
        let why = state.reason.unwrap();
        assert!(
            why.contains("subvol=@,no-such-option") && why.contains("without"),
            "{why}"
        );
        // A good one stays.
        boot_with(&disk, &[("ROOTFLAGS", "-o noatime")]);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@,noatime"));
    }
}

#[test]
fn an_old_root_is_booted_without_options_that_the_kernel_refuses() {
    for kind in Kind::ALL {
        let (disk, old) = on_trial(kind);
        disk.mounted(without_init);
        boot_with(&disk, &[("ROOTFLAGS", "-o no-such-option")]);
        is_back(&disk, &old, "the new system's root can't be mounted");
    }
}

#[test]
fn when_neither_root_can_be_booted_the_journal_decides_and_nothing_is_changed() {
    let (disk, _) = past_validation(Kind::Flat);
    disk.mounted(|top| {
        without_init(top);
        fs::remove_file(top.join("usr/sbin/init")).unwrap();
    });
    for _ in 0..3 {
        assert_eq!(disk.boot(), 0);
        assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
        let state = disk.state();
        assert_eq!(state.stage, Stage::Validated);
        let why = state.reason.unwrap();
        assert!(why.contains("the old system's root holds no init"), "{why}");
    }
    let is_refusal = |record: &&Record| matches!(record, Record::Refused { .. });
    assert_eq!(disk.records().iter().filter(is_refusal).count(), 1);
}

#[test]
fn an_init_of_the_command_line_is_looked_for_first() {
    let (disk, _) = past_validation(Kind::Flat);
    disk.mounted(|top| fs::rename(top.join("@/usr/sbin/init"), top.join("@/usr/sbin/my")).unwrap());
    boot_with(&disk, &[("init", "/sbin/my")]);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_eq!(disk.stage(), Stage::Validated);
}

#[test]
fn a_system_that_goes_on_without_a_restart_is_tried_as_well() {
    let disk = Disk::with_system();
    disk.arm(After::Continue);
    boot_with(&disk, &[("ROOTFLAGS", "-o no-such-option")]);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_eq!(disk.stage(), Stage::Committed);
}

/// systemctl, as far as it is needed: `systemctl reboot` leaves a file /reboot.
fn with_systemctl(disk: &Disk, program: &str) {
    disk.mounted(|top| {
        fs::remove_file(top.join("@/usr/sbin/systemctl")).unwrap();
        install(&top.join("@"), program, "systemctl");
    });
}

fn restarted(disk: &Disk) -> bool {
    disk.mounted(|top| top.join("@/reboot").exists())
}

const EMERGENCY: &str = "rollback --emergency 1";
const REASON: &str = "the new system, on trial, ended in systemd's emergency mode";

#[test]
fn an_emergency_on_trial_restarts_into_the_old_system() {
    for kind in Kind::ALL {
        let (disk, old) = on_trial(kind);
        with_systemctl(&disk, "/usr/bin/touch");
        // As when /var never came.
        disk.mounted(|top| fs::remove_dir_all(top.join("@/var/lib")).unwrap());
        let ran = disk.run_in_new_system(EMERGENCY);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stdout.contains("in 1 s the machine restarts"),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("systemctl stop rootshift-emergency"));
        assert!(restarted(&disk));
        assert_eq!(disk.stage(), Stage::RollbackRequested);
        goes_back_at_once(&disk, &old, REASON);
        assert_eq!(disk.state().kept, KEPT);
    }
}

#[test]
fn an_emergency_needs_no_more_than_a_read_only_root() {
    let (disk, old) = on_trial(Kind::Flat);
    with_systemctl(&disk, "/usr/bin/true");
    let ran = disk.run_in_read_only_new_system(EMERGENCY);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(disk.stage(), Stage::RollbackRequested);
    goes_back_at_once(&disk, &old, REASON);
}

#[test]
fn an_emergency_of_a_system_that_is_not_on_trial_is_only_told() {
    let (disk, _) = past_validation(Kind::Flat);
    with_systemctl(&disk, "/usr/bin/touch");
    let records = disk.records();
    let ran = disk.run_in_new_system(EMERGENCY);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.says("passed its validation"), "{}", ran.stdout);
    assert!(!restarted(&disk));
    assert_eq!(disk.records(), records);
    let unarmed = Disk::with_system();
    let ran = unarmed.run_inside(EMERGENCY);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("Nothing is armed"), "{}", ran.stdout);
}

#[test]
fn a_restart_that_is_stopped_leaves_the_system_on_trial() {
    let (disk, _) = on_trial(Kind::Flat);
    with_systemctl(&disk, "/usr/bin/touch");
    let records = disk.records();
    let ran = disk.run_in_new_system_for("3", "rollback --emergency 1000");
    assert_eq!(ran.code, 124, "{}", ran.stderr);
    assert!(ran.stdout.contains("in 1000 s"), "{}", ran.stdout);
    assert!(!restarted(&disk));
    assert_eq!(disk.records(), records);
}

const UNITS: &str = "initramfs-hooks/systemd";
const VALIDATE: &str = "rootshift-validate.service";

/// What `systemd-analyze verify` says of a boot with the shipped units, each changed by `edit`,
/// and with a unit that has a say in the boot's success after all others were started.
fn verified(edit: impl Fn(&str) -> String) -> String {
    const HEALTH: &str = "[Unit]\nDescription=d\nAfter=multi-user.target\n\
                          Before=boot-complete.target\n[Service]\nExecStart=/bin/true\n";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let want = |unit: &str, directory: &str| {
        let directory = folder.join(directory);
        fs::create_dir_all(&directory).unwrap();
        std::os::unix::fs::symlink(format!("../{unit}"), directory.join(unit)).unwrap();
    };
    for entry in fs::read_dir(common::repository().join(UNITS)).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text.replace("/usr/sbin/rootshift", "/bin/true");
        fs::write(folder.join(path.file_name().unwrap()), edit(&text)).unwrap();
    }
    fs::write(folder.join("health.service"), HEALTH).unwrap();
    want("health.service", "boot-complete.target.requires");
    want(VALIDATE, "multi-user.target.wants");
    want("rootshift-emergency.service", "emergency.target.wants");
    let path = format!("{}:/lib/systemd/system", folder.display());
    let output = Command::new("systemd-analyze")
        .args([
            "verify",
            "--man=no",
            "multi-user.target",
            "emergency.target",
        ])
        .args([
            folder.join(VALIDATE),
            folder.join("rootshift-emergency.service"),
        ])
        .env("SYSTEMD_UNIT_PATH", path)
        .output()
        .unwrap_or_else(|cause| panic!("{cause}: run `apt-get install systemd`"));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn units_may_have_a_say_in_the_validation_whatever_they_wait_for() {
    let ours = |said: &str| {
        let lines = said.lines();
        let ours = lines.filter(|line| {
            ["rootshift", "cycle", "health"]
                .iter()
                .any(|word| line.contains(word))
        });
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    let said = verified(str::to_owned);
    assert_eq!(ours(&said), [""; 0]);
    // The default dependencies make the cycle that the unit does without.
    let said = verified(|text| text.replace("DefaultDependencies=no\n", ""));
    assert!(said.contains("ordering cycle"), "{said}");
}

const MARK: &[u8] = b"a block of which there are two copies; one is damaged on disk...";

/// btrfs reads a damaged copy of a block, counts that, and corrects it from the other one.
fn have_a_read_corrected(disk: &Disk) {
    disk.mounted(|top| {
        fs::write(top.join("@/var/two"), MARK.repeat(4096)).unwrap();
        let convert = ["balance", "start", "-f", "-dconvert=dup"];
        run("btrfs", &[&convert[..], &[top.to_str().unwrap()]].concat());
    });
    let image = fs::read(&disk.image).unwrap();
    let copies = image.chunks(4096).enumerate();
    let copies = copies.filter(|(_, block)| block.starts_with(MARK));
    let places: Vec<u64> = copies.map(|(at, _)| at as u64 * 4096).collect();
    assert_eq!(places.len(), 2 * 64);
    let mut writable = fs::OpenOptions::new();
    let writable = writable.write(true).open(&disk.device).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&writable, &[b'?'; 512], places[0]).unwrap();
    writable.sync_all().unwrap();
    disk.mounted(|top| {
        let read = fs::read(top.join("@/var/two")).unwrap();
        assert!(read == MARK.repeat(4096));
        // The next commit writes the count down.
        fs::write(top.join("@/var/three"), "").unwrap();
    });
}

#[test]
fn a_read_that_btrfs_has_corrected_takes_no_good_system_back() {
    // Also where every validation has a say.
    let shipped = common::repository().join("batches/flat-to-subvolumes.json");
    let text = fs::read_to_string(shipped).unwrap();
    let strict = text.replace("\"required\": false", "\"required\": true");
    assert_ne!(text, strict);
    let mut disk = Disk::with_system();
    disk.use_batch(&strict);
    let (disk, _) = try_out(disk);
    have_a_read_corrected(&disk);
    let line = disk.new_command_line();
    let ran = disk.run_booted_with(&line, true, "validate");
    let counted =
        "note the devices have counted no errors: / has counted errors: device 1: 1 corruption";
    assert!(ran.stdout.contains(counted), "{ran:?}");
    assert_eq!((ran.code, disk.stage()), (0, Stage::Validated), "{ran:?}");
}
