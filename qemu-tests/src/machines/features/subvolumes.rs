//! Subvolumes that are there already.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use super::Build;
use crate::run::{run, tool};

pub fn nested(build: &mut Build) -> Result<()> {
    for path in ["var/lib/portables", "home/user/vm", "srv/cache"] {
        if build.chance.below(2) == 0 {
            build.subvolume(path)?;
            build.write(&format!("{path}/image"), "nested\n")?;
        }
    }
    Ok(())
}

pub fn nested_deep(build: &mut Build) -> Result<()> {
    let mut path = "srv/deep".to_owned();
    for level in 0..4 {
        build.subvolume(&path)?;
        build.write(&format!("{path}/file"), "deep\n")?;
        path = format!("{path}/level {level}");
    }
    Ok(())
}

/// A directory that the system needs is a subvolume.
pub fn nested_var(build: &mut Build) -> Result<()> {
    let path = build.one_of(&["var", "boot", "opt", "home", "var/log", "usr"]);
    let (own, aside) = (
        build.root.join(path),
        build.root.join(format!("{path}.aside")),
    );
    fs::rename(&own, &aside)?;
    build.subvolume(path)?;
    run(tool("cp").arg("-a").arg(aside.join(".")).arg(&own))?;
    Ok(fs::remove_dir_all(aside)?)
}

/// Any user can make one.
pub fn nested_odd_name(build: &mut Build) -> Result<()> {
    let names: [&[u8]; 6] = [
        b"\xff\xfe",
        b"two\nlines",
        b"-rf",
        b"a b",
        b"@",
        b"quote'\"$x",
    ];
    let name = names
        .get(build.chance.below(names.len()))
        .copied()
        .unwrap_or(b"x");
    let path = build.root.join("home/eve").join(OsStr::from_bytes(name));
    build.subvolume(&path)?;
    Ok(fs::write(path.join("file"), "odd\n")?)
}

/// Where something is split off, on both sides of it.
pub fn nested_among_splits(build: &mut Build) -> Result<()> {
    for path in ["srv/models/nested", "var/log/nested", "home/nested"] {
        build.subvolume(path)?;
        build.write(&format!("{path}/file"), "nested\n")?;
    }
    Ok(())
}

/// As btrfs receive leaves one.
pub fn read_only_snapshot(build: &mut Build) -> Result<()> {
    build.subvolume("srv/backup-source")?;
    build.write("srv/backup-source/precious", "the only copy\n")?;
    let (from, to) = (
        build.root.join("srv/backup-source"),
        build.root.join("srv/backup-1"),
    );
    let mut snapshot = tool("btrfs");
    run(snapshot
        .args(["-q", "subvolume", "snapshot", "-r"])
        .arg(from)
        .arg(to))
}

/// As snapper keeps them.
pub fn snapshots(build: &mut Build) -> Result<()> {
    build.subvolume(".snapshots")?;
    fs::create_dir_all(build.root.join(".snapshots/1"))?;
    build.subvolume(".snapshots/1/snapshot")?;
    build.write(".snapshots/1/snapshot/file", "kept\n")?;
    build.write(".snapshots/1/info.xml", "<snapshot/>\n")
}

pub fn timeshift(build: &mut Build) -> Result<()> {
    let folder = build
        .top
        .join("timeshift-btrfs/snapshots/2026-01-01_00-00-00");
    fs::create_dir_all(&folder)?;
    run(tool("btrfs")
        .args(["-q", "subvolume", "create"])
        .arg(folder.join("@")))?;
    Ok(fs::write(folder.join("@/file"), "kept\n")?)
}

/// What an earlier life left.
pub fn rolled_back(build: &mut Build) -> Result<()> {
    for name in ["@.rolled-back-1", "@home.rolled-back-1"] {
        let path = build.top.join(name);
        run(tool("btrfs").args(["-q", "subvolume", "create"]).arg(&path))?;
        fs::write(path.join("file"), "of an earlier life\n")?;
    }
    Ok(())
}

pub fn default_subvolume(build: &mut Build) -> Result<()> {
    if build.subvolume.is_empty() {
        return Ok(());
    }
    run(tool("btrfs")
        .args(["subvolume", "set-default"])
        .arg(&build.root))
}

pub fn quota(build: &mut Build) -> Result<()> {
    run(tool("btrfs").args(["quota", "enable"]).arg(&build.top))
}

/// Another distribution beside this one.
pub fn other_system(build: &mut Build) -> Result<()> {
    let path = build.top.join("fedora");
    if !path.exists() {
        run(tool("btrfs").args(["-q", "subvolume", "create"]).arg(&path))?;
    }
    fs::create_dir_all(path.join("etc"))?;
    Ok(fs::write(
        path.join("etc/fstab"),
        "UUID=x / btrfs subvol=fedora 0 0\n",
    )?)
}
