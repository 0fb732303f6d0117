//! The old system is deleted: in the background, resumably, whatever lies in it, and not while
//! anything is in doubt.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Disk, Kind, assert_same, install, is_expected, is_ours, run, unmount, write};
use rootshift::documents::plan::After;
use rootshift::engine::Stage;
use rootshift::engine::finalize::pending::MARK;
use rootshift::fault::FINALIZE_POINTS;
use rootshift::journal::Record;
use rootshift::sys::Root;
use rootshift::tree::compare;
use rootshift::tree::manifest::Manifest;

/// In the new system, as seen from the top level.
const MARK_PLACE: &str = "@/var/lib/rootshift/finalizing";

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// Moves the system, and leaves it as `validate` does, with ordinary images.
fn move_it(disk: &Disk) {
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    disk.record([common::validated()]);
    disk.rehearse();
    disk.record([Record::Disarmed]);
    disk.mounted(|top| {
        // As the package and arming leave it.
        fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap();
        install(&top.join("@"), "/bin/echo", "systemctl");
        // Images that hold nothing, as far as anybody looks.
        for program in ["update-initramfs", "lsinitramfs"] {
            install(&top.join("@"), "/bin/true", program);
        }
    });
}

fn moved(kind: Kind) -> Disk {
    let disk = Disk::with_system_of(kind);
    move_it(&disk);
    disk
}

fn names(top: &Path) -> Vec<String> {
    let names = fs::read_dir(top).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What stays at the top level.
fn left(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::Flat => vec![".rootshift", "@", "@home", "@var_log", "boot"],
        Kind::Rootfs => vec![".rootshift", "@", "@home", "@rootfs", "@var_log"],
    }
}

/// All of the new system but the mark, which comes and goes.
fn assert_kept(new: &Manifest, disk: &Disk, at: &str) {
    let ignore = |path: &Path| is_ours(path) || path.starts_with("var/lib/rootshift");
    let options = compare::Options {
        ignore: &ignore,
        ignore_difference: &is_expected,
    };
    let comparison = compare::compare(new, &disk.new_manifest(), &options);
    assert!(comparison.is_equal(), "{at}: {comparison:#?}");
    assert!(comparison.same > 40, "{at}: only {}", comparison.same);
}

fn assert_finalized(disk: &Disk, new: &Manifest, at: &str) {
    assert_eq!(disk.stage(), Stage::Finalized, "{at}");
    disk.mounted(|top| {
        assert_eq!(names(top), left(disk.kind), "{at}");
        assert!(!top.join(MARK_PLACE).exists(), "{at}: the mark is left");
        assert_eq!(
            names(&top.join(".rootshift")),
            ["journal", "logs", "plan.json"],
            "{at}"
        );
        for trash in ["@", "@home", "@var_log"].map(|name| top.join(name).join(".rootshift-trash"))
        {
            assert!(!trash.exists(), "{at}: {}", trash.display());
        }
    });
    assert_kept(new, disk, at);
    disk.check();
}

/// In the new system, while the test has the disk mounted as well.
fn finalize_beside(disk: &Disk) -> Output {
    finalize_with(disk, "")
}

fn finalize_with(disk: &Disk, options: &str) -> Output {
    let mut command = disk.command_in_new_system(&format!("finalize --yes {options}"));
    command.output().unwrap()
}

/// As somebody does who changed so much of the old system on purpose; it is refused otherwise.
fn with_consent(disk: &Disk) -> String {
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    let words: Vec<&str> = ran.stderr.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| word.ends_with("--also-changed"));
    let count = words[at.unwrap() + 1].trim_end_matches(['`', '.']);
    format!("finalize --yes --also-changed {count}")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A mount of the test's, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(disk: &Disk, name: &str, arguments: &[&str]) -> Self {
        let target = disk.folder.join(name);
        fs::create_dir_all(&target).unwrap();
        Self::at(target, arguments)
    }

    fn at(target: PathBuf, arguments: &[&str]) -> Self {
        run("mount", &[arguments, &[&text(&target)]].concat());
        Self(target)
    }

    fn top(disk: &Disk) -> Self {
        Self::new(disk, "seen", &["-o", "subvolid=5,noatime", &disk.device])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes something back when it is dropped.
struct Undo<'a>(&'a dyn Fn());

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn assert_refused(disk: &Disk, wanted: &[&str]) {
    assert_refused_with(disk, "", wanted);
}

