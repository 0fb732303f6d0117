//! A whole upgrade of the distribution, by apt and the packages' own scripts, in the system that
//! lies on subvolumes of a disk. It is done in a chroot of the host: the same programs at the
//! processor's own speed, where an emulated guest would take a quarter of an hour.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::chroot::Chroot;
use super::disk::{AttachedDisk, Mount};
use super::recipe::Suite;
use crate::setup::Tools;
use crate::workspace::Workspace;

/// The new system as rootshift lays it out.
const MOUNTS: [(&str, &str); 3] = [("@", ""), ("@home", "home"), ("@var_log", "var/log")];

/// $1: mirror, $2: suite. Services are not started: nothing runs in a chroot.
const UPGRADE: &str = r#"
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $2 main" > /etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
apt-get update
apt-get --yes --option Dpkg::Options::=--force-confold --option Dpkg::Options::=--force-unsafe-io full-upgrade
rm /usr/sbin/policy-rc.d
dpkg --audit
"#;

/// Upgrades the new system on a raw disk that is switched off. On the device when it returns.
pub fn full_upgrade(workspace: &Workspace, tools: &Tools, disk: &Path, to: Suite) -> Result<()> {
    let archives = workspace.images()?.join(format!("archives-{}", to.name()));
    fs::create_dir_all(archives.join("partial"))?;
    let attached = AttachedDisk::new(disk)?;
    let top = attached.mount_top_level()?;
    let at = top.path().to_path_buf();
    top.unmount()?;
    let mut mounted = Vec::new();
    for (subvolume, place) in MOUNTS {
        let option = format!("subvol={subvolume}");
        let place = at.join(place);
        let mount = Mount::new(&attached.root_partition(), &place, &["-o", &option]);
        mounted.push(mount.with_context(|| format!("mount {subvolume}"))?);
    }
    let cache = at.join("var/cache/apt/archives");
    mounted.push(Mount::new(&archives, &cache, &["--bind"])?);
    let names = at.join("etc/resolv.conf");
    let before = fs::read(&names).ok();
    fs::copy("/etc/resolv.conf", &names).context("copy resolv.conf")?;
    let inside = Chroot::enter(&at, &attached)?;
    let upgraded = inside.script(UPGRADE, &[&tools.mirror, to.name()]);
    drop(inside);
    match before {
        Some(text) => fs::write(&names, text)?,
        None => fs::remove_file(&names)?,
    }
    while let Some(mount) = mounted.pop() {
        mount.unmount()?;
    }
    upgraded.with_context(|| format!("upgrade to {}", to.name()))
}
