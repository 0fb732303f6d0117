//! Where machines are built: a folder in memory, loop devices, and what a chroot needs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use rootshift::sys::mount::private_namespace;

use super::base;
use super::violation::Violation;
use crate::run::{output, run, tool};
use crate::sweep::disk::Disk;
use crate::workspace::Workspace;

const SIZE: u64 = 300 << 20;
const SIZE_OF_OTHER: u64 = 160 << 20;
const SIZE_OF_REFERENCE: u64 = 600 << 20;
/// A killed program lets go of the disk when the kernel has ended it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all machines have in common.
#[derive(Debug)]
pub struct Place {
    pub folder: PathBuf,
    /// The project's own files.
    pub repository: PathBuf,
    known: Arc<Mutex<BTreeSet<String>>>,
}

impl Place {
    /// A folder in memory with the programs that every machine is given.
    pub fn new(workspace: &Workspace, program: &Path) -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("rootshift-machines-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        mount(
            &["-t", "tmpfs", "-o", "size=5g,mode=755", "machines"],
            &folder,
        )?;
        let tools = folder.join("tools");
        fs::create_dir_all(tools.join("lib"))?;
        fs::copy(program, tools.join("program")).context("copy the program")?;
        fs::copy("/bin/busybox", tools.join("busybox")).context("busybox-static is needed")?;
        for name in ["mount", "findmnt"] {
            install(&tools, name)?;
        }
        let repository = workspace.root().to_path_buf();
        Ok(Self {
            folder,
            repository,
            known: Arc::default(),
        })
    }

    /// Gives all of it back.
    pub fn leave(&self) {
        _ = run(tool("umount")
            .args(["--recursive", "--lazy"])
            .arg(&self.folder));
        _ = fs::remove_dir(&self.folder);
    }
}

/// A program of this machine that finds its libraries beside it.
fn install(tools: &Path, name: &str) -> Result<()> {
    let path = output(tool("sh").args(["-c", "command -v \"$0\"", name]))?;
    let listed = output(tool("ldd").arg(&path))?;
    for library in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let file = Path::new(library)
            .file_name()
            .context("a library has a name")?;
        fs::copy(library, tools.join("lib").join(file))?;
    }
    let own = tools.join("lib").join(name);
    fs::copy(path, own)?;
    let script = format!(
        "#!/run/tools/busybox sh\nexec /run/tools/lib/ld-linux-x86-64.so.2 --library-path \
         /run/tools/lib /run/tools/lib/{name} \"$@\"\n"
    );
    fs::write(tools.join(name), script)?;
    Ok(fs::set_permissions(
        tools.join(name),
        fs::Permissions::from_mode(0o755),
    )?)
}

/// Mounts with these words.
pub fn mount(words: &[&str], at: &Path) -> Result<()> {
    run(tool("mount").args(words).arg(at))
}

/// An image behind a loop device, which stays while the image changes.
#[derive(Debug)]
pub struct Loop {
    pub image: PathBuf,
    pub device: String,
    pub uuid: String,
}