fn assert_refused_with(disk: &Disk, options: &str, wanted: &[&str]) {
    let output = finalize_with(disk, options);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(4), "{wanted:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert!(said.contains("Until then nothing is deleted"), "{said}");
}

#[test]
fn while_anything_of_the_old_system_is_mounted_nothing_is_deleted() {
    let disk = moved(Kind::Flat);
    let (old, new) = (disk.old_manifest(), disk.new_manifest());
    {
        let nested = ["-o", "subvol=/home/user/vm", &disk.device];
        let _mounted = Mounted::new(&disk, "nested", &nested);
        assert_refused(
            &disk,
            &["/home/user/vm of the old system is mounted", "unmount it"],
        );
    }
    {
        let top = Mounted::top(&disk);
        let etc = text(top.0.join("etc"));
        let _bound = Mounted::new(&disk, "bound", &["--bind", &etc]);
        assert_refused(&disk, &["/etc of the old system is mounted", "unmount it"]);
    }
    {
        let top = Mounted::top(&disk);
        let _inside = Mounted::at(top.0.join("home/user"), &["-t", "tmpfs", "none"]);
        assert_refused(&disk, &["home/user is mounted inside the old system"]);
    }
    disk.settle();
    let output = disk.run_inside("finalize --yes");
    assert_eq!(output.code, 4, "{output:?}");
    let said = output.stderr.contains("the new system does not run");
    assert!(said, "{output:?}");
    assert_same(&old, &disk.old_manifest());
    assert_eq!(disk.stage(), Stage::Rehearsed);
    assert_eq!(disk.run_in_new_system("finalize --yes").code, 0);
    assert_finalized(&disk, &new, "then");
}

#[test]
fn while_a_process_works_in_the_old_system_nothing_is_deleted() {
    let disk = Disk::with_system();
    disk.in_old(|old| install(old, "/bin/sleep", "sleeper"));
    move_it(&disk);
    let new = disk.new_manifest();
    let top = Mounted::top(&disk);
    let file = top.0.join("home/user/files/9");
    {
        let _open = fs::File::options().append(true).open(&file).unwrap();
        let wanted = ["is at work in the old system, on", "files/9", "end it"];
        assert_refused(&disk, &wanted);
    }
    {
        let mut sleep = Command::new("sleep");
        let sleep = sleep.arg("100").current_dir(top.0.join("home"));
        let _running = Running(sleep.spawn().unwrap());
        let wanted = ["(sleep) is at work in the old system", "home: end it"];
        assert_refused(&disk, &wanted);
    }
    {
        let mut chroot = Command::new("chroot");
        let chroot = chroot.args([&text(&top.0), "/usr/sbin/sleeper", "100"]);
        let _running = Running(chroot.spawn().unwrap());
        // Until it has become the other program it is not there yet.
        std::thread::sleep(Duration::from_millis(300));
        let wanted = ["(sleeper) is at work in the old system", "end it"];
        assert_refused(&disk, &wanted);
    }
    // To read is no work: what is open stays readable until it is closed.
    let mut reader = fs::File::open(file).unwrap();
    let output = finalize_beside(&disk);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut content = String::new();
    std::io::Read::read_to_string(&mut reader, &mut content).unwrap();
    let links = reader.metadata().unwrap().nlink();
    assert_eq!((content.as_str(), links), ("file 9\n", 0));
    drop(reader);
    drop(top);
    disk.settle();
    assert_finalized(&disk, &new, "then");
}

/// A swap file at this path of the old system.
fn make_swap_file(top: &Path, path: &str) -> String {
    let file = text(top.join(path));
    run("touch", &[&file]);
    run("chattr", &["+C", &file]);
    let out = format!("of={file}");
    run("dd", &["if=/dev/zero", &out, "bs=1M", "count=4"]);
    run("chmod", &["600", &file]);
    run("mkswap", &[&file]);
    file
}

