//! The base tree: what `mmdebstrap` makes of a list of stock packages, kept compressed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::key;
use crate::run::{is_root, run, tool};

const SUITE: &str = "bookworm";
/// A small but ordinary Debian: stock kernel, initramfs-tools, GRUB, systemd; no busybox, so that
/// the initramfs has klibc's tools only (facts e2e.md part 3, trap 7).
const PACKAGES: &str = "acl,attr,btrfs-progs,dbus,e2fsprogs,grub-pc,initramfs-tools,iproute2,kmod,\
    libcap2-bin,linux-image-cloud-amd64,mount,passwd,rsync,systemd,systemd-sysv,udev,util-linux,zstd";
/// All that decides what the tree holds, short of the mirror's point releases.
pub(super) const IDENTITY: &[&str] = &[SUITE, "minbase, recipe 2", PACKAGES];

/// The tree as `tar.zst`, cached.
pub(super) fn tree(images: &Path, mirror: &str) -> Result<PathBuf> {
    let path = images.join(format!("{}.tar.zst", key::of("base", IDENTITY)));
    if path.exists() {
        return Ok(path);
    }
    ensure!(is_root(), "mmdebstrap needs root here: run as root");
    println!("image: mmdebstrap {SUITE} from {mirror} (once)");
    let fresh = images.join("base.new.tar.zst");
    _ = fs::remove_file(&fresh);
    run(&mut mmdebstrap(&fresh, mirror)).context("build the base tree")?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

/// `/boot/vmlinuz-*` of the tree, cached beside it.
pub(super) fn kernel(images: &Path, mirror: &str) -> Result<PathBuf> {
    let path = images.join(format!("{}.vmlinuz", key::of("base", IDENTITY)));
    if path.exists() {
        return Ok(path);
    }
    let tree = tree(images, mirror)?;
    let fresh = path.with_extension("vmlinuz.new");
    let script =
        "tar --extract --zstd --to-stdout --wildcards --file \"$0\" './boot/vmlinuz-*' > \"$1\"";
    run(tool("sh").args(["-c", script]).arg(&tree).arg(&fresh))?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

fn mmdebstrap(tree: &Path, mirror: &str) -> std::process::Command {
    let mut command = tool("mmdebstrap");
    command.args(["--variant=minbase", "--mode=root", "--architectures=amd64"]);
    command.args(["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"]);
    command.arg(format!("--include={PACKAGES}"));
    command.arg("--aptopt=APT::Install-Recommends \"false\"");
    for dropped in ["man", "locale", "doc", "info"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{dropped}/*"));
    }
    command.arg("--dpkgopt=force-unsafe-io");
    // grub-pc asks for a disk; the image builder runs grub-install itself.
    let answer = "echo grub-pc grub-pc/install_devices_empty boolean true | chroot \"$1\" debconf-set-selections";
    command.arg(format!("--essential-hook={answer}"));
    command.arg(SUITE).arg(tree).arg(mirror);
    command
}
