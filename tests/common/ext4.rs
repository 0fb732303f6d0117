//! A small Debian-like system on a real ext4 behind a loop device, and the program on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rootshift::tree::manifest::Manifest;

use super::sample::{copy_documents, manifest, repository, run, write};
use super::{Disk, Ran, attach, settle, unmount};

/// The machine: its root, and disks with a btrfs on them. Dropping it lets go of all.
pub struct Machine {
    pub folder: PathBuf,
    pub device: String,
    pub uuid: String,
    pub others: Vec<Disk>,
}

impl Machine {
    /// One with a root of 400 MiB, made with these options of mkfs.ext4 in addition.
    pub fn new(options: &[&str], others: Vec<Disk>) -> Self {
        let folder = tempfile::Builder::new().prefix("rootshift-ext4-").tempdir();
        let folder = folder.unwrap().keep();
        let image = folder.join("disk.img");
        let file = fs::File::create(&image).unwrap();
        file.set_len(400 << 20).unwrap();
        let path = image.to_str().unwrap();
        let usual = ["-q", "-b", "4096", "-N", "4096"];
        run("mkfs.ext4", &[&usual[..], options, &[path]].concat());
        let device = attach(&image);
        let uuid = run("blkid", &["-p", "-s", "UUID", "-o", "value", &device]);
        let machine = Self {
            folder,
            device,
            uuid,
            others,
        };
        machine.mounted(|top| populate(top, &machine.uuid));
        machine
    }

    /// Runs `work` with the root mounted.
    pub fn mounted<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let target = self.folder.join("top");
        fs::create_dir_all(&target).unwrap();
        let path = target.to_str().unwrap();
        run("mount", &["-o", "noatime", &self.device, path]);
        let result = work(&target);
        unmount(&target);
        self.settle();
        result
    }

    /// Waits until the kernel has let go of the root: a test beside this one may have taken the
    /// mount along into a namespace of its own.
    fn settle(&self) {
        let name = Path::new(&self.device).file_name().unwrap();
        settle(&Path::new("/sys/fs/ext4").join(name));
    }

    pub fn manifest(&self) -> Manifest {
        self.mounted(|top| manifest(top, ""))
    }

    pub fn write(&self, path: &str, text: &str) {
        self.mounted(|top| write(top, path, text));
    }

    /// Runs a command of the program with this disk as its root, seen from inside, and no other
    /// block devices in /sys but this machine's own.
    pub fn run_inside(&self, arguments: &str) -> Ran {
        const SCRIPT: &str = r#"
            set -e
            mount -o noatime "$DEVICE" "$TOP"
            mount -t tmpfs run "$TOP/run"
            mount -t tmpfs sys "$TOP/sys"
            for device in "$DEVICE" $OTHERS; do
                mkdir -p "$TOP/sys/class/block/${device##*/}/loop"
                echo 1 > "$TOP/sys/class/block/${device##*/}/size"
                echo x > "$TOP/sys/class/block/${device##*/}/loop/backing_file"
            done
            mount --rbind /proc "$TOP/proc"
            mount --rbind /dev "$TOP/dev"
            for library in $(ldd "$BINARY" | grep -o '/[^ ]*'); do cp "$library" "$TOP/run/"; done
            cp "$BINARY" "$TOP/run/program"
            cp -r "$REPOSITORY/viscripts" "$TOP/run/"
            chmod -R go-w "$TOP/run/viscripts"
            exec chroot "$TOP" /run/ld-linux-x86-64.so.2 --library-path /run /run/program $ARGUMENTS
        "#;
        let target = self.folder.join("inside");
        fs::create_dir_all(&target).unwrap();
        let others = self.others.iter().map(|disk| disk.device.as_str());
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT])
            .env("DEVICE", &self.device)
            .env("OTHERS", others.collect::<Vec<_>>().join(" "))
            .env("TOP", &target)
            .env("BINARY", env!("CARGO_BIN_EXE_rootshift"))
            .env("REPOSITORY", repository())
            .env("ARGUMENTS", arguments)
            .output()
            .unwrap();
        self.settle();
        for disk in &self.others {
            disk.settle();
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// As Debian's installer leaves it, and some files.
fn populate(top: &Path, uuid: &str) {
    let fstab = format!("UUID={uuid} / ext4 errors=remount-ro 0 1\nUUID=1234 none swap sw 0 0\n");
    write(top, "etc/fstab", &fstab);
    write(top, "etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
    write(top, "boot/grub/grub.cfg", "set default=0\n");
    write(top, "boot/vmlinuz-6.1.0-1-amd64", "kernel");
    write(top, "boot/initrd.img-6.1.0-1-amd64", "initramfs");
    symlink("boot/vmlinuz-6.1.0-1-amd64", top.join("vmlinuz")).unwrap();
    for directory in ["run", "proc", "dev", "sys", "tmp", "srv"] {
        fs::create_dir(top.join(directory)).unwrap();
    }
    for number in 0..300 {
        write(
            top,
            &format!("home/user/{number}"),
            &"x".repeat(number * 40),
        );
    }
    write(top, "var/log/syslog", "a line\n");
    write(top, "usr/share/initramfs-tools/scripts/local", "fake");
    for program in ["update-initramfs", "lsinitramfs", "btrfs-convert"] {
        let path = format!("usr/sbin/{program}");
        write(top, &path, "fake");
        fs::set_permissions(top.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy_documents(&top.join("usr/share/rootshift"));
}
