//! The process that does the work of a boot is killed, hangs, panics or is refused memory: the same
//! boot goes on into the right system, `status` says why, and the next boot goes on with the work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Disk, Kind, WOULD_REBOOT, assert_same, run};
use rootshift::documents::plan::{After, JOURNAL, PLAN};
use rootshift::engine::boot::{BrokenOff, Found, Next, after_breaking_off};
use rootshift::engine::home::Migration;
use rootshift::engine::occasion::Occasion;
use rootshift::engine::{Stage, State};
use rootshift::fault::POINTS;
use rootshift::journal::Record;
use rootshift::sys::Root;

/// A boot whose worker stands still at a fault point.
struct Stopped {
    guard: Child,
    stderr: BufReader<ChildStderr>,
}

impl Stopped {
    /// None when the boot ended without getting there.
    fn at(disk: &Disk, fault: &str) -> Option<Self> {
        let mut guard = disk.boot_until(fault);
        let mut stderr = BufReader::new(guard.stderr.take().unwrap());
        let mut line = String::new();
        while stderr.read_line(&mut line).unwrap() > 0 {
            if line.contains("fault point") {
                return Some(Self { guard, stderr });
            }
            line.clear();
        }
        guard.wait().unwrap();
        None
    }

    fn worker(&self) -> String {
        let pid = self.guard.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let mut children = children.split_whitespace();
        let worker = children.next().unwrap().to_owned();
        assert_eq!(children.next(), None, "one worker at a time");
        worker
    }

    fn kill_worker(self) -> i32 {
        run("kill", &["-9", &self.worker()]);
        self.code()
    }

    fn code(mut self) -> i32 {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        self.guard.wait().unwrap().code().unwrap()
    }
}

/// A boot with more arguments and more environment, to its end.
fn boot_with(disk: &Disk, arguments: &[&str], environment: &[(&str, &str)]) -> i32 {
    let _ = fs::remove_file(disk.param_conf());
    let mut command = disk.boot_command(env!("CARGO_BIN_EXE_rootshift"));
    command.args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    output.status.code().expect("the guard was killed")
}

/// The boot went on into the root that the journal names, and the journal says why.
fn assert_told(disk: &Disk, at: &str, how: &str) -> State {
    let state = disk.state();
    let flags = match state.stage {
        stage if stage.new_system_is_root() => Some("subvol=@"),
        Stage::RollingBack | Stage::RolledBack => Some(disk.kind.root_flags()),
        _ => None,
    };
    assert_eq!(disk.root_flags().as_deref(), flags, "{at}: {state:#?}");
    let reason = state.reason.clone().unwrap_or_default();
    assert!(reason.starts_with(how), "{at}: {reason}");
    state
}

const KILLED: &str = "rootshift was killed by signal 9 ";

/// The first passage of each and every sixteenth; `cargo xtask test --thorough` takes all.
fn passages(point: &str) -> impl Iterator<Item = String> {
    let thorough = common::is_thorough();
    let passages = (1..100).filter(move |passage| thorough || passage % 16 == 1);
    let point = point.to_owned();
    passages.map(move |passage| format!("{point}:{passage}"))
}

#[test]
fn a_worker_killed_anywhere_in_the_migration_leaves_the_right_root_and_a_reason() {
    let points: Vec<&str> = POINTS.to_vec();
    kill_everywhere(Disk::with_system_of(Kind::Flat), &points);
    let few = ["before-commit", "committed", "step-applied"];
    let points = if common::is_thorough() {
        &points
    } else {
        &few[..]
    };
    kill_everywhere(Disk::with_system_of(Kind::Rootfs), points);
}

