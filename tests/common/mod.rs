//! A small Debian-like system on a real btrfs behind a loop device, and the shipped binary on it.

#![allow(dead_code, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod ext4;
mod sample;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rootshift::documents::Plan;
use rootshift::documents::plan::{After, FilesystemIdentity, JOURNAL, OtherFilesystem};
use rootshift::engine::home::Migration;
use rootshift::engine::survey::old_system;
use rootshift::engine::{Stage, State};
use rootshift::journal::{Journal, Record};
use rootshift::sys::Root;
use rootshift::tree::compare::{self, Difference};
use rootshift::tree::manifest::Manifest;

// Each test uses its own part of it.
use sample::copy_documents;
#[allow(unused_imports)]
pub use sample::{
    BACKUP, Kind, ROLLBACK, arm, batch, compare, install, is_expected, is_ours,
    make_the_proof_fail, manifest, manifest_of_new, populate, repository, run, write,
};

/// Exit status of `boot --no-reboot` where a machine would restart.
pub const WOULD_REBOOT: i32 = 10;

/// Begins a mount namespace, with the block devices and the command line of a [`Disk::view`]: a
/// device of this machine would be seen by the tests beside this one.
const VIEW: &str = r#"
    set -e
    # The disks of the tests beside this one came along; they must not stay mounted here.
    awk '$5 ~ /\/rootshift-loop-/ { print $5 }' /proc/self/mountinfo |
        while read -r place; do umount --lazy "$place" 2>/dev/null || true; done
    if [ -n "$VIEW" ]; then
        # The test's own folder may lie below what is hidden here.
        exec 9< "${VIEW%/*}"
        mount -t tmpfs shm /dev/shm
        mkdir -p "${VIEW%/*}"
        mount --no-canonicalize --bind /proc/self/fd/9 "${VIEW%/*}"
        exec 9<&-
        mount -t tmpfs block /sys/class/block
        for file in "$VIEW"/*; do
            name=${file##*/}
            if [ "$name" = cmdline ]; then mount --bind "$file" /proc/cmdline; continue; fi
            mkdir "/sys/class/block/shm!$name"
            echo 2048 > "/sys/class/block/shm!$name/size"
            cp --sparse=always "$file" "/dev/shm/$name"
        done
    fi
"#;

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Whether a page for a console says this, wherever its lines break; a sentence begins with a
    /// capital there.
    pub fn says(&self, wanted: &str) -> bool {
        let plain = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").to_lowercase()
        };
        plain(&self.stdout).contains(&plain(wanted))
    }
}

