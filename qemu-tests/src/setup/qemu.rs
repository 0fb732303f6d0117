//! QEMU 10, unpacked privately: 7.2 of Debian 12 loses guests with newer kernels and slows down
//! where many processes start (facts e2e.md, traps 1 and 2), and it can't be installed beside
//! a newer `qemu-utils`. The system's packages and sources stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{mirror, packages};
use crate::run::{exists, output, run, tool};
use crate::workspace::Workspace;

const PACKAGES: &[&str] = &[
    "qemu-system-x86",
    "qemu-utils",
    "seabios",
    "ipxe-qemu",
    "ovmf",
];
const LIBRARIES: &[&str] = &[
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/qemu",
];
const FIRMWARE: &[&str] = &["usr/share/seabios", "usr/share/qemu", "usr/lib/ipxe/qemu"];

/// A QEMU that answered `-version`.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// The private tree; none when the system's own QEMU is used.
    tree: Option<PathBuf>,
    /// The first line of `-version`.
    pub version: String,
}

impl Qemu {
    /// The cached private QEMU, else a new one, else the system's.
    pub fn provide(workspace: &Workspace, mirror: &str) -> Result<Self> {
        let tree = workspace.qemu().join("tree");
        if let Ok(found) = Self::ask(Some(tree.clone())) {
            return Ok(found);
        }
        if mirror::codename() != "bookworm" {
            packages::install_these(PACKAGES)?;
            return Self::ask(None);
        }
        println!(
            "setup: unpacking QEMU of bookworm-backports into {}",
            tree.display()
        );
        match unpack(&workspace.qemu(), mirror) {
            Ok(()) => Self::ask(Some(tree)),
            Err(error) => fall_back(&error),
        }
    }

    /// `qemu-system-x86_64`, which the kernel kills when the thread that started it ends.
    pub fn system(&self) -> Command {
        let mut command = tool("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.program("qemu-system-x86_64"));
        if let Some(tree) = &self.tree {
            command.env("LD_LIBRARY_PATH", libraries(tree));
            for dir in FIRMWARE {
                command.arg("-L").arg(tree.join(dir));
            }
        }
        command
    }

    /// `qemu-img`, of the same version where the private tree holds one.
    pub fn img(&self) -> Command {
        let mut command = tool(self.program("qemu-img"));
        if let Some(tree) = &self.tree {
            command.env("LD_LIBRARY_PATH", libraries(tree));
        }
        command
    }

    /// UEFI firmware, and its variables as a new machine has them.
    pub fn firmware(&self) -> (PathBuf, PathBuf) {
        let root = self.tree.clone().unwrap_or_else(|| PathBuf::from("/"));
        let at = root.join("usr/share/OVMF");
        (at.join("OVMF_CODE_4M.fd"), at.join("OVMF_VARS_4M.fd"))
    }

    fn program(&self, name: &str) -> PathBuf {
        let own = self
            .tree
            .as_ref()
            .map(|tree| tree.join("usr/bin").join(name));
        own.filter(|path| path.exists())
            .unwrap_or_else(|| PathBuf::from(name))
    }

    fn ask(tree: Option<PathBuf>) -> Result<Self> {
        if let Some(tree) = tree
            .as_ref()
            .filter(|tree| !tree.join("usr/bin/qemu-system-x86_64").exists())
        {
            bail!("no QEMU in {}", tree.display());
        }
        let mut found = Self {
            tree,
            version: String::new(),
        };
        let said = output(found.system().arg("-version"))?;
        found.version = said.lines().next().unwrap_or_default().to_owned();
        output(found.img().arg("--version"))?;
        Ok(found)
    }
}

fn fall_back(error: &anyhow::Error) -> Result<Qemu> {
    println!("setup: no QEMU of bookworm-backports ({error:#}); using the system's");
    if !exists("qemu-system-x86_64") {
        packages::install_these(&["qemu-system-x86", "qemu-utils", "seabios", "ovmf"])?;
    }
    Qemu::ask(None)
}

fn libraries(tree: &Path) -> String {
    let dirs: Vec<_> = LIBRARIES
        .iter()
        .map(|dir| tree.join(dir).display().to_string())
        .collect();
    dirs.join(":")
}

/// Downloads with an apt configuration of its own; the system's package status is only read, so
/// that just what the system lacks is fetched. The tree appears whole or not at all.
fn unpack(home: &Path, mirror: &str) -> Result<()> {
    let config = write_apt_config(home, mirror)?;
    let apt = |args: &[&str]| run(tool("apt-get").env("APT_CONFIG", &config).args(args));
    apt(&["update"]).context("refresh the private package lists")?;
    let mut install = vec![
        "install",
        "--yes",
        "--download-only",
        "--no-install-recommends",
    ];
    install.extend(["--target-release", "bookworm-backports"]);
    install.extend(PACKAGES);
    apt(&install).context("download QEMU")?;
    let fresh = home.join("tree.new");
    _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh)?;
    for entry in fs::read_dir(home.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|end| end == "deb") {
            run(tool("dpkg-deb").arg("-x").arg(&package).arg(&fresh))?;
        }
    }
    let tree = home.join("tree");
    _ = fs::remove_dir_all(&tree);
    fs::rename(&fresh, &tree).context("put the unpacked QEMU in place")?;
    _ = fs::remove_dir_all(home.join("cache"));
    Ok(())
}

fn write_apt_config(home: &Path, mirror: &str) -> Result<PathBuf> {
    for dir in [
        "etc/apt.conf.d",
        "etc/preferences.d",
        "etc/sources.list.d",
        "state/lists/partial",
    ] {
        fs::create_dir_all(home.join(dir))?;
    }
    fs::create_dir_all(home.join("cache/archives/partial"))?;
    let key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    let sources = ["bookworm", "bookworm-backports"]
        .map(|suite| format!("deb {key} {mirror} {suite} main\n"));
    fs::write(home.join("etc/sources.list"), sources.concat())?;
    let path = home.display();
    let text = format!(
        "Dir::Etc \"{path}/etc\";\nDir::State \"{path}/state\";\n\
         Dir::State::status \"/var/lib/dpkg/status\";\nDir::Cache \"{path}/cache\";\n\
         Acquire::Languages \"none\";\nDebug::NoLocking \"true\";\nAPT::Sandbox::User \"root\";\n{}",
        proxies()
    );
    let config = home.join("apt.conf");
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    Ok(config)
}

/// A proxy of the machine's own configuration still holds; nothing else of it does.
fn proxies() -> String {
    let all = output(tool("apt-config").args(["dump", "Acquire"])).unwrap_or_default();
    let kept: Vec<_> = all
        .lines()
        .filter(|line| line.to_lowercase().contains("proxy"))
        .collect();
    kept.join("\n")
}