#[test]
fn while_the_kernel_uses_or_holds_any_of_it_nothing_is_deleted() {
    let disk = moved(Kind::Flat);
    let new = disk.new_manifest();
    let top = Mounted::top(&disk);
    let path = |path: &str| text(top.0.join(path));
    // A name with a space, as /proc/swaps escapes it.
    let swap = make_swap_file(&top.0, "home/a swap");
    let directory = text(&top.0);
    // The swap file is new; what is in use is in the way all the same.
    let known = "--also-changed 1";
    {
        let sparse = path("home/user/sparse");
        let device = run("losetup", &["--find", "--show", &sparse]);
        let detach = || drop(run("losetup", &["-d", device.trim()]));
        let _attached = Undo(&detach);
        let wanted = ["home/user/sparse in the old system", "losetup -d /dev/loop"];
        assert_refused_with(&disk, known, &wanted);
    }
    {
        run("swapon", &[&swap]);
        let off = || drop(run("swapoff", &[&swap]));
        let _active = Undo(&off);
        let wanted = ["home/a swap lies in the old system", "run `swapoff /"];
        assert_refused_with(&disk, known, &wanted);
    }
    {
        run("chattr", &["+i", &directory]);
        let unlock = || drop(run("chattr", &["-i", &directory]));
        let _locked = Undo(&unlock);
        assert_refused_with(&disk, known, &["immutable", "chattr -ia"]);
    }
    {
        let nested = path("home/user/vm");
        let id = run("btrfs", &["inspect-internal", "rootid", &nested]);
        let set = |id: &str| drop(run("btrfs", &["subvolume", "set-default", id, &directory]));
        set(id.trim());
        let reset = || set("5");
        let _default = Undo(&reset);
        let wanted = [
            "home/user/vm of the old system is the default one",
            "set-default 5",
        ];
        assert_refused_with(&disk, known, &wanted);
    }
    drop(top);
    disk.settle();
    assert_eq!(
        disk.run_in_new_system("finalize --yes --also-changed 1")
            .code,
        0
    );
    assert_finalized(&disk, &new, "then");
}

#[test]
fn what_is_mounted_of_another_file_system_is_a_doubt_as_well() {
    let disk = Disk::with_two_filesystems(Kind::Flat);
    move_it(&disk);
    let other = disk.other();
    {
        let nested = ["-o", "subvol=/models/cache", &other.device];
        let _mounted = Mounted::new(&disk, "cache", &nested);
        let wanted = ["/models/cache of the old system is mounted", "unmount it"];
        assert_refused(&disk, &wanted);
    }
    disk.settle();
    other.settle();
    assert!(other.mounted(|top| top.join("models/cache/blob").is_file()));
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(disk.stage(), Stage::Finalized);
    assert_eq!(other.mounted(names), ["@datasets", "@ml", "@models"]);
    other.check();
}

#[test]
fn a_rollback_that_was_asked_for_comes_first() {
    let disk = moved(Kind::Rootfs);
    let old = disk.old_manifest();
    disk.record([common::rollback_requested()]);
    for command in ["finalize --yes", "finalize --yes --background"] {
        let ran = disk.run_in_new_system(command);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("a rollback was asked for"), "{ran:?}");
    }
    let ran = disk.run_in_new_system("finalize --resume");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(disk.mounted(|top| !top.join(MARK_PLACE).exists()));
    assert_eq!(disk.stage(), Stage::RollbackRequested);
    assert_same(&old, &disk.old_manifest());
}

/// Deeper than a path may be long, with names as long as they may be.
fn dig(top: &Path) {
    let name = "d".repeat(250);
    let mut here = Root::open(top).unwrap();
    for _ in 0..20 {
        here.create_directory(Path::new(&name), 0o755).unwrap();
        here = here.within(Path::new(&name)).unwrap();
    }
    here.write_new_file(Path::new("bottom"), b"x", 0o400)
        .unwrap();
}