#[test]
fn what_a_killed_worker_had_mounted_is_unmounted_on_every_disk() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    let old = disk.other().old_manifest();
    disk.arm(After::Reboot);
    let stopped =
        Stopped::at(&disk, "before-commit").unwrap_or_else(|| panic!("{}", disk.boot_log()));
    // As one does that is killed while it tries a root.
    let tried = disk.folder.join("boot.root");
    fs::create_dir_all(&tried).unwrap();
    let tried = tried.to_str().unwrap();
    run("mount", &["-o", "ro,subvol=/", &disk.device, tried]);
    assert_eq!(stopped.kill_worker(), 0);
    assert_told(&disk, "two disks", KILLED);
    // It waits until the kernel has let go of the disk.
    assert_same(&old, &disk.other().old_manifest());
    disk.boot_to_the_end("two disks");
}

fn kill_everywhere(mut disk: Disk, points: &[&str]) {
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    let (mut before, mut after) = (0, 0);
    for point in points.iter().filter(|point| !common::is_of_rollback(point)) {
        for at in passages(point) {
            disk.restore(&armed);
            let Some(stopped) = Stopped::at(&disk, &at) else {
                assert!(!at.ends_with(":1"), "{at} was never reached");
                break;
            };
            assert_eq!(stopped.kill_worker(), 0, "{at}");
            let state = assert_told(&disk, &at, KILLED);
            let place = state.reason.unwrap();
            if ["step-applied:1", "step-synced:1"].contains(&at.as_str()) {
                assert_eq!(place, format!("{KILLED}in step {}", state.open[0]), "{at}");
            }
            match state.stage {
                Stage::Preparing => before += 1,
                Stage::Committed => after += 1,
                stage => panic!("{at}: {stage:?}"),
            }
            assert_eq!(state.attempts, 1, "{at}");
            disk.boot_to_the_end(&at);
            assert_same(&old, &disk.new_manifest());
        }
    }
    assert!(before > 1 && after > 0, "{before} before, {after} after");
    assert!(before + after >= points.len() - 3, "a point was left out");
    println!(
        "{:?}: {before} before the commit, {after} after it",
        disk.kind
    );
}

#[test]
fn a_worker_killed_anywhere_in_a_rollback_leaves_the_old_root_and_a_reason() {
    let mut disk = Disk::with_system_of(Kind::Rootfs);
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    assert_eq!(disk.boot(), WOULD_REBOOT);
    disk.record([common::rollback_requested()]);
    let requested = disk.keep_copy("requested.img");
    for point in POINTS.iter().filter(|point| common::is_of_rollback(point)) {
        for at in (1..20)
            .step_by(3)
            .map(|passage| format!("{point}:{passage}"))
        {
            disk.restore(&requested);
            let Some(stopped) = Stopped::at(&disk, &at) else {
                assert!(!at.ends_with(":1"), "{at} was never reached");
                break;
            };
            assert_eq!(stopped.kill_worker(), 0, "{at}");
            let flags = disk.root_flags().unwrap();
            disk.mounted(|top| {
                let name = flags.strip_prefix("subvol=").unwrap();
                let root = top.join(name);
                assert!(root.join("etc/fstab").is_file(), "{at}: {name}");
                assert!(!root.is_symlink(), "{at}: {name}");
            });
            let reason = disk.state().reason.unwrap();
            assert!(reason.starts_with(KILLED), "{at}: {reason}");
            assert_eq!(disk.boot(), 0, "{at}");
            assert_eq!(disk.stage(), Stage::RolledBack, "{at}");
            assert_same(&old, &disk.old_manifest());
        }
    }
}

#[test]
fn a_hung_step_is_ended_by_the_deadline() {
    let mut disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    for (fault, committed) in [
        ("step-begun:3", false),
        ("deciding", false),
        ("committed", true),
    ] {
        disk.restore(&armed);
        let begun = Instant::now();
        let code = boot_with(
            &disk,
            &["--deadlines", "1,60"],
            &[("ROOTSHIFT_FAULT", fault)],
        );
        assert_eq!(code, 0, "{fault}");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert!(begun.elapsed() < Duration::from_secs(40));
        let state = assert_told(&disk, fault, "no progress for 1 s: rootshift was ended ");
        assert_eq!(state.stage.new_system_is_root(), committed, "{fault}");
        let status = disk.run_inside("status");
        assert!(status.says(&state.reason.unwrap()), "{status:?}");
        disk.boot_to_the_end(fault);
        assert_same(&old, &disk.new_manifest());
    }
}