/// A disk image behind a loop device. Dropping it lets go of both.
pub struct Disk {
    pub kind: Kind,
    /// The subvolume that is root for commands run inside, where it is not the kind's.
    pub mounted_as: Option<String>,
    /// A second disk, with a btrfs of its own that is mounted at /ml.
    pub other: Option<Box<Disk>>,
    /// A batch instead of the shipped one; commands run inside find it as /run/NAME, with what
    /// lies beside it.
    pub batch: Option<PathBuf>,
    /// A console instead of none at all.
    pub console: Option<PathBuf>,
    /// Whether it stays mounted while a command runs.
    is_held: Cell<bool>,
    /// A folder of files that are the only block devices that commands see beside their own disk;
    /// one of the name `cmdline` is the kernel's command line.
    pub view: Option<PathBuf>,
    pub uuid: String,
    pub folder: PathBuf,
    pub image: PathBuf,
    pub device: String,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Disk {
    /// An empty image of this size, with a file system of its own UUID.
    pub fn format(megabytes: u64) -> Self {
        assert!(
            nix_is_root(),
            "the loop tests need root: run them with sudo"
        );
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder = in_memory().join(format!("rootshift-loop-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let image = folder.join("disk.img");
        fs::File::create(&image)
            .unwrap()
            .set_len(megabytes << 20)
            .unwrap();
        let uuid = format!(
            "5a1f3c0e-9d2b-4c7e-8f60-{:08x}{number:04x}",
            std::process::id()
        );
        run("mkfs.btrfs", &["-q", "-U", &uuid, image.to_str().unwrap()]);
        let device = attach(&image);
        Self {
            kind: Kind::Flat,
            mounted_as: None,
            other: None,
            batch: None,
            console: None,
            is_held: Cell::new(false),
            view: None,
            uuid,
            folder,
            image,
            device,
        }
    }

    /// An image with the sample system on it, flat.
    pub fn with_system() -> Self {
        Self::with_system_of(Kind::Flat)
    }

    pub fn with_system_of(kind: Kind) -> Self {
        let mut disk = Self::format(300);
        disk.kind = kind;
        disk.mounted(|top| {
            if kind == Kind::Rootfs {
                let root = top.join(kind.root());
                run(
                    "btrfs",
                    &["-q", "subvolume", "create", root.to_str().unwrap()],
                );
            }
            populate(&top.join(kind.root()), kind, &disk.uuid);
        });
        disk
    }

    /// The sample system with a second file system at /ml, and a layout for both.
    pub fn with_two_filesystems(kind: Kind) -> Self {
        let mut disk = Self::with_system_of(kind);
        let other = Self::format(200);
        other.mounted(populate_other);
        let line = format!("UUID={} /ml btrfs defaults,nofail 0 2\n", other.uuid);
        disk.in_old(|old| {
            fs::create_dir(old.join("ml")).unwrap();
            let fstab = old.join("etc/fstab");
            let text = fs::read_to_string(&fstab).unwrap() + &line;
            fs::write(fstab, text).unwrap();
        });
        disk.batch = Some(two_filesystems_batch(&disk.folder));
        disk.other = Some(Box::new(other));
        disk
    }

    pub fn other(&self) -> &Self {
        self.other.as_deref().unwrap()
    }

    /// Everything at /ml in the new system.
    pub fn new_other_manifest(&self) -> Manifest {
        self.other().mounted(|top| {
            let mut all = manifest(top, "@ml");
            for (at, subvolume) in [("models", "@models"), ("datasets", "@datasets")] {
                all.graft(Path::new(at), manifest(top, subvolume)).unwrap();
            }
            all
        })
    }

    /// Takes the second disk away; it comes back with [`Disk::attach_other`].
    pub fn detach_other(&self) {
        run("losetup", &["-d", &self.other().device]);
    }

    pub fn attach_other(&mut self) {
        let other = self.other.as_mut().unwrap();
        other.device = attach(&other.image);
    }

    /// Runs `work` on the old system's root, under whichever name it is.
    pub fn in_old<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        self.mounted(|top| work(&top.join(self.old_name(top))))
    }

    fn old_name(&self, top: &Path) -> &'static str {
        match self.kind {
            Kind::Rootfs if top.join("@rootfs").is_symlink() => ".@rootfs.rootshift",
            kind => kind.root(),
        }
    }

    /// From now on this text is the batch: that of [`Disk::arm`], and /run/batch.json inside.
    pub fn use_batch(&mut self, text: &str) {
        let file = self.folder.join("batch.json");
        fs::write(&file, text).unwrap();
        copy_documents(&self.folder);
        self.batch = Some(file);
    }

    /// Runs `work` with the top level mounted.
    pub fn mounted<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let target = self.folder.join("top");
        fs::create_dir_all(&target).unwrap();
        let options = "subvolid=5,noatime";
        run(
            "mount",
            &["-o", options, &self.device, target.to_str().unwrap()],
        );
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&target)));
        unmount(&target);
        self.settle();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs `work` while somebody else holds the journal.
    pub fn while_held<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_held.set(true);
        self.mounted(|top| {
            let journal = Journal::open(&Root::open(top).unwrap(), Path::new(JOURNAL));
            let held = journal.unwrap();
            let result = work();
            drop(held);
            self.is_held.set(false);
            result
        })
    }

    /// The same disk on a device that can only be read, or as it was before.
    pub fn set_read_only(&mut self, read_only: bool) {
        run("losetup", &["-d", &self.device]);
        self.device = attach_as(&self.image, read_only);
    }

    /// Detaches the device, puts `image` in the place of the disk's, and attaches it again.
    pub fn replace_image(&mut self, image: &Path) {
        run("losetup", &["-d", &self.device]);
        fs::rename(image, &self.image).unwrap();
        self.device = attach(&self.image);
    }

    /// Arms as `rootshift arm` does, but for the images.
    pub fn arm(&self, after: After) -> Plan {
        self.mounted(|top| {
            let top = Root::open(top).unwrap();
            let plan = self.plan(&top, after);
            sample::arm(&top, self.kind, &plan, &self.folder.join("plans"));
            plan
        })
    }

    pub fn plan(&self, top: &Root, after: After) -> Plan {
        let shipped = self.documents().join("batches/flat-to-subvolumes.json");
        let batch = self.batch.as_ref().unwrap_or(&shipped);
        let folder = batch.parent().unwrap().to_str().unwrap();
        let json = ["-maxdepth", "2", "-name", "*.json"];
        let guard = [&[folder][..], &json, &["-exec", "chmod", "go-w", "{}", "+"]].concat();
        run("find", &guard);
        run("chmod", &["go-w", folder]);
        let others = self.other.iter().map(|other| OtherFilesystem {
            mounted_at: "/ml".into(),
            identity: FilesystemIdentity {
                uuid: other.uuid.clone(),
                aliases: vec![],
            },
            old_system: other.mounted(|top| old_system(&Root::open(top).unwrap(), "").unwrap()),
        });
        sample::plan(top, self.kind, batch, others.collect(), after)
    }

    /// The repository's documents, root's own: those of a checkout may belong to anybody.
    pub fn documents(&self) -> PathBuf {
        let folder = self.folder.join("documents");
        copy_documents(&folder);
        folder
    }

    pub fn boot_command(&self, binary: &str) -> Command {
        let mut command = match &self.view {
            None => Command::new(binary),
            Some(view) => {
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "--propagation", "private", "sh", "-c"])
                    .arg(format!("{VIEW} exec \"$@\""))
                    .args(["sh", binary])
                    .env("VIEW", view);
                command
            }
        };
        command
            .args(["boot", "--no-reboot", "--device", &self.device])
            .args(["--plans", self.folder.join("plans").to_str().unwrap()])
            .args(["--param-conf", self.param_conf().to_str().unwrap()])
            .args(["--mount-at", self.folder.join("boot").to_str().unwrap()])
            .arg("--console")
            .arg(self.console.as_deref().unwrap_or(Path::new("/nonexistent")))
            .env("ROOTFLAGS", "")
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command of the binary as the machine itself would: with this disk as its root, seen
    /// from inside. The binary and its libraries are on a tmpfs at /run.
    pub fn run_inside(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], self.root(), arguments)
    }

    /// The same with the new system as its root.
    pub fn run_in_new_system(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], "@", arguments)
    }

    /// The same where it is mounted read-only.
    pub fn run_in_read_only_new_system(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount"], "@,ro", arguments)
    }

    /// The same for at most so many seconds; then it is asked to end, and the exit status is 124.
    pub fn run_in_new_system_for(&self, seconds: &str, arguments: &str) -> Ran {
        let limit = ["--mount", "timeout", seconds, "unshare", "--mount"];
        self.run_in(&limit, "@", arguments)
    }

    /// The same in a network namespace of its own, which has no routes.
    pub fn run_without_network(&self, arguments: &str) -> Ran {
        self.run_in(&["--mount", "--net"], self.root(), arguments)
    }

    /// What is root for commands run inside.
    fn root(&self) -> &str {
        self.mounted_as.as_deref().unwrap_or(self.kind.root())
    }

    fn run_in(&self, namespaces: &[&str], root: &str, arguments: &str) -> Ran {
        let output = self
            .command_in(namespaces, root, arguments)
            .output()
            .unwrap();
        self.settle();
        if let Some(other) = &self.other {
            other.settle();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// What [`Disk::run_in_new_system`] runs, not started yet.
    pub fn command_in_new_system(&self, arguments: &str) -> Command {
        self.command_in(&["--mount"], "@", arguments)
    }

    fn command_in(&self, namespaces: &[&str], root: &str, arguments: &str) -> Command {
        const SCRIPT: &str = r#"
            mount -o "$OPTIONS" "$DEVICE" "$TOP"
            mount -t tmpfs run "$TOP/run"
            [ -z "$OTHER" ] || mount -o subvolid=5 "$OTHER" "$TOP/ml"
            mount --rbind /proc "$TOP/proc"
            mount --rbind /dev "$TOP/dev"
            mount --rbind /sys "$TOP/sys"
            for library in $(ldd "$BINARY" | grep -o '/[^ ]*'); do cp "$library" "$TOP/run/"; done
            cp "$BINARY" "$TOP/run/program"
            [ -z "$BATCH" ] || cp "${BATCH%/*}"/*.json "$TOP/run/"
            cp -r "$REPOSITORY/viscripts" "$TOP/run/"
            chmod -R go-w "$TOP"/run/*.json "$TOP/run/viscripts" 2>/dev/null || true
            exec chroot "$TOP" /run/ld-linux-x86-64.so.2 --library-path /run /run/program $ARGUMENTS
        "#;
        let target = self.folder.join("inside");
        fs::create_dir_all(&target).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(namespaces)
            .args(["--propagation", "private", "sh", "-c"])
            .arg(format!("{VIEW}{SCRIPT}"))
            .env("VIEW", self.view.as_deref().unwrap_or(Path::new("")))
            .env("OPTIONS", format!("subvol=/{root},noatime"))
            .env("DEVICE", &self.device)
            .env("TOP", &target)
            .env("BINARY", env!("CARGO_BIN_EXE_rootshift"))
            .env("BATCH", self.batch.as_deref().unwrap_or(Path::new("")))
            .env(
                "OTHER",
                self.other
                    .as_ref()
                    .map_or("", |other| other.device.as_str()),
            )
            .env("REPOSITORY", repository())
            .env("ARGUMENTS", arguments);
        command
    }

    /// Waits until the kernel has let go of the file system: a test beside this one may have taken
    /// the mount along into a namespace of its own.
    pub fn settle(&self) {
        if self.is_held.get() {
            return; // by whoever holds the journal
        }
        let alive = Path::new("/sys/fs/btrfs").join(&self.uuid);
        for _ in 0..1000 {
            if !alive.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{} is still mounted somewhere", self.device);
    }

    pub fn param_conf(&self) -> PathBuf {
        self.folder.join("param.conf")
    }

    /// One pass through the initramfs. Returns the exit status.
    pub fn boot(&self) -> i32 {
        let _ = fs::remove_file(self.param_conf());
        let output = self
            .boot_command(env!("CARGO_BIN_EXE_rootshift"))
            .output()
            .unwrap();
        output
            .status
            .code()
            .expect("the binary was killed by a signal")
    }

    /// Works on the journal, as the engine does.
    pub fn with_migration<T>(&self, work: impl FnOnce(&Root, &mut Migration) -> T) -> T {
        self.mounted(|top| {
            let top = Root::open(top).unwrap();
            let mut migration = Migration::open(&top).unwrap().unwrap();
            work(&top, &mut migration)
        })
    }

    /// Records what a command of the running system would.
    pub fn record(&self, records: impl IntoIterator<Item = Record>) {
        self.with_migration(|_, migration| {
            let record = |record| migration.record(record).unwrap();
            records.into_iter().for_each(record);
        });
    }

    /// Boots until the journal says that the new system is on trial.
    pub fn boot_to_the_end(&self, at: &str) {
        for _ in 0..3 {
            self.boot();
            if self.state().trials > 0 {
                assert_eq!(self.root_flags().as_deref(), Some("subvol=@"), "{at}");
                return;
            }
        }
        panic!("{at}: {:#?}", self.state());
    }

    /// A pass through the initramfs that is to stand still at a fault point.
    pub fn boot_until(&self, fault: &str) -> Child {
        let _ = fs::remove_file(self.param_conf());
        let mut command = self.boot_command(env!("CARGO_BIN_EXE_rootshift"));
        command.env("ROOTSHIFT_FAULT", fault).spawn().unwrap()
    }

    /// Runs a boot that stands still at a fault point, and cuts the power there: the disk is what
    /// had been written to the device. False when the boot ended without getting there.
    pub fn cut_at(&mut self, fault: &str) -> bool {
        let mut child = self.boot_until(fault);
        let stderr = child.stderr.take().unwrap();
        let mut said = BufReader::new(stderr).lines().map_while(Result::ok);
        let reached = said.any(|line| line.contains("fault point"));
        if reached {
            let cut = self.keep_copy("cut.img");
            child.kill().unwrap();
            child.wait().unwrap();
            said.for_each(drop); // the worker dies with the process that watches over it
            unmount(&self.folder.join("boot"));
            self.settle();
            if let Some(other) = &self.other {
                // Not mounted where a boot does nothing to it.
                let _ = Command::new("umount")
                    .arg(self.folder.join("boot.1"))
                    .output();
                other.settle();
            }
            self.restore(&cut);
        } else {
            assert!(
                child.wait().unwrap().code().is_some(),
                "{fault}: killed by a signal"
            );
        }
        reached
    }

    /// A copy of this disk as it is now, to be put back with [`Disk::replace_image`].
    pub fn keep_copy(&self, name: &str) -> PathBuf {
        let copy = self.folder.join(name);
        run(
            "cp",
            &[
                "--sparse=always",
                self.image.to_str().unwrap(),
                copy.to_str().unwrap(),
            ],
        );
        if let Some(other) = &self.other {
            other.keep_copy(name);
        }
        copy
    }

    /// Puts the disk back to a kept copy, which stays.
    pub fn restore(&mut self, kept: &Path) {
        let copy = self.folder.join("restored.img");
        run(
            "cp",
            &[
                "--sparse=always",
                kept.to_str().unwrap(),
                copy.to_str().unwrap(),
            ],
        );
        self.replace_image(&copy);
        if let Some(other) = &mut self.other {
            let kept = other.folder.join(kept.file_name().unwrap());
            other.restore(&kept);
        }
    }

    /// What a boot told the initramfs to mount root with.
    pub fn root_flags(&self) -> Option<String> {
        let text = fs::read_to_string(self.param_conf()).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ROOTFLAGS='-o "))?;
        line.strip_suffix('\'').map(str::to_owned)
    }

    pub fn records(&self) -> Vec<Record> {
        self.mounted(|top| {
            let top = Root::open(top).unwrap();
            let journal = Journal::open(&top, Path::new(JOURNAL)).unwrap();
            journal
                .entries()
                .iter()
                .map(|entry| entry.record.clone())
                .collect()
        })
    }

    pub fn state(&self) -> State {
        State::after(&self.records()).unwrap()
    }

    pub fn stage(&self) -> Stage {
        self.state().stage
    }

    /// Everything in the old system.
    pub fn old_manifest(&self) -> Manifest {
        self.mounted(|top| manifest(top, self.old_name(top)))
    }

    /// Everything in the new system, its subvolumes mounted in their places.
    pub fn new_manifest(&self) -> Manifest {
        self.mounted(manifest_of_new)
    }

    /// The kernel gives the device back a little later than it forgets the file system.
    pub fn check(&self) {
        let arguments = ["check", "--readonly", self.device.as_str()];
        for _ in 0..100 {
            let output = Command::new("btrfs").args(arguments).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            if !stderr.contains("Device or resource busy") {
                assert!(output.status.success(), "btrfs check: {stderr}");
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        run("btrfs", &arguments);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A child of another test may hold a copy of a descriptor between its fork and its exec.
pub fn unmount(target: &Path) {
    for _ in 0..50 {
        if Command::new("umount")
            .arg(target)
            .output()
            .unwrap()
            .status
            .success()
        {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{} can't be unmounted", target.display());
}

/// Two processes that ask for a free device at once may be given the same one.
fn attach(image: &Path) -> String {
    attach_as(image, false)
}

fn attach_as(image: &Path, read_only: bool) -> String {
    for _ in 0..20 {
        let mut losetup = Command::new("losetup");
        let output = losetup
            .args(["--find", "--show"])
            .args(read_only.then_some("--read-only"))
            .arg(image)
            .output()
            .unwrap();
        if output.status.success() {
            return String::from_utf8_lossy(&output.stdout).trim().to_owned();
        }
        eprintln!("losetup: {}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} can't be attached to a loop device", image.display());
}

fn nix_is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Ran {
    /// The one line with which a check failed: exit code 1, and nothing else is wrong.
    pub fn only_failure(&self) -> &str {
        assert_eq!(self.code, 1, "{self:?}");
        let failed = self.stdout.lines().filter(|line| line.starts_with("FAIL"));
        let failed: Vec<&str> = failed.collect();
        let [line] = failed.as_slice() else {
            panic!("one line, not {failed:#?}")
        };
        line
    }

    /// That all it said on stderr is one line with these parts.
    pub fn assert_one_line(&self, wanted: &[&str]) {
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        for part in wanted {
            assert!(
                self.stderr.contains(part),
                "{part} is missing in: {}",
                self.stderr
            );
        }
    }
}

/// A folder for disks whose syncs cost no time, where there is room for a few of them.
fn in_memory() -> PathBuf {
    const ENOUGH: u64 = 6 << 30;
    let memory = Path::new("/dev/shm");
    let room = Root::open(memory).and_then(|root| root.free_space());
    if room.is_ok_and(|room| room.available_bytes >= ENOUGH) {
        memory.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

/// What `validate` records.
pub fn validated() -> Record {
    Record::Validated {
        passed: 1,
        failed: 0,
        at: None,
    }
}

/// What `rollback` records.
pub fn rollback_requested() -> Record {
    Record::RollbackRequested {
        reason: "a test".into(),
    }
}

/// Whether `cargo xtask test --thorough` wants every passage through every fault point.
pub fn is_thorough() -> bool {
    std::env::var_os("ROOTSHIFT_THOROUGH").is_some()
}

/// Whether only a rollback comes to this fault point.
pub fn is_of_rollback(point: &str) -> bool {
    ["rollback-begun", "step-undone", "rollback-complete"].contains(&point)
}

/// What is in a directory, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The same for /ml, where the layout asks for other properties of two directories.
pub fn assert_same_but_for_properties(old: &Manifest, new: &Manifest) {
    let asked_for = |path: &Path, difference: &Difference| {
        let marks = ["flags", "btrfs.compression"].contains(&difference.attribute.as_str());
        let places = [Path::new("models"), Path::new("datasets")];
        is_expected(path, difference) || (marks && places.contains(&path))
    };
    let options = compare::Options {
        ignore: &is_ours,
        ignore_difference: &asked_for,
    };
    let comparison = compare::compare(old, new, &options);
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(comparison.same > 60, "only {} entries", comparison.same);
}

pub fn assert_same(old: &Manifest, new: &Manifest) {
    let comparison = compare(old, new);
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert!(
        comparison.same > 40,
        "only {} entries compared",
        comparison.same
    );
}

/// What lies at /ml.
fn populate_other(top: &Path) {
    for number in 0..30 {
        let text = "x".repeat(1000 * number);
        write(top, &format!("models/family/{number}"), &text);
        write(top, &format!("datasets/{number}/data"), &text);
    }
    write(top, "README", "on the second disk\n");
    write(top, "datasets/deep/er/index", "index\n");
    let text = |path: &str| top.join(path).to_str().unwrap().to_owned();
    run(
        "btrfs",
        &["-q", "subvolume", "create", &text("models/cache")],
    );
    write(top, "models/cache/blob", "nested\n");
    run("btrfs", &["-q", "subvolume", "create", &text("scratch")]);
    write(top, "scratch/note", "nested in the main one\n");
    run("chown", &["1000:1000", &text("models")]);
    run("chmod", &["2775", &text("models")]);
    run("chattr", &["+m", &text("datasets")]);
    run(
        "setfattr",
        &["-n", "user.note", "-v", "kept", &text("models/family/3")],
    );
    run("touch", &["-d", "1996-01-02 03:04:05.678", &text("models")]);
}

/// The shipped batch with a layout for /ml, in a folder of its own beside the shipped viScripts.
fn two_filesystems_batch(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(repository().join("batches/flat-to-subvolumes.json")).unwrap();
    let mut batch: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ml = serde_json::json!({
        "mounted_at": "/ml",
        "subvolumes": [
            { "name": "@ml", "mount_point": "/ml" },
            { "name": "@models", "mount_point": "/ml/models", "no_copy_on_write": true },
            { "name": "@datasets", "mount_point": "/ml/datasets", "compression": "zstd" },
        ]
    });
    batch["layout"]["filesystems"]
        .as_array_mut()
        .unwrap()
        .push(ml);
    let folder = folder.join("batch");
    let viscripts = folder.join("viscripts");
    fs::create_dir_all(&viscripts).unwrap();
    for entry in fs::read_dir(repository().join("viscripts")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, viscripts.join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.join("two-filesystems.json");
    fs::write(&file, batch.to_string()).unwrap();
    file
}
