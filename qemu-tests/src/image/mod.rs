//! Disk images of real Debian systems, built once for each recipe and then copied or forked.

mod base;
mod chroot;
mod disk;
mod files;
mod grow;
mod key;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::{is_root, run, tool};
use crate::setup::Tools;
use crate::workspace::Workspace;

pub use disk::{AttachedDisk, Mount};
pub use files::add_files;
pub use grow::grow;

const CONFIGURE: &str = include_str!("../../assets/configure.sh");
const CONTENT: &str = include_str!("../../assets/content.sh");
const AGENT: &str = include_str!("../../assets/agent.sh");
const AGENT_UNIT: &str = include_str!("../../assets/rootshift-test-agent.service");
/// Raise it when code that builds images changes what comes out.
const RECIPE: &str = "flat-btrfs 1";
const SIZE: &str = "2G";

/// Where the system's root is on its btrfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// At the top level.
    Flat,
    /// In the subvolume that Debian's installer makes.
    Rootfs,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat-btrfs",
            Self::Rootfs => "debian-rootfs",
        }
    }

    /// Options of its line in fstab.
    fn options(self) -> &'static str {
        match self {
            Self::Flat => "defaults,noatime",
            Self::Rootfs => "defaults,subvol=@rootfs",
        }
    }
}

/// A bootable raw disk: GPT, GRUB for BIOS, and Debian 12 in the top level of one btrfs.
/// Cached; callers fork or copy it and never write to it.
pub fn flat_btrfs(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    debian(workspace, tools, Kind::Flat)
}

/// The same in the subvolume `@rootfs`, as Debian's installer makes it: core.img's prefix names it.
pub fn debian_rootfs(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    debian(workspace, tools, Kind::Rootfs)
}

fn debian(workspace: &Workspace, tools: &Tools, kind: Kind) -> Result<PathBuf> {
    let images = workspace.images()?;
    let own = [RECIPE, SIZE, CONFIGURE, CONTENT, AGENT, AGENT_UNIT];
    let parts = [base::IDENTITY, &own].concat();
    let path = images.join(format!("{}.raw", key::of(kind.name(), &parts)));
    if path.exists() {
        return Ok(path);
    }
    ensure!(
        is_root(),
        "building a disk image needs root (loop devices, mounts): run as root"
    );
    let tree = base::tree(&images, &tools.mirror)?;
    println!("image: building {}", path.display());
    let fresh = path.with_extension("raw.new");
    build(&fresh, &tree, kind).with_context(|| format!("build {}", path.display()))?;
    std::fs::rename(&fresh, &path)?;
    remove_older(&images, kind.name(), &path)?;
    Ok(path)
}

/// The kernel of the base tree, for a probe or a direct boot. Cached.
pub fn kernel(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    base::kernel(&workspace.images()?, &tools.mirror)
}

/// A copy that keeps the holes.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    run(tool("cp")
        .args(["--sparse=always", "--force", "--"])
        .arg(from)
        .arg(to))
}

/// Images of earlier recipes: half a gigabyte each that nobody asks for again.
fn remove_older(images: &Path, kind: &str, current: &Path) -> Result<()> {
    for entry in std::fs::read_dir(images)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_image = name.starts_with(kind) && name.ends_with(".raw");
        if is_image && path != current {
            std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn build(disk: &Path, tree: &Path, kind: Kind) -> Result<()> {
    disk::partition(disk, SIZE)?;
    let attached = AttachedDisk::new(disk)?;
    let root = attached.root_partition();
    run(tool("mkfs.btrfs")
        .args(["--quiet", "--force", "--label", "debian"])
        .arg(&root))?;
    let mounted = match kind {
        Kind::Flat => attached.mount_top_level()?,
        Kind::Rootfs => mount_in_subvolume(&attached)?,
    };
    run(tool("tar")
        .args([
            "--extract",
            "--zstd",
            "--numeric-owner",
            "--xattrs",
            "--acls",
        ])
        .args([
            "--xattrs-include=*",
            "--file",
            &tree.display().to_string(),
            "--directory",
            &mounted.path().display().to_string(),
        ]))?;
    install_agent(mounted.path())?;
    let inside = chroot::Chroot::enter(mounted.path(), &attached)?;
    inside
        .script(CONFIGURE, &[&attached.root_uuid()?, kind.options()])
        .context("configure the system")?;
    inside
        .script(CONTENT, &[])
        .context("fill the system with files")?;
    let whole = attached.device().display().to_string();
    inside.run(&["grub-install", "--target=i386-pc", "--no-floppy", &whole])?;
    inside.run(&["update-grub"])?;
    drop(inside);
    mounted.unmount()
}

fn mount_in_subvolume(attached: &AttachedDisk) -> Result<Mount> {
    let top = attached.mount_top_level()?;
    let root = top.path().join("@rootfs");
    run(tool("btrfs")
        .args(["--quiet", "subvolume", "create"])
        .arg(&root))?;
    let at = top.path().to_path_buf();
    top.unmount()?;
    Mount::new(&attached.root_partition(), &at, &["-o", "subvol=@rootfs"])
}

fn install_agent(root: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let script = root.join("usr/local/sbin/rootshift-test-agent");
    std::fs::write(&script, AGENT)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    std::fs::write(
        root.join("etc/systemd/system/rootshift-test-agent.service"),
        AGENT_UNIT,
    )?;
    Ok(())
}
