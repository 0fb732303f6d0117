//! A small Debian-like system on a real btrfs behind a loop device, and the shipped binary on it.

#![allow(dead_code, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod boot;
mod compared;
pub mod ext4;
mod images;
mod journal;
mod other;
mod running;
mod sample;

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rootshift::documents::Plan;
use rootshift::documents::plan::{After, FilesystemIdentity, OtherFilesystem};
use rootshift::engine::survey::old_system;
use rootshift::sys::Root;

// Each test uses its own part of it.
#[allow(unused_imports)]
pub use boot::mounted_by_the_kernel;
#[allow(unused_imports)]
pub use compared::{assert_same, assert_same_but_for_properties};
#[allow(unused_imports)]
pub use images::{IMAGES, Start, armed, on_trial};
#[allow(unused_imports)]
pub use journal::{rollback_requested, validated};
#[allow(unused_imports)]
pub use running::Ran;
use sample::copy_documents;
#[allow(unused_imports)]
pub use sample::{
    BACKUP, Kind, ROLLBACK, VALIDATE, arm, batch, compare, install, is_expected, is_ours,
    make_the_proof_fail, manifest, manifest_of_new, populate, repository, run, write,
};

/// Exit status of `boot --no-reboot` where a machine would restart.
pub const WOULD_REBOOT: i32 = 10;

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
            old_system: other
                .mounted(|top| old_system(&Root::open(top).unwrap(), "", &[]).unwrap()),
        });
        sample::plan(top, self.kind, batch, others.collect(), after)
    }

    /// The repository's documents, root's own: those of a checkout may belong to anybody.
    pub fn documents(&self) -> PathBuf {
        let folder = self.folder.join("documents");
        copy_documents(&folder);
        folder
    }

    /// Waits until the kernel has let go of the file system: a test beside this one may have taken
    /// the mount along into a namespace of its own.
    pub fn settle(&self) {
        if self.is_held.get() {
            return; // by whoever holds the journal
        }
        settle(&Path::new("/sys/fs/btrfs").join(&self.uuid));
    }

    /// What somebody does who needs the room, while the new system is root.
    pub fn delete_old_system(&self) {
        self.mounted(|top| match self.kind {
            Kind::Flat => ["usr", "etc", "sbin"].map(|name| {
                run("rm", &["-rf", top.join(name).to_str().unwrap()]);
            }),
            Kind::Rootfs => ["var/lib/portables", "home/user/vm", ""].map(|nested| {
                let path = top.join(".@rootfs.rootshift").join(nested);
                if path.exists() {
                    let path = path.to_str().unwrap();
                    run("btrfs", &["-q", "subvolume", "delete", path]);
                }
            }),
        });
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

/// Waits until the folder under /sys that a mounted file system has is gone.
fn settle(alive: &Path) {
    for _ in 0..1000 {
        if !alive.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{} is still mounted somewhere", alive.display());
}
