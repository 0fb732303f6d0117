//! `initramfs-tools`: the images are made by initramfs-tools, and there is room for new ones.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::sys::Root;
use crate::sys::process::find_program;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let system = context.system;
    // dracut ships an update-initramfs too (facts boot.md 2): its scripts tell them apart.
    let tools = system.exists(Path::new("usr/share/initramfs-tools/scripts/local"))?
        && find_program(system, "update-initramfs")?.is_some()
        && find_program(system, "lsinitramfs")?.is_some();
    if !tools {
        return Ok(Outcome::fail(
            "the initramfs is not made by initramfs-tools",
            "not supported yet with dracut; else run `apt install initramfs-tools`",
        ));
    }
    let images = images(system)?;
    if images.is_empty() {
        return Ok(Outcome::fail(
            "there is no initramfs image in /boot",
            "run `update-initramfs -c -k all`",
        ));
    }
    let largest = images.iter().map(|(_, size)| *size).max().unwrap_or(0);
    // The new image and a backup of the old one stand beside each other (facts boot.md 1.6).
    let needed = largest / 5 * 12;
    // Root writes the images; and btrfs calls nothing available once metadata runs short, which is
    // what `free-space` is for.
    let free = system.within(Path::new("boot"))?.free_space()?.free_bytes;
    if free < needed {
        return Ok(Outcome::fail(
            format!(
                "{} MiB are free in /boot, {} MiB are needed",
                free >> 20,
                needed >> 20
            ),
            "remove old kernels (`apt autoremove`)",
        ));
    }
    Ok(Outcome::Pass)
}

pub(super) fn images(system: &Root) -> Result<Vec<(String, u64)>, Error> {
    let mut images = Vec::new();
    for name in system.list(Path::new("boot"))? {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("initrd.img-") {
            let status = system.status(&Path::new("boot").join(&name))?;
            images.push((name, status.map_or(0, |status| status.size)));
        }
    }
    Ok(images)
}
