//! One system on a btrfs, as manifests: its tree, its boot files, its nested subvolume.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rootshift::sys::{FileKind, Root};
use rootshift::tree::Manifest;
use rootshift::tree::manifest::Options;

/// Everything that can be compared is.
const ALL: Options = Options {
    cross_subvolumes: false,
    contents: true,
    holes: true,
};
/// The subvolume that the image has, as systemd makes it.
const NESTED: &str = "var/lib/portables";
/// Where the tool keeps the old `/boot` while the boot path leads to the new system.
const OLD_BOOT: &str = ".boot.rootshift";
/// Names of an old root that is a subvolume: its own while it is root, and the one it is kept by.
const OLD_ROOTS: &[&str] = &["@rootfs", ".@rootfs.rootshift"];
/// Subvolumes of the new system and where they are mounted.
const SUBVOLUMES: &[(&str, &str)] = &[("@home", "home"), ("@var_log", "var/log")];

/// Which of the two systems on the disk is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The old one: flat at the top level, or in the subvolume `@rootfs`.
    Flat,
    /// The one on subvolumes, put together as it is mounted.
    Subvolumes,
}

impl std::str::FromStr for View {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "flat" => Ok(Self::Flat),
            "subvolumes" => Ok(Self::Subvolumes),
            other => bail!("no view \"{other}\": flat or subvolumes"),
        }
    }
}

/// One named manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// tree, boot or nested.
    pub name: String,
    /// What is there.
    pub manifest: Manifest,
}

/// Records a system, seen from the mounted top level.
pub fn record(top: &Path, view: View) -> Result<Vec<Section>> {
    let top = Root::open(top)?;
    let (tree, boot, nested) = match view {
        View::Flat => {
            let root = old_root(&top)?;
            (
                Manifest::of(&top.within(Path::new(root))?, ALL)?,
                format!("{root}/{}", flat_boot(&top)?),
                format!("{root}/{NESTED}"),
            )
        }
        View::Subvolumes => (
            put_together(&top)?,
            "@/boot".to_owned(),
            format!("@/{NESTED}"),
        ),
    };
    let of = |path: &str| -> Result<Manifest> {
        let root = top
            .within(Path::new(path))
            .with_context(|| format!("open {path}"))?;
        Ok(Manifest::of(&root, ALL)?)
    };
    let sections = [
        ("tree", tree),
        ("boot", of(&boot)?),
        ("nested", of(&nested)?),
    ];
    Ok(sections
        .map(|(name, manifest)| Section {
            name: name.to_owned(),
            manifest,
        })
        .to_vec())
}

/// The directory of the old system's root at the top level.
fn old_root(top: &Root) -> Result<&'static str> {
    for name in OLD_ROOTS {
        let there = top.status(Path::new(name))?;
        if there.is_some_and(|status| status.kind == FileKind::Directory) {
            return Ok(name);
        }
    }
    Ok(".")
}

fn flat_boot(top: &Root) -> Result<String> {
    let kept = top.status(Path::new(OLD_BOOT))?;
    let is_kept = kept.is_some_and(|status| status.kind == FileKind::Directory);
    Ok(if is_kept { OLD_BOOT } else { "boot" }.to_owned())
}

fn put_together(top: &Root) -> Result<Manifest> {
    let mut tree = Manifest::of(&top.within(Path::new("@"))?, ALL)?;
    for (subvolume, mount_point) in SUBVOLUMES {
        let part = top
            .within(Path::new(subvolume))
            .with_context(|| format!("open {subvolume}"))?;
        tree.graft(Path::new(mount_point), Manifest::of(&part, ALL)?)?;
    }
    Ok(tree)
}
