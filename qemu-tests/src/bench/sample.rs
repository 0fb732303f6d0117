//! A machine to look at: this one, with a btrfs, a boot menu, a table of mounts and somebody who
//! answers. All of it is mounted where this process alone sees it, and gone with the process.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rootshift::sys::mount;
use serde_json::Value;

use crate::run::{is_root, run, tool};
use crate::workspace::Workspace;

/// Where the btrfs is mounted. These places there are on every Debian (hier(7)).
pub(super) const MOUNTED: &str = "/mnt";
const MENU: &str = "/boot";
const FSTAB: &str = "/etc/fstab";

const DISK: u64 = 256 << 20;
const SOCKET: &str = "/mnt/answers.sock";
const UUID: &str = "0fa1c7d2-5f1c-4d2e-9b55-7f6f7d1f2a10";
/// As many as a machine has that never removed an old kernel.
const KERNELS: usize = 12;

/// What answers as long as it is held.
pub(super) struct Sample {
    folder: PathBuf,
    listener: TcpListener,
    answers: Option<UnixListener>,
}

impl Sample {
    pub(super) fn set_up(workspace: &Workspace) -> Result<Self> {
        ensure!(is_root(), "the benchmark mounts a disk: run it as root");
        let folder = workspace.target().join("bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        mount::private_namespace()?;
        disk(&folder.join("disk"))?;
        run(tool("mount").args(["-t", "tmpfs", "bench", MENU]))?;
        std::fs::create_dir(format!("{MENU}/grub"))?;
        std::fs::write(format!("{MENU}/grub/grub.cfg"), menu())?;
        let table = folder.join("fstab");
        std::fs::write(&table, fstab())?;
        run(tool("mount").arg("--bind").arg(&table).arg(FSTAB))?;
        let answers = UnixListener::bind(SOCKET)?;
        answers.set_nonblocking(true)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self {
            folder,
            listener,
            answers: Some(answers),
        })
    }

    /// Writes a document; returns its path.
    pub(super) fn write(&self, name: &str, script: &Value) -> Result<PathBuf> {
        let path = self.folder.join(format!("{name}_viScript.json"));
        std::fs::write(&path, script.to_string())
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A TCP port that something listens on.
    pub(super) fn port(&self) -> u16 {
        self.listener
            .local_addr()
            .map_or(0, |address| address.port())
    }

    /// A Unix socket that something answers on.
    pub(super) fn socket(&self) -> &'static str {
        SOCKET
    }

    /// Takes the connections that wait on it. To be done before each run: the queue holds 128, and
    /// nobody else takes them meanwhile, which would be work beside what is measured.
    pub(super) fn empty_queue(&self) {
        let waiting = || self.answers.as_ref()?.accept().ok();
        while waiting().is_some() {}
    }

    /// The last entry of the boot menu.
    pub(super) fn last_title(&self) -> String {
        title(KERNELS)
    }

    /// With nothing mounted: what the checks are, not what they find.
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self {
            folder: PathBuf::new(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            answers: None,
        }
    }
}

/// A btrfs with a subvolume, which is mounted.
fn disk(path: &Path) -> Result<()> {
    std::fs::File::create(path)?.set_len(DISK)?;
    run(tool("mkfs.btrfs").args(["--quiet", "--force"]).arg(path))?;
    let mounting = |options: &str| run(tool("mount").args(["-o", options]).arg(path).arg(MOUNTED));
    mounting("loop")?;
    run(tool("btrfs").args(["-q", "subvolume", "create", "/mnt/@data"]))?;
    run(tool("umount").arg(MOUNTED))?;
    mounting("loop,subvol=@data,noatime")
}

fn title(number: usize) -> String {
    format!("Debian GNU/Linux, with Linux 6.1.0-{number}-amd64")
}

/// As grub-mkconfig writes it, without what does not concern the entries.
fn menu() -> String {
    let mut text = String::from("set default=\"0\"\nset timeout=5\nload_video() { true; }\n");
    for number in 1..=KERNELS {
        text.push_str(&format!(
            "menuentry '{}' --class debian --class gnu-linux $menuentry_id_option \
             'gnulinux-6.1.0-{number}-amd64-advanced-{UUID}' {{\n\
             \tload_video\n\tinsmod gzio\n\
             \tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n\
             \tinsmod part_gpt\n\tinsmod btrfs\n\
             \tsearch --no-floppy --fs-uuid --set=root {UUID}\n\
             \techo\t'Loading Linux 6.1.0-{number}-amd64 ...'\n\
             \tlinux\t/@/boot/vmlinuz-6.1.0-{number}-amd64 root=UUID={UUID} ro rootflags=subvol=@ quiet\n\
             \techo\t'Loading initial ramdisk ...'\n\
             \tinitrd\t/@/boot/initrd.img-6.1.0-{number}-amd64\n}}\n",
            title(number)
        ));
    }
    text
}

fn fstab() -> String {
    let mut text = String::from("# <file system> <mount point> <type> <options> <dump> <pass>\n");
    for (name, place) in [
        ("@", "/"),
        ("@home", "/home"),
        ("@var_log", "/var/log"),
        ("@srv", "/srv"),
    ] {
        text.push_str(&format!(
            "UUID={UUID} {place} btrfs defaults,noatime,subvol={name} 0 0\n"
        ));
    }
    text + "tmpfs /tmp tmpfs defaults,nosuid 0 0\n/dev/sdb1 none swap sw 0 0\n"
}

#[cfg(test)]
mod tests {
    use super::{KERNELS, fstab, menu, title};
    use rootshift::bootcfg::fstab::Fstab;
    use rootshift::bootcfg::grub_config::{boot_entries, default_entry};

    #[test]
    fn the_files_are_what_the_checks_ask_for() {
        let text = menu();
        let entries = boot_entries(&text);
        assert_eq!(entries.len(), KERNELS);
        assert_eq!(entries[KERNELS - 1].title, title(KERNELS));
        let default = default_entry(&text, &entries).unwrap();
        assert_eq!(default.arguments.value("rootflags"), Some("subvol=@"));
        assert!(Fstab::parse(&fstab()).entry_for("/").is_some());
    }
}