impl Loop {
    fn new(folder: &Path, name: &str, size: u64, uuid: &str) -> Result<Self> {
        let image = folder.join(format!("{name}.img"));
        Disk::empty(size).store(&image)?;
        for _ in 0..20 {
            // Two that ask at once may be given the same one.
            let mut losetup = tool("losetup");
            if let Ok(device) = output(losetup.args(["--find", "--show"]).arg(&image)) {
                return Ok(Self {
                    image,
                    device,
                    uuid: uuid.to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} can't be attached to a loop device", image.display())
    }

    /// The last part of the device's name.
    pub fn name(&self) -> &str {
        self.device.trim_start_matches("/dev/")
    }

    fn format(&self, label: &str) -> Result<()> {
        // The same file system's second life: mkfs wants none of its name to be there.
        Disk::empty(fs::metadata(&self.image)?.len()).store(&self.image)?;
        let begun = Instant::now();
        loop {
            // Blocks of before are remembered as long as the kernel has the device open, which is a
            // little longer than the file system is there.
            _ = tool("blockdev")
                .args(["--flushbufs", &self.device])
                .output();
            let mut mkfs = tool("mkfs.btrfs");
            mkfs.args(["-q", "-f", "-U", &self.uuid, "-L", label]);
            match run(mkfs.arg(&self.image)) {
                Err(_) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(20)),
                ended => return ended,
            }
        }
    }

    /// Waits until the kernel has let go of it.
    pub fn settle(&self) -> Result<()> {
        let alive = Path::new("/sys/fs/btrfs").join(&self.uuid);
        let begun = Instant::now();
        while alive.exists() {
            ensure!(
                begun.elapsed() < PATIENCE,
                "{} is still mounted somewhere",
                self.device
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        _ = run(tool("losetup").args(["--detach", &self.device]));
    }
}

/// One machine's place; machines are built in it one after the other.
#[derive(Debug)]
pub struct Bench {
    pub folder: PathBuf,
    pub repository: PathBuf,
    pub number: usize,
    pub disk: Loop,
    pub other: Loop,
    /// Where what must be there is kept.
    pub reference: Loop,
    pub verbose: bool,
    /// What runs in the background of a machine.
    pub children: Mutex<Vec<Child>>,
    /// What was found already, in any bench.
    known: Arc<Mutex<BTreeSet<String>>>,
    flat: Disk,
    rootfs: Disk,
    second: Disk,
}

impl Bench {
    /// Its devices, its chroots, and the systems that its machines begin with.
    pub fn new(place: &Place, number: usize, verbose: bool) -> Result<Self> {
        // A program that takes long would keep what is mounted for other machines.
        private_namespace()?;
        let folder = place.folder.join(number.to_string());
        for name in ["top", "up", "initramfs", "reference", "dev", "sys", "other"] {
            fs::create_dir_all(folder.join(name))?;
        }
        // Numbers of processes come again, and a device may be left of an earlier one.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let moment = now.as_secs() & 0xffff_ffff;
        let uuid = |kind: u8| {
            let process = std::process::id();
            format!("{moment:08x}-9d2b-4c7e-8f6{kind}-{process:08x}{number:04x}")
        };
        let disk = Loop::new(&folder, "disk", SIZE, &uuid(1))?;
        let other = Loop::new(&folder, "other-disk", SIZE_OF_OTHER, &uuid(2))?;
        let reference = Loop::new(&folder, "reference-disk", SIZE_OF_REFERENCE, &uuid(3))?;
        let mut bench = Self {
            folder,
            repository: place.repository.clone(),
            number,
            disk,
            other,
            reference,
            verbose,
            children: Mutex::default(),
            known: place.known.clone(),
            flat: Disk::default(),
            rootfs: Disk::default(),
            second: Disk::default(),
        };
        bench.devices()?;
        bench.system_files()?;
        bench.initramfs(&place.folder.join("tools"))?;
        bench.reference.format("reference")?;
        mount(
            &["-o", "noatime", &bench.reference.device],
            &bench.at("reference"),
        )?;
        bench.flat = bench.made(false)?;
        bench.rootfs = bench.made(true)?;
        bench.second = bench.made_other()?;
        Ok(bench)
    }

    /// A place of its own.
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The label of its root file system.
    pub fn label(&self) -> String {
        format!("root{}", self.number)
    }

    /// What its partition is known by.
    pub fn partuuid(&self) -> String {
        format!("{:08x}-0{}", std::process::id(), self.number + 1)
    }

    /// What a machine of this bench sees as /dev: its own two disks, with the links of udev.
    fn devices(&self) -> Result<()> {
        let dev = self.at("dev");
        mount(&["-t", "tmpfs", "-o", "mode=755", "dev"], &dev)?;
        for name in [
            "null",
            "zero",
            "full",
            "random",
            "urandom",
            "tty",
            "kmsg",
            "loop-control",
        ] {
            run(tool("cp").arg("-a").arg(format!("/dev/{name}")).arg(&dev))?;
        }
        for name in ["btrfs-control", "console"] {
            _ = run(tool("cp").arg("-a").arg(format!("/dev/{name}")).arg(&dev)); // not in a container
        }
        symlink("/proc/self/fd", dev.join("fd"))?;
        for one in [&self.disk, &self.other] {
            run(tool("cp").arg("-a").arg(&one.device).arg(&dev))?;
            let link = |folder: &str, name: &str| -> Result<()> {
                let folder = dev.join("disk").join(folder);
                fs::create_dir_all(&folder)?;
                Ok(symlink(format!("../../{}", one.name()), folder.join(name))?)
            };
            link("by-uuid", &one.uuid)?;
            link("by-path", &format!("pci-0000:00:04.0-{}", one.name()))?;
            link("by-id", &format!("virtio-{}", one.name()))?;
        }
        let link = |folder: &str, name: &str| -> Result<()> {
            let folder = dev.join("disk").join(folder);
            fs::create_dir_all(&folder)?;
            Ok(symlink(
                format!("../../{}", self.disk.name()),
                folder.join(name),
            )?)
        };
        link("by-label", &self.label())?;
        link("by-partuuid", &self.partuuid())
    }

    /// What it sees as /sys.
    fn system_files(&self) -> Result<()> {
        let sys = self.at("sys");
        mount(&["-t", "tmpfs", "-o", "mode=755", "sys"], &sys)?;
        for one in [&self.disk, &self.other] {
            let folder = sys.join("class/block").join(one.name());
            fs::create_dir_all(folder.join("loop"))?;
            let sectors = fs::metadata(&one.image)?.len() / 512;
            fs::write(folder.join("size"), format!("{sectors}\n"))?;
            fs::write(folder.join("loop/backing_file"), "disk\n")?;
        }
        for name in ["fs/btrfs", "power", "firmware", "block"] {
            fs::create_dir_all(sys.join(name))?;
        }
        mount(&["--bind", "/sys/fs/btrfs"], &sys.join("fs/btrfs"))
    }

    /// The chroot of the program at boot.
    fn initramfs(&self, tools: &Path) -> Result<()> {
        let root = self.at("initramfs");
        mount(&["-t", "tmpfs", "-o", "mode=755", "initramfs"], &root)?;
        for name in [
            "proc",
            "dev",
            "sys",
            "run/tools",
            "conf",
            "etc/rootshift",
            "run/initramfs",
        ] {
            fs::create_dir_all(root.join(name))?;
        }
        mount(&["--bind", path(tools)?], &root.join("run/tools"))?;
        mount(&["--bind", path(&self.at("dev"))?], &root.join("dev"))?;
        mount(&["--rbind", path(&self.at("sys"))?], &root.join("sys"))?;
        mount(&["--bind", "/proc"], &root.join("proc"))?;
        fs::write(self.at("cmdline"), "quiet\n")?;
        mount(
            &["--bind", path(&self.at("cmdline"))?],
            &root.join("proc/cmdline"),
        )
    }

    fn made(&self, rootfs: bool) -> Result<Disk> {
        self.disk.format(&self.label())?;
        let top = self.at("top");
        mount(&["-o", "subvolid=5,noatime", &self.disk.device], &top)?;
        let root = if rootfs {
            top.join("@rootfs")
        } else {
            top.clone()
        };
        if rootfs {
            run(tool("btrfs").args(["-q", "subvolume", "create"]).arg(&root))?;
        }
        base::populate(&root, &self.repository)?;
        super::oracle::unmount(&top)?;
        self.disk.settle()?;
        Disk::load(&self.disk.image)
    }

    fn made_other(&self) -> Result<Disk> {
        self.other.format(&format!("data{}", self.number))?;
        let top = self.at("top");
        mount(&["-o", "subvolid=5,noatime", &self.other.device], &top)?;
        base::populate_other(&top)?;
        super::oracle::unmount(&top)?;
        self.other.settle()?;
        Disk::load(&self.other.image)
    }

    /// The disks are those of a fresh system again. Nothing of them may be mounted.
    pub fn insert_fresh(&self, rootfs: bool) -> Result<()> {
        let disk = if rootfs { &self.rootfs } else { &self.flat };
        disk.store(&self.disk.image)?;
        self.second.store(&self.other.image)
    }

    /// Whether nothing like it was found before: the same again is not made smaller.
    pub fn is_new_kind(&self, violation: Option<&Violation>) -> bool {
        let Some(violation) = violation else {
            return false;
        };
        let what: String = violation
            .to_string()
            .chars()
            .filter(char::is_ascii_alphabetic)
            .take(60)
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(what)
    }

    /// Ends what runs in the background.
    pub fn end_children(&self) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        for mut child in children.drain(..) {
            _ = child.kill();
            _ = child.wait();
            // A rename of his that was begun is not to come to its end while somebody compares.
            let group = format!("-{}", child.id());
            let signalled = |signal: &str| {
                let output = tool("kill").args([signal, "--", &group]).output();
                output.is_ok_and(|ended| ended.status.success())
            };
            let began = Instant::now();
            while signalled("-KILL") && began.elapsed() < Duration::from_secs(10) {
                sleep(Duration::from_millis(2));
            }
        }
    }

    /// Lets go of everything that a machine had to do with, whatever became of it.
    pub fn clear(&self) {
        self.end_children();
        for name in ["up", "top", "other"] {
            let at = self.at(name);
            if super::oracle::unmount(&at).is_err() {
                unmount_left_over(&at);
            }
        }
        unmount_left_over(&self.at("initramfs/run/rootshift"));
        _ = self.disk.settle();
        _ = self.other.settle();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.clear();
        _ = tool("umount")
            .args(["--lazy"])
            .arg(self.at("reference"))
            .output();
    }
}

/// What a program that was killed had mounted below a folder.
fn unmount_left_over(folder: &Path) {
    for place in mounted_below(folder) {
        _ = tool("umount").arg("--lazy").arg(place).output();
    }
}

/// The last one first: it may hide another.
pub fn mounted_below(folder: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let below = places.filter(|place| Path::new(place).starts_with(folder));
    below.rev().map(str::to_owned).collect()
}

/// A path as a word of a command.
pub fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path of the harness is text")
}

/// Whether something is mounted there.
pub fn is_mounted(at: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    let is_at = |line: &str| line.split(' ').nth(4).map(Path::new) == Some(at);
    mounts.lines().any(is_at)
}