#[test]
fn a_hung_worker_takes_the_program_along_that_it_waits_for() {
    let mut disk = Disk::with_system();
    disk.use_batch(&common::batch("{}", "{}"));
    let seconds = format!("{}", 100_000 + std::process::id());
    let wait = serde_json::json!({ "name": "wait", "check": { "command-output": {
        "argv": ["sleep", seconds], "timeout_seconds": 1 } } });
    add_check(&disk, wait);
    disk.arm(After::Reboot);
    let guard = disk
        .boot_command(env!("CARGO_BIN_EXE_rootshift"))
        .spawn()
        .unwrap();
    let sleeps = || {
        let found = Command::new("pgrep")
            .args(["-f", &format!("sleep {seconds}")])
            .output();
        !found.unwrap().stdout.is_empty()
    };
    let begun = Instant::now();
    while !sleeps() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never slept");
        std::thread::sleep(Duration::from_millis(5));
    }
    let stderr = BufReader::new(tail_of_nothing());
    let stopped = Stopped { guard, stderr };
    assert_eq!(stopped.kill_worker(), 0);
    assert!(!sleeps(), "the program outlived the boot");
    assert_told(&disk, "sleep", KILLED);
}

#[test]
fn a_question_at_a_checkpoint_and_a_slow_program_are_not_taken_for_a_hung_worker() {
    let mut batch: serde_json::Value = serde_json::from_str(&common::batch("{}", "{}")).unwrap();
    batch["interactive_checkpoints"] = true.into();
    batch["checkpoint_seconds"] = 3.into();
    let mut disk = Disk::with_system();
    disk.use_batch(&batch.to_string());
    let wait = serde_json::json!({ "name": "wait", "check": { "command-output": {
        "argv": ["sleep", "3"], "timeout_seconds": 20 } } });
    add_check(&disk, wait);
    disk.arm(After::Reboot);
    let console = disk.folder.join("console");
    run("mkfifo", &[console.to_str().unwrap()]);
    disk.console = Some(console);
    let begun = Instant::now();
    let code = boot_with(&disk, &["--deadlines", "2,60"], &[]);
    assert_eq!(code, WOULD_REBOOT, "{:?}", disk.state().reason);
    // A checkpoint ends each of the two phases in the initramfs.
    assert!(begun.elapsed() >= Duration::from_secs(9));
}

fn add_check(disk: &Disk, check: serde_json::Value) {
    let script = disk
        .folder
        .join("viscripts/btrfs_pre_reboot_validation_viScript.json");
    let text = fs::read_to_string(&script).unwrap();
    let mut text: serde_json::Value = serde_json::from_str(&text).unwrap();
    text["checks"].as_array_mut().unwrap().insert(0, check);
    fs::write(&script, text.to_string()).unwrap();
}