/// All that may be in the way, among what the old system has: each path from its root.
fn obstruct(old: &Path, outside: &Path) {
    let odd = old.join("home/user/odd");
    fs::create_dir_all(&odd).unwrap();
    dig(&odd);
    for name in [
        &b"\xff\xfe"[..],
        b"new\nline",
        b" ",
        b"-rf",
        b"*",
        b"\\",
        b"\x1b[2J",
    ] {
        fs::write(odd.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    fs::write(odd.join("n".repeat(255)), "x").unwrap();
    symlink(outside, odd.join("link")).unwrap();
    symlink("..", odd.join("up")).unwrap();
    fs::hard_link(old.join("home/user/files/8"), odd.join("hard")).unwrap();
    std::os::unix::net::UnixListener::bind(odd.join("socket")).unwrap();
    run("mknod", &[&text(odd.join("device")), "b", "7", "200"]);
    write(old, "home/user/odd/locked/inner/file", "x");
    write(old, "home/user/odd/locked/log", "x");
    for (flag, path) in [
        ("+a", "locked/log"),
        ("+i", "locked/inner"),
        ("+a", "locked"),
    ] {
        run("chattr", &[flag, &text(odd.join(path))]);
    }
    // Nested ones, read-only at every depth, in a locked directory.
    let portables = old.join("var/lib/portables");
    run("chattr", &["+i", &text(portables.join("image"))]);
    for path in ["inner/innermost", "inner", ""] {
        run(
            "btrfs",
            &[
                "property",
                "set",
                "-ts",
                &text(portables.join(path)),
                "ro",
                "true",
            ],
        );
    }
    run("chattr", &["+i", &text(old.join("var/lib"))]);
    run("chattr", &["+i", &text(old.join("home/user/vm"))]);
}

#[test]
fn whatever_lies_in_the_old_system_is_deleted_and_nothing_outside() {
    for kind in Kind::ALL {
        let disk = Disk::with_system_of(kind);
        disk.in_old(|old| {
            for path in [
                "var/lib/portables/inner",
                "var/lib/portables/inner/innermost",
            ] {
                run(
                    "btrfs",
                    &["-q", "subvolume", "create", &text(old.join(path))],
                );
                write(old, &format!("{path}/file"), "deep");
            }
        });
        move_it(&disk);
        let outside = disk.folder.join("outside");
        write(&outside, "file", "not ours");
        disk.in_old(|old| obstruct(old, &outside));
        let new = disk.new_manifest();
        let ran = disk.run_in_new_system(&with_consent(&disk));
        assert_eq!(ran.code, 0, "{kind:?}: {ran:?}");
        assert_finalized(&disk, &new, &format!("{kind:?}"));
        let kept = fs::read_to_string(outside.join("file")).unwrap();
        assert_eq!(kept, "not ours");
    }
}

#[test]
fn quotas_that_are_used_up_are_in_nobodys_way_and_their_groups_go() {
    let disk = Disk::with_system();
    disk.mounted(|top| drop(run("btrfs", &["quota", "enable", &text(top)])));
    move_it(&disk);
    disk.in_old(|old| {
        // The locked file and the nested subvolumes can't go before something else went.
        write(old, "home/user/large", &"x".repeat(4 << 20));
        write(old, "etc/locked", "x");
        run("chattr", &["+i", &text(old.join("etc/locked"))]);
    });
    let new = disk.new_manifest();
    let groups = |top: &Path| -> Vec<String> {
        let shown = run("btrfs", &["qgroup", "show", "--raw", "--sync", &text(top)]);
        let first = shown
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let groups = first.filter(|word| word.starts_with("0/"));
        groups.map(str::to_owned).collect()
    };
    let doomed = disk.mounted(|top| {
        run("btrfs", &["quota", "rescan", "-w", &text(top)]);
        let path = |path: &str| text(top.join(path));
        for name in ["", "@home", "home/user/vm"] {
            run("btrfs", &["qgroup", "limit", "1M", &path(name)]);
        }
        let refused = fs::write(top.join("etc/more"), "x".repeat(1 << 20))
            .and_then(|()| fs::File::open(top.join("etc/more")).and_then(|file| file.sync_all()));
        assert!(refused.is_err(), "the quota is not used up");
        let doomed = ["home/user/vm", "var/lib/portables"].map(|name| {
            let id = run("btrfs", &["inspect-internal", "rootid", &path(name)]);
            format!("0/{}", id.trim())
        });
        let before = groups(top);
        assert!(
            doomed.iter().all(|group| before.contains(group)),
            "{before:?}"
        );
        doomed
    });
    let ran = disk.run_in_new_system(&with_consent(&disk));
    assert_eq!(ran.code, 0, "{ran:?}");
    println!("{}", ran.stderr);
    disk.mounted(|top| {
        let left = groups(top);
        assert!(!doomed.iter().any(|group| left.contains(group)), "{left:?}");
        assert!(left.len() >= 5, "those of the new system stay: {left:?}");
        run("btrfs", &["quota", "disable", &text(top)]);
    });
    assert_finalized(&disk, &new, "quotas");
}

#[test]
fn the_work_is_handed_to_systemd_and_no_boot_does_any_of_it() {
    let disk = moved(Kind::Flat);
    let (old, new) = (disk.old_manifest(), disk.new_manifest());
    let ran = disk.run_in_new_system("finalize --yes --background");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr
            .contains("start --no-block rootshift-finalize.timer rootshift-finalize.service"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("rootshift status"), "{ran:?}");
    assert!(disk.mounted(|top| top.join(MARK_PLACE).is_file()));
    let records = disk.records();
    assert_eq!(records.last(), Some(&Record::FinalizeBegun));
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_eq!(disk.records(), records, "a boot wrote to the journal");
    assert_same(&old, &disk.old_manifest());
    let status = disk.run_in_new_system("status --json");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["stage"], "finalizing");
    let nobody = serde_json::json!({ "running": false, "entries": null, "of": null });
    assert_eq!(status["deletion"], nobody);
    let ran = disk.run_in_new_system("rollback --yes");
    assert_eq!(ran.code, 4, "there is no way back: {ran:?}");
    let ran = disk.run_in_new_system("finalize --resume");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_finalized(&disk, &new, "background");
    let records = disk.records();
    assert_eq!(disk.boot(), 0);
    assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"));
    assert_eq!(disk.records(), records, "a boot wrote to the journal");
}

#[test]
fn without_systemd_the_next_boot_has_the_work() {
    let disk = moved(Kind::Rootfs);
    disk.mounted(|top| install(&top.join("@"), "/bin/false", "systemctl"));
    let new = disk.new_manifest();
    let ran = disk.run_in_new_system("finalize --yes --background");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("the next boot does"), "{ran:?}");
    assert!(disk.mounted(|top| top.join(MARK_PLACE).is_file()));
    // What a service refuses stands in the journal, until it is over.
    {
        let kept = ["-o", "subvol=/.@rootfs.rootshift", &disk.device];
        let _mounted = Mounted::new(&disk, "kept", &kept);
        let mut resume = disk.command_in_new_system("finalize --resume");
        assert_eq!(resume.output().unwrap().status.code(), Some(4));
    }
    disk.settle();
    let reason = disk.state().reason.unwrap();
    assert!(
        reason.contains(".@rootfs.rootshift of the old system is mounted"),
        "{reason}"
    );
    assert_eq!(disk.run_in_new_system("finalize --resume").code, 0);
    assert_eq!(disk.state().reason, None);
    assert_finalized(&disk, &new, "later");
}

