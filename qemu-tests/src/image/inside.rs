//! Packages installed in a system that is switched off, by apt and their own scripts, in a chroot
//! of the host: at the processor's own speed, and with a network.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::chroot::Chroot;
use super::disk::AttachedDisk;

/// Services are not started: nothing runs in a chroot.
const BEFORE: &str = r"
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
";
const AFTER: &str = "
rm /usr/sbin/policy-rc.d
";

/// Runs a script at the top level of a raw disk, with `files` in /root; what it printed. All is on
/// the device when it returns.
pub fn work_inside(disk: &Path, files: &[&Path], script: &str) -> Result<String> {
    let attached = AttachedDisk::new(disk)?;
    let top = attached.mount_top_level()?;
    let root = top.path();
    for file in files {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(file, root.join("root").join(name))
            .with_context(|| format!("copy {}", file.display()))?;
    }
    let names = root.join("etc/resolv.conf");
    let before = fs::read(&names).ok();
    fs::copy("/etc/resolv.conf", &names).context("copy resolv.conf")?;
    let inside = Chroot::enter(root, &attached)?;
    let said = inside.said(&format!("{BEFORE}{script}{AFTER}"));
    drop(inside);
    match before {
        Some(text) => fs::write(&names, text)?,
        None => fs::remove_file(&names)?,
    }
    top.unmount()?;
    said.context("work inside the system")
}
