//! The base tree: what `mmdebstrap` makes of a list of stock packages, kept compressed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::key;
use super::recipe::{Loader, Recipe};
use crate::run::{is_root, run, tool};

/// All that decides what the tree holds, short of the mirror's point releases.
pub(super) fn identity(recipe: Recipe) -> [String; 3] {
    [
        recipe.suite.name().to_owned(),
        "minbase, recipe 2".to_owned(),
        recipe.packages(),
    ]
}

/// The tree as `tar.zst`, cached.
pub(super) fn tree(images: &Path, mirror: &str, recipe: Recipe) -> Result<PathBuf> {
    let name = name(recipe);
    let path = images.join(format!("{name}.tar.zst"));
    if path.exists() {
        return Ok(path);
    }
    ensure!(is_root(), "mmdebstrap needs root here: run as root");
    println!(
        "image: mmdebstrap {} from {mirror} (once)",
        recipe.suite.name()
    );
    let fresh = images.join(format!("{name}.new.tar.zst"));
    _ = fs::remove_file(&fresh);
    run(&mut mmdebstrap(&fresh, mirror, recipe)).context("build the base tree")?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

/// `/boot/vmlinuz-*` of the usual tree, cached beside it.
pub(super) fn kernel(images: &Path, mirror: &str) -> Result<PathBuf> {
    let path = images.join(format!("{}.vmlinuz", name(Recipe::USUAL)));
    if path.exists() {
        return Ok(path);
    }
    let tree = tree(images, mirror, Recipe::USUAL)?;
    let fresh = path.with_extension("vmlinuz.new");
    let script =
        "tar --extract --zstd --to-stdout --wildcards --file \"$0\" './boot/vmlinuz-*' > \"$1\"";
    run(tool("sh").args(["-c", script]).arg(&tree).arg(&fresh))?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

fn name(recipe: Recipe) -> String {
    let identity = identity(recipe);
    key::of("base", &identity.each_ref().map(String::as_str))
}

fn mmdebstrap(tree: &Path, mirror: &str, recipe: Recipe) -> std::process::Command {
    let mut command = tool("mmdebstrap");
    command.args(["--variant=minbase", "--mode=root", "--architectures=amd64"]);
    command.args(["--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"]);
    command.arg(format!("--include={}", recipe.packages()));
    command.arg("--aptopt=APT::Install-Recommends \"false\"");
    for dropped in ["man", "locale", "doc", "info"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{dropped}/*"));
    }
    command.arg("--dpkgopt=force-unsafe-io");
    // grub-pc asks for a disk; the image builder runs grub-install itself.
    if recipe.loader == Loader::GrubBios {
        let answer = "echo grub-pc grub-pc/install_devices_empty boolean true | chroot \"$1\" debconf-set-selections";
        command.arg(format!("--essential-hook={answer}"));
    }
    command.arg(recipe.suite.name()).arg(tree).arg(mirror);
    command
}