#[test]
fn a_mark_without_a_decision_is_no_decision() {
    let disk = moved(Kind::Flat);
    let old = disk.old_manifest();
    disk.mounted(|top| fs::write(top.join(MARK_PLACE), "").unwrap());
    let ran = disk.run_in_new_system("finalize --resume");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("Nothing is being finalized"), "{ran:?}");
    assert!(disk.mounted(|top| !top.join(MARK_PLACE).exists()));
    assert_eq!(disk.stage(), Stage::Rehearsed);
    assert_same(&old, &disk.old_manifest());
}

#[test]
fn the_units_wait_for_the_mark_and_hold_no_boot_up() {
    let unit = |name: &str| {
        let folder = common::repository().join("initramfs-hooks/systemd");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let service = unit("rootshift-finalize.service");
    let timer = unit("rootshift-finalize.timer");
    let condition = format!("\nConditionPathExists={MARK}\n");
    assert!(MARK_PLACE.ends_with(MARK));
    for text in [&service, &timer] {
        assert!(text.contains(&condition), "{text}");
        assert!(!text.contains("Before="), "{text}");
    }
    // A unit that a target wants is waited for by the target (systemd.target(5)).
    assert!(!service.contains("WantedBy="), "{service}");
    assert!(timer.contains("\nWantedBy=timers.target\n"), "{timer}");
    for line in [
        "IOSchedulingClass=idle",
        "CPUSchedulingPolicy=idle",
        "Nice=19",
        "Type=oneshot",
    ] {
        assert!(service.lines().any(|have| have == line), "{line}");
    }
}

/// The deletion of a moved system, in the new one, that says how far it is.
struct Deletion {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Deletion {
    fn start(disk: &Disk, fault: &str) -> Self {
        Self::of(disk, "finalize --yes", fault)
    }

    fn of(disk: &Disk, command: &str, fault: &str) -> Self {
        let mut command = disk.command_in_new_system(command);
        command.env("ROOTSHIFT_FAULT", fault).stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until a line says this; false when the end comes first.
    fn until(&mut self, words: &str) -> bool {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.any(|line| line.contains(words))
    }

    /// A command of another process on the same machine, but with mounts of its own.
    fn inside(&self, disk: &Disk, arguments: &str) -> String {
        const SCRIPT: &str = "umount -l \"$0/run/rootshift/top\"
            exec chroot \"$0\" /run/ld-linux-x86-64.so.2 --library-path /run /run/program $1";
        let pid = self.child.id().to_string();
        let enter = ["--target", &pid, "--mount", "unshare", "--mount"];
        let top = text(disk.folder.join("inside"));
        let script = [
            "--propagation",
            "private",
            "sh",
            "-c",
            SCRIPT,
            &top,
            arguments,
        ];
        run("nsenter", &[&enter[..], &script].concat())
    }
}

/// Entries of the old system, subvolumes and what is in them not counted, by find(1).
fn entries_left(disk: &Disk) -> usize {
    disk.mounted(|top| {
        let ours = |name: &String| {
            name.starts_with('@') || [".rootshift", "boot"].contains(&name.as_str())
        };
        let old = names(top).into_iter().filter(|name| !ours(name));
        let trash = ["@", "@home", "@var_log"].map(|name| format!("{name}/.rootshift-trash"));
        let beside = trash.into_iter().chain([".rootshift/new".to_owned()]);
        let trash = beside.filter(|path| top.join(path).exists());
        let paths: Vec<String> = old.chain(trash).map(|path| text(top.join(path))).collect();
        let mut find = Command::new("find");
        find.args(paths)
            .args(["-xdev", "-not", "-inum", "256", "-printf", "x"]);
        find.output().unwrap().stdout.len()
    })
}

fn assert_told(deletion: &Deletion, disk: &Disk, of: usize) {
    let status = deletion.inside(disk, "status --json");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let told = &status["deletion"];
    assert_eq!(told["running"], true, "{status}");
    assert_eq!(told["of"], of, "{status}");
    assert!(told["entries"].as_u64().unwrap() > 0, "{status}");
    let log = deletion.inside(disk, "log");
    assert!(
        log.contains("FINALIZE: the old system is being deleted"),
        "{log}"
    );
    let words = deletion.inside(disk, "status");
    assert!(words.contains("Deleting: at work now, "), "{words}");
}

/// As the root of a running machine is: so that the end of the program is not that of a mount.
/// In a namespace of its own: no other test takes it along.
fn hold(disk: &Disk) -> Running {
    const SCRIPT: &str = "for other in $(grep -o ' /[^ ]*/rootshift-loop-[^ ]*' /proc/mounts); do
            umount -l \"$other\"; done; mount -o subvol=/@ \"$0\" \"$1\" && exec sleep 1000";
    let place = disk.folder.join("held");
    fs::create_dir_all(&place).unwrap();
    let mut holder = Command::new("unshare");
    holder.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]);
    let holder = Running(holder.args([&disk.device, &text(place)]).spawn().unwrap());
    let mounted = Path::new("/sys/fs/btrfs").join(&disk.uuid);
    while !mounted.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    holder
}

/// Asks it to stop; how long that takes.
fn stop(mut deletion: Deletion) -> Duration {
    let asked = Instant::now();
    run("kill", &["-TERM", &deletion.child.id().to_string()]);
    assert!(deletion.until("stopped; `rootshift finalize` goes on with it"));
    let ended = deletion.child.wait().unwrap();
    assert_eq!(ended.signal(), Some(15), "{ended:?}");
    asked.elapsed()
}

#[test]
fn it_stops_when_asked_and_goes_on_also_after_a_kill() {
    const MANY: usize = 100_000;
    let mut disk = Disk::format(1500);
    disk.kind = Kind::Flat;
    disk.mounted(|top| common::populate(top, Kind::Flat, &disk.uuid));
    move_it(&disk);
    disk.in_old(|old| {
        let many = old.join("home/user/many");
        fs::create_dir(&many).unwrap();
        for number in 0..MANY {
            fs::File::create(many.join(number.to_string())).unwrap();
        }
    });
    let new = disk.new_manifest();
    let before = entries_left(&disk);
    assert!(before > MANY, "{before}");
    let command = with_consent(&disk);
    let held = hold(&disk);
    let mut deletion = Deletion::of(&disk, &command, "");
    assert!(deletion.until("deleting the old system, "));
    assert_told(&deletion, &disk, before);
    let took = stop(deletion);
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(held);
    disk.settle();

    assert_eq!(disk.stage(), Stage::Finalizing);
    let stopped = entries_left(&disk);
    assert!((1000..before).contains(&stopped), "{stopped} of {before}");
    let mut deletion = Deletion::start(&disk, "");
    assert!(deletion.until("deleting the old system, "));
    deletion.child.kill().unwrap();
    deletion.child.wait().unwrap();
    disk.settle();

    let killed = entries_left(&disk);
    assert!((1..stopped).contains(&killed), "{killed} of {stopped}");
    println!("{before} entries, {stopped} after a stop in {took:?}, {killed} after a kill");
    let ran = disk.run_in_new_system("finalize --resume");
    assert_eq!(ran.code, 0, "{ran:?}");
    let words = format!("Finalized: {killed} entries of the old system deleted.\n");
    assert_eq!(ran.stdout, words);
    assert_finalized(&disk, &new, "resumed");
}

#[test]
fn a_cut_at_any_moment_of_it_ends_in_the_same_system() {
    for (kind, points) in [
        (
            Kind::Flat,
            &[
                "finalize-decided:1",
                "finalize-begun:1",
                "finalize-entry:1",
                "finalize-entry:70",
                "finalize-tree:4",
                "finalize-deleted:1",
                "finalize-complete:1",
            ][..],
        ),
        (
            Kind::Rootfs,
            &["finalize-begun:1", "finalize-tree:1", "finalize-complete:1"],
        ),
    ] {
        let mut disk = moved(kind);
        let new = disk.new_manifest();
        let whole = disk.keep_copy("moved.img");
        let is_tried = |name: &&str| points.iter().any(|point| point.starts_with(*name));
        let all = kind == Kind::Rootfs || FINALIZE_POINTS.iter().all(is_tried);
        assert!(all, "a point of fault::FINALIZE_POINTS is left out");
        for point in points {
            let at = format!("{kind:?} {point}");
            disk.restore(&whole);
            let mut deletion = Deletion::start(&disk, point);
            assert!(deletion.until("fault point"), "{at} was never reached");
            let cut = disk.keep_copy("cut.img");
            deletion.child.kill().unwrap();
            deletion.child.wait().unwrap();
            disk.settle();
            disk.restore(&cut);
            disk.check();
            assert_eq!(disk.boot(), 0, "{at}");
            assert_eq!(disk.root_flags().as_deref(), Some("subvol=@"), "{at}");
            assert_kept(&new, &disk, &at);
            assert!(disk.mounted(|top| top.join(MARK_PLACE).is_file()), "{at}");
            let ran = disk.run_in_new_system("finalize --resume");
            assert_eq!(ran.code, 0, "{at}: {ran:?}");
            if point.starts_with("finalize-decided") {
                // Nothing was begun, and nobody goes on with it unasked.
                assert!(ran.stdout.contains("Nothing is being finalized"), "{ran:?}");
                assert_eq!(disk.run_in_new_system("finalize --yes").code, 0, "{at}");
            }
            assert_finalized(&disk, &new, &at);
        }
    }
}

/// A cut of a `finalize` with these options at a fault point.
fn cut_finalize(disk: &mut Disk, options: &str, point: &str) {
    let mut deletion = Deletion::of(disk, &format!("finalize --yes {options}"), point);
    assert!(deletion.until("fault point"), "{point} was never reached");
    let cut = disk.keep_copy("cut.img");
    deletion.child.kill().unwrap();
    deletion.child.wait().unwrap();
    disk.settle();
    disk.restore(&cut);
}

/// Changes something of the old /home that only a close look sees: nothing is written or new.
fn change_quietly(disk: &Disk) {
    disk.in_old(|old| run("chmod", &["640", &text(old.join("home/user/files/7"))]));
}

const ONE_CHANGE: &str = "1 file or directory of the old system was changed";

#[test]
fn what_is_to_be_kept_is_kept_wherever_the_power_is_cut() {
    let mut disk = moved(Kind::Flat);
    change_quietly(&disk);
    let whole = disk.keep_copy("moved.img");
    for point in [
        "finalize-decided:1",
        "finalize-begun:1",
        "finalize-entry:1",
        "finalize-tree:2",
        "finalize-deleted:1",
        "finalize-complete:1",
    ] {
        disk.restore(&whole);
        cut_finalize(&mut disk, "--keep-changed", point);
        let ran = disk.run_in_new_system("finalize --resume");
        assert_eq!(ran.code, 0, "{point}: {ran:?}");
        if point.starts_with("finalize-decided") {
            let ran = disk.run_in_new_system("finalize --yes --keep-changed");
            assert_eq!(ran.code, 0, "{point}: {ran:?}");
        }
        assert_eq!(disk.stage(), Stage::Finalized, "{point}");
        disk.mounted(|top| {
            let kept = fs::read_to_string(top.join("home/user/files/7"));
            assert_eq!(kept.ok().as_deref(), Some("file 7\n"), "{point}");
            assert!(!top.join("etc").exists(), "{point}");
            assert!(!top.join(".rootshift/decided").exists(), "{point}");
        });
        disk.check();
    }
}

#[test]
fn what_was_decided_and_not_begun_is_asked_again() {
    let mut disk = moved(Kind::Flat);
    change_quietly(&disk);
    let whole = disk.keep_copy("moved.img");
    for options in ["--keep-changed", "--also-changed 1"] {
        disk.restore(&whole);
        cut_finalize(&mut disk, options, "finalize-decided");
        assert_eq!(disk.stage(), Stage::Rehearsed, "{options}");
        let ran = disk.run_in_new_system("finalize --yes");
        assert_eq!(ran.code, 4, "{options}: {ran:?}");
        assert!(ran.stderr.contains(ONE_CHANGE), "{options}: {ran:?}");
        let ran = disk.run_in_new_system("finalize --yes --keep-changed");
        assert_eq!(ran.code, 0, "{options}: {ran:?}");
        assert!(
            ran.stdout.contains("Left where it is: home: it is kept"),
            "{options}: {ran:?}"
        );
        disk.mounted(|top| assert!(top.join("home/user/files/7").exists(), "{options}"));
    }
}

#[test]
fn what_was_decided_for_another_plan_says_nothing_of_this_one() {
    const OTHERS: &str =
        r#"{"plan":"0123","known":{"/":18446744073709551615},"kept":{"/":["etc"]}}"#;
    let disk = moved(Kind::Flat);
    change_quietly(&disk);
    disk.record([Record::FinalizeBegun]);
    disk.mounted(|top| {
        fs::write(top.join(".rootshift/decided"), OTHERS).unwrap();
        // Only what is written counts by now.
        fs::write(top.join("home/user/files/8"), "written").unwrap();
    });
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains(ONE_CHANGE), "{ran:?}");
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.record([Record::Disarmed]);
    disk.mounted(|top| fs::write(top.join(".rootshift/decided"), OTHERS).unwrap());
    disk.arm(After::Reboot);
    disk.mounted(|top| assert!(!top.join(".rootshift/decided").exists()));
}

