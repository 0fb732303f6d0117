//! Disk images of real Debian systems, built once for each recipe and then copied or forked.

mod base;
mod chroot;
mod disk;
mod esp;
mod files;
mod grow;
mod inside;
mod install;
mod key;
mod recipe;
mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};

use crate::machine;
use crate::run::{is_root, run, tool};
use crate::setup::Tools;
use crate::workspace::Workspace;

pub use disk::{AttachedDisk, Mount};
pub use files::add_files;
pub use grow::grow;
pub use inside::work_inside;
pub use recipe::{Loader, Place, Recipe, Suite};
pub use upgrade::full_upgrade;

const CONFIGURE: &str = include_str!("../../assets/configure.sh");
const CONTENT: &str = include_str!("../../assets/content.sh");
const AGENT: &str = include_str!("../../assets/agent.sh");
const AGENT_UNIT: &str = include_str!("../../assets/rootshift-test-agent.service");
/// Raise it when code that builds images changes what comes out.
const RECIPE: &str = "flat-btrfs 1";
const SIZE: &str = "2G";

/// The ESP in the system, with the words of Debian's installer. $1: UUID of its file system.
const ESP: &str = r#"
mkdir -p /boot/efi
echo "UUID=$1  /boot/efi       vfat    umask=0077      0       1" >> /etc/fstab
"#;
const ESP_RECIPE: &str = "esp 1";

/// Two cases that need one image don't build it twice.
static BUILDING: Mutex<()> = Mutex::new(());

/// A bootable raw disk: GPT, GRUB for BIOS, and Debian 12 in the top level of one btrfs.
/// Cached; callers fork or copy it and never write to it.
pub fn flat_btrfs(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    debian(workspace, tools, Recipe::USUAL)
}

/// A bootable raw disk: GPT, a boot loader and Debian on one btrfs. A disk for UEFI has the
/// firmware's variables beside it. Cached; callers fork or copy it and never write to it.
pub fn debian(workspace: &Workspace, tools: &Tools, recipe: Recipe) -> Result<PathBuf> {
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let images = workspace.images()?;
    let path = images.join(format!("{}.raw", key_of(recipe)));
    if path.exists() {
        return Ok(path);
    }
    ensure!(
        is_root(),
        "building a disk image needs root (loop devices, mounts): run as root"
    );
    let tree = base::tree(&images, &tools.mirror, recipe)?;
    println!("image: building {}", path.display());
    let fresh = path.with_extension("raw.new");
    let vars = machine::vars_beside(&fresh);
    _ = std::fs::remove_file(&vars);
    build(&fresh, &tree, recipe).with_context(|| format!("build {}", path.display()))?;
    if recipe.loader.is_efi() {
        let (_, template) = tools.qemu.firmware();
        copy(&template, &vars).context("take new variables of the firmware")?;
        install::in_guest(workspace, tools, &fresh, recipe.loader)?;
        std::fs::rename(&vars, machine::vars_beside(&path))?;
    }
    std::fs::rename(&fresh, &path)?;
    remove_older(&images, &recipe.name(), &path)?;
    Ok(path)
}

fn key_of(recipe: Recipe) -> String {
    let base = base::identity(recipe);
    let mut parts: Vec<&str> = base.iter().map(String::as_str).collect();
    parts.extend([RECIPE, SIZE, CONFIGURE, CONTENT, AGENT, AGENT_UNIT]);
    if recipe.loader.is_efi() {
        parts.extend([ESP_RECIPE, ESP, install::GRUB, install::SYSTEMD_BOOT]);
    }
    key::of(&recipe.name(), &parts)
}

/// The kernel of the base tree, for a probe or a direct boot. Cached.
pub fn kernel(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    base::kernel(&workspace.images()?, &tools.mirror)
}

/// A copy that keeps the holes, with the firmware's variables where there are any.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    run(tool("cp")
        .args(["--sparse=always", "--force", "--"])
        .arg(from)
        .arg(to))?;
    machine::copy_vars(from, to)
}

/// Images of earlier recipes: half a gigabyte each that nobody asks for again.
fn remove_older(images: &Path, kind: &str, current: &Path) -> Result<()> {
    for entry in std::fs::read_dir(images)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_image = name.starts_with(kind) && name.ends_with(".raw");
        if is_image && path != current {
            std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            _ = std::fs::remove_file(machine::vars_beside(&path));
        }
    }
    Ok(())
}

fn build(disk: &Path, tree: &Path, recipe: Recipe) -> Result<()> {
    let is_efi = recipe.loader.is_efi();
    let first = if is_efi {
        disk::First::Esp
    } else {
        disk::First::CoreImage
    };
    disk::partition(disk, SIZE, first)?;
    let attached = AttachedDisk::new(disk)?;
    if is_efi {
        esp::format(&attached)?;
    }
    let root = attached.root_partition();
    run(tool("mkfs.btrfs")
        .args(["--quiet", "--force", "--label", "debian"])
        .arg(&root))?;
    let mounted = match recipe.root {
        Place::Flat => attached.mount_top_level()?,
        Place::Rootfs => mount_in_subvolume(&attached)?,
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
        .script(CONFIGURE, &[&attached.root_uuid()?, recipe.options()])
        .context("configure the system")?;
    inside
        .script(CONTENT, &[])
        .context("fill the system with files")?;
    if is_efi {
        inside.script(ESP, &[&attached.first_uuid()?])?;
        esp::fill(&attached, mounted.path(), recipe.root)?;
    } else {
        let whole = attached.device().display().to_string();
        inside.run(&["grub-install", "--target=i386-pc", "--no-floppy", &whole])?;
    }
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