/// Where nobody reads what a boot says.
fn tail_of_nothing() -> ChildStderr {
    let mut child = Command::new("true").stderr(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stderr.take().unwrap()
}

#[test]
fn a_panic_and_an_empty_memory_end_in_an_ordinary_boot() {
    let mut disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    for (fault, then, how) in [
        ("step-applied:2", "panic", "rootshift ended with status 101"),
        ("committed", "panic", "rootshift ended with status 101"),
        (
            "step-applied:2",
            "exhaust",
            "rootshift was killed by signal 6",
        ),
    ] {
        disk.restore(&armed);
        let at = format!("{then} at {fault}");
        assert_eq!(boot_limited(&disk, 131_072, fault, then), 0, "{at}");
        assert_told(&disk, &at, how);
        disk.boot_to_the_end(&at);
        assert_same(&old, &disk.new_manifest());
    }
}

/// A boot whose processes may take so many KiB of addresses each.
fn boot_limited(disk: &Disk, kibibytes: u32, fault: &str, then: &str) -> i32 {
    let _ = fs::remove_file(disk.param_conf());
    let boot = disk.boot_command(env!("CARGO_BIN_EXE_rootshift"));
    let script = format!("ulimit -c 0; ulimit -v {kibibytes} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(boot.get_program());
    command.args(boot.get_args()).env("ROOTFLAGS", "");
    command
        .env("ROOTSHIFT_FAULT", fault)
        .env("ROOTSHIFT_FAULT_THEN", then);
    // The kernel may kill a program that it can't load.
    command.output().unwrap().status.code().unwrap_or(-1)
}

#[test]
fn too_little_memory_harms_nothing_and_128_mebibytes_are_plenty() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let mut refused = 0;
    for mebibytes in [2_u32, 4, 5, 6, 7, 8] {
        let code = boot_limited(&disk, mebibytes << 10, "", "");
        // The hook goes on whatever the status is: the kernel may refuse to start it at all.
        if code == WOULD_REBOOT {
            break;
        }
        refused += 1;
        assert!(!disk.stage().new_system_is_root(), "{mebibytes} MiB");
        assert_eq!(disk.root_flags(), None, "{mebibytes} MiB");
        assert_same(&old, &disk.old_manifest());
    }
    assert!(refused > 0, "2 MiB were enough");
    if !disk.stage().new_system_is_root() {
        assert_eq!(boot_limited(&disk, 131_072, "", ""), WOULD_REBOOT);
    }
    assert_same(&old, &disk.new_manifest());
    let peaks = disk
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Done { usage, .. } => usage.map(|usage| usage.peak_memory_bytes),
            _ => None,
        });
    let peak = peaks.max().unwrap() >> 10;
    println!("refused {refused} times; the most memory held: {peak} KiB");
    assert!(peak < 32 << 10, "{peak} KiB");
}

#[test]
fn a_journal_that_cannot_be_opened_any_more_leaves_the_root_that_was_named() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    for (fault, flags) in [("step-applied:2", None), ("committed", Some("subvol=@"))] {
        disk.restore(&armed);
        let stopped = Stopped::at(&disk, fault).unwrap();
        // As a process that can't die would: somebody has the lock as soon as it is free.
        let journal = disk.folder.join("boot").join(JOURNAL);
        let holds = disk.folder.join("holds");
        let script = format!("touch {}; exec sleep 60", holds.display());
        let mut holder = Command::new("flock")
            .arg(&journal)
            .args(["sh", "-c", &script])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(!holds.exists());
        let begun = Instant::now();
        assert_eq!(stopped.kill_worker(), 0, "{fault}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{fault}");
        assert!(holds.exists(), "{fault}");
        assert_eq!(disk.root_flags().as_deref(), flags, "{fault}");
        run("pkill", &["-P", &holder.id().to_string()]);
        holder.wait().unwrap();
        disk.boot_to_the_end(fault);
        fs::remove_file(holds).unwrap();
    }
}

#[test]
fn a_second_worker_that_hangs_too_is_ended_and_the_named_root_stays() {
    let mut disk = Disk::with_system();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    for (fault, flags, ends) in [
        ("step-applied:2,noting", None, 0),
        ("committed,noting", Some("subvol=@"), 0),
        // Which root the journal names nobody knows: the machine restarts.
        ("deciding,noting", None, WOULD_REBOOT),
    ] {
        disk.restore(&armed);
        let begun = Instant::now();
        let code = boot_with(
            &disk,
            &["--deadlines", "1,3"],
            &[("ROOTSHIFT_FAULT", fault)],
        );
        assert_eq!(code, ends, "{fault}");
        assert!(begun.elapsed() >= Duration::from_secs(4), "{fault}");
        assert!(begun.elapsed() < Duration::from_secs(40), "{fault}");
        assert_eq!(disk.root_flags().as_deref(), flags, "{fault}");
        let _ = Command::new("umount")
            .arg(disk.folder.join("boot"))
            .output();
        disk.boot_to_the_end(fault);
    }
}