#[test]
fn a_full_disk_is_told_with_what_makes_room() {
    let disk = Disk::with_system();
    disk.arm(After::Reboot);
    disk.boot();
    disk.boot();
    disk.record([Record::Validated {
        passed: 1,
        failed: 0,
        at: Some(1_700_000_000),
        loader_named_root: None,
    }]);
    disk.rehearse();
    disk.mounted(|top| {
        fs::create_dir_all(top.join("@/var/lib/rootshift")).unwrap();
        install(&top.join("@"), "/bin/false", "update-initramfs");
        install(&top.join("@"), "/bin/true", "lsinitramfs");
        let mut full = fs::File::create(top.join("@/var/full")).unwrap();
        while std::io::Write::write_all(&mut full, &[7; 1 << 20]).is_ok() {}
    });
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 4, "{ran:?}");
    ran.assert_one_line(&[
        "MiB are free",
        "find / /home /var/log -xdev -type f -size +1M -newerct @1700000000",
        "Until then nothing is deleted",
    ]);
    assert_eq!(disk.stage(), Stage::Rehearsed);
    // What it names is what makes room.
    disk.mounted(|top| {
        fs::remove_file(top.join("@/var/full")).unwrap();
        install(&top.join("@"), "/bin/true", "update-initramfs");
    });
    let ran = disk.run_in_new_system("finalize --yes");
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Who mounts the old system, or works in it, can't be seen from there.
#[test]
fn in_a_process_namespace_of_its_own_nothing_is_deleted_that_is_in_use_outside() {
    let disk = moved(Kind::Rootfs);
    let old = ["-o", "subvol=.@rootfs.rootshift", &disk.device];
    let mounted = Mounted::new(&disk, "seen", &old);
    let outside = finalize_beside(&disk);
    assert_eq!(outside.status.code(), Some(4), "{}", said(&outside));
    let output = disk.command_in_pid_namespace("finalize --yes").output();
    let output = output.unwrap();
    let left = names(&mounted.0).len();
    drop(mounted);
    disk.settle();
    assert!(left > 0, "{:?} {}", output.status.code(), said(&output));
}