#[test]
fn a_second_worker_that_learns_nothing_decides_nothing() {
    let mut disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let armed = disk.keep_copy("armed.img");
    let aside = Path::new(".rootshift/aside");
    for (fault, ends) in [("step-applied:2", 0), ("deciding", WOULD_REBOOT)] {
        disk.restore(&armed);
        let stopped = Stopped::at(&disk, fault).unwrap();
        let top = disk.folder.join("boot");
        fs::rename(top.join(PLAN), top.join(aside)).unwrap();
        assert_eq!(stopped.kill_worker(), ends, "{fault}");
        if ends == 0 {
            // What the journal could not take is the boot's last word, which `status` shows.
            let said = disk.boot_log();
            let last = said.lines().last().unwrap_or_default();
            assert!(last.contains(KILLED), "{said}");
            assert!(last.ends_with("; the boot goes on"), "{said}");
        }
        assert_eq!(disk.root_flags(), None, "{fault}");
        disk.mounted(|top| fs::rename(top.join(aside), top.join(PLAN)).unwrap());
        disk.boot_to_the_end(fault);
        assert_same(&old, &disk.new_manifest());
    }
}

#[test]
fn a_guard_that_is_killed_takes_its_worker_along_and_has_named_the_root() {
    let disk = Disk::with_system();
    let old = disk.old_manifest();
    disk.arm(After::Reboot);
    let mut stopped = Stopped::at(&disk, "committed").unwrap();
    let worker = Path::new("/proc").join(stopped.worker());
    let begun = Instant::now();
    while disk.root_flags().is_none() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1)); // the line of the fault point came first
    }
    stopped.guard.kill().unwrap();
    stopped.guard.wait().unwrap();
    let begun = Instant::now();
    while fs::read_to_string(worker.join("cmdline")).is_ok_and(|line| !line.is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    // The left-over mount is in nobody's way: root is mounted read-only beside it, then writable.
    let root = disk.folder.join("root");
    fs::create_dir(&root).unwrap();
    let root = root.to_str().unwrap();
    run("mount", &["-o", "ro,subvol=@", &disk.device, root]);
    run("mount", &["-o", "remount,rw", root]);
    run("umount", &[root]);
    run("umount", &[disk.folder.join("boot").to_str().unwrap()]);
    disk.boot_to_the_end("guard");
    assert_same(&old, &disk.new_manifest());
}

#[test]
fn a_boot_that_broke_off_before_it_was_counted_is_counted_all_the_same() {
    let disk = Disk::with_system();
    let attempts = disk.arm(After::Reboot).attempts;
    let break_off = |counted| {
        disk.mounted(|top| {
            let top = Root::open(top).unwrap();
            let mut migration = Migration::open(&top).unwrap().unwrap();
            let found = Found {
                boot: None,
                release: None,
                image_plan: "",
                root_flags: "",
                console: Path::new("/nonexistent"),
                occasion: Occasion::Work,
            };
            let reason = "it was hit";
            let broken_off = BrokenOff { reason, counted };
            after_breaking_off(&top, &mut migration, found, broken_off)
        })
    };
    assert_eq!(break_off(true), Next::Ordinary);
    assert_eq!(disk.state().attempts, 0);
    for number in 1..=attempts {
        assert_eq!(break_off(false), Next::Ordinary);
        assert_eq!(
            (disk.state().attempts, disk.stage()),
            (number, Stage::Preparing)
        );
    }
    assert_eq!(break_off(false), Next::Ordinary);
    let state = disk.state();
    assert_eq!(state.stage, Stage::Failed);
    assert!(state.reason.unwrap().ends_with("the last time it was hit"));
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.stage(), Stage::Failed);
}
