//! What must hold, judged by programs that share no code with the one under test.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::act::Act;
use super::bench::{is_mounted, mounted_below};
use super::shell::{self, Ran};
use super::violation::{Kind, Violation};
use super::world::{System, World};
use crate::run::{output, run, tool};

/// Not a part of anybody's files: the kernel's, rootshift's own, and what a migration rewrites.
const LEFT_OUT: [&str; 16] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/.rootshift",
    ".rootshift-trash",
    "/etc/fstab",
    "/etc/default/grub",
    "/boot/grub/grub.cfg",
    "/boot/initrd.img-*",
    "/efi/*",
    "/var/lib/rootshift",
    "/etc/rootshift-batch.json",
    "/etc/fstab.backup.*",
    "/etc/default/grub.backup.*",
    "/mnt/bound/*",
];

/// Directories whose entries are rewritten by update-grub, update-initramfs and the plan.
const REWRITTEN_IN: [&str; 11] = [
    "./",
    "etc/",
    "etc/default/",
    "boot/",
    "boot/grub/",
    "var/lib/",
    "efi/",
    // The top of the second disk, and what is made anew in memory.
    "ml/",
    "mnt/later/",
    "mnt/my disk/",
    "mnt/bound/",
];

/// Subvolumes that fstab mounts elsewhere by name or id: what is mounted is compared there.
const MOUNTED_ELSEWHERE: [&str; 5] = ["/datavol", "/idvol", "/homevol", "/backupvol", "/home2"];

fn rsync() -> std::process::Command {
    let mut command = tool("rsync");
    command.args(["-aHAX", "--numeric-ids"]);
    command
}

/// Keeps all that is in the running system, mounts of its fstab included.
pub fn keep(world: &mut World) -> Result<()> {
    let reference = world.bench.at("reference");
    for name in ["old", "new"] {
        forget(&reference.join(name))?;
    }
    let old = world.bench.at(System::Old.reference());
    run(tool("btrfs").args(["-q", "subvolume", "create"]).arg(&old))?;
    let mut copy = rsync();
    for left_out in LEFT_OUT.iter().take(4) {
        // the kernel's
        copy.args(["--exclude", left_out]);
    }
    run(copy.arg(slashed(&world.root())).arg(slashed(&old)))?;
    world.flags = flags(world);
    world.complaints = complaints(world)?;
    Ok(())
}

/// The new system begins as the old one is now.
pub fn keep_for_new(world: &mut World) -> Result<()> {
    let new = world.bench.at(System::New.reference());
    forget(&new)?;
    let mut snapshot = tool("btrfs");
    snapshot.args(["-q", "subvolume", "snapshot"]);
    run(snapshot
        .arg(world.bench.at(System::Old.reference()))
        .arg(new))?;
    world.has_new = true;
    Ok(())
}

fn forget(subvolume: &Path) -> Result<()> {
    if !subvolume.exists() {
        return Ok(());
    }
    run(tool("btrfs")
        .args(["-q", "subvolume", "delete"])
        .arg(subvolume))
}

/// What is at these places of the running system is as it has to be from now on.
pub fn take_over(world: &World, system: System, places: &[&str]) -> Result<()> {
    let root = world.root();
    for place in places {
        if fs::symlink_metadata(root.join(place)).is_err() {
            continue;
        }
        let mut systems = vec![system];
        if world.has_new && is_shared(world, place)? {
            systems = vec![System::Old, System::New];
        }
        for system in systems {
            let from = format!("{}/./{place}", root.display());
            let to = world.bench.at(system.reference());
            run(rsync().arg("-R").arg(from).arg(slashed(&to)))?;
        }
    }
    Ok(())
}

/// Whether both systems mount the same thing there, outside of the layout.
fn is_shared(world: &World, place: &str) -> Result<bool> {
    let mut findmnt = tool("findmnt");
    findmnt.args(["-n", "-o", "FSROOT,SOURCE", "-T"]);
    let path = world.root().join(place);
    let folder = if path.is_dir() && !path.is_symlink() {
        path.as_path()
    } else {
        path.parent().context("a directory")?
    };
    let found = output(findmnt.arg(folder))?;
    let of_layout = ["/@", "/@home", "/@var_log"];
    let root = found.split_whitespace().next().unwrap_or("/");
    let known = [
        format!("/{}", world.subvolume),
        "/.@rootfs.rootshift".to_owned(),
    ];
    let own_disk = found.contains(&world.bench.disk.device);
    let in_layout = root.starts_with("/@") && world.subvolume != root.trim_start_matches('/');
    Ok(match own_disk {
        true => !of_layout.contains(&root) && !in_layout && !known.iter().any(|one| one == root),
        // A template knows of the root file system only.
        false => world.machine.has("by-template") || !world.machine.has("two-filesystems"),
    })
}

fn slashed(path: &Path) -> String {
    format!("{}/", path.display())
}

/// Whether somebody hostile works on it.
pub fn has_eve(world: &World) -> bool {
    let trick = |act: &Act| matches!(act, Act::Trick(_));
    world.machine.has("swapper") || world.machine.life.iter().any(trick)
}

/// Every file of the running system is there, and as it has to be.
pub fn files(world: &World, system: System) -> Result<()> {
    let mut left_out: Vec<String> = LEFT_OUT.map(str::to_owned).to_vec();
    left_out.extend(MOUNTED_ELSEWHERE.map(str::to_owned));
    // What a rollback keeps aside, of this life or an earlier one, stays at the top of its disk.
    left_out.extend(["/@*.rolled-back-*", "/ml/@*.rolled-back-*"].map(str::to_owned));
    match system {
        System::Old => {
            left_out.push("/@*".into());
            left_out.push("/.@rootfs.rootshift".into());
        }
        // A flat root's snapshots of Timeshift stay at the top, and belong into no system.
        System::New => left_out.push("/timeshift-btrfs/snapshots".into()),
    }
    if world.machine.has("fstab-tmpfs") {
        left_out.push("/tmp/*".into());
    }
    let mut own = vec!["tmp/", "var/tmp/"];
    if has_eve(world) {
        own.push("home/eve/");
        left_out.extend(["/tmp/*", "/var/tmp/*", "/home/eve/*"].map(str::to_owned));
        if world.machine.has("eve-models") {
            own.push("srv/models/");
            left_out.push("/srv/models/*".into());
        }
    }
    let mut compare = rsync();
    compare.args(["--dry-run", "--checksum", "--delete", "--itemize-changes"]);
    // In a sticky directory he can't touch what is somebody else's.
    compare.args(["--include", "/tmp/kept", "--include", "/var/tmp/kept"]);
    compare.args(left_out.iter().flat_map(|one| ["--exclude", one]));
    compare
        .arg(slashed(&world.bench.at(system.reference())))
        .arg(slashed(&world.root()));
    let lines = output(&mut compare).context("rsync")?;
    let expected = |line: &&str| match line.split_once(' ') {
        Some((".d..t......", place)) => REWRITTEN_IN.contains(&place) || own.contains(&place),
        // Mode and attributes of what is his are his.
        Some((kind, place)) => {
            kind.starts_with(".d") && own.contains(&place) && !place.contains("tmp")
        }
        None => false,
    };
    let wrong: Vec<&str> = lines.lines().filter(|line| !expected(line)).collect();
    if !wrong.is_empty() {
        let some: Vec<&str> = wrong.iter().take(12).copied().collect();
        let what = format!(
            "{system:?} system: {} files are not as they were: {}",
            wrong.len(),
            some.join(" / ")
        );
        return Err(Violation::error(Kind::Files, what));
    }
    same_flags(world)
}

/// `lsattr` of what has flags; what a hostile user may rename is left out.
fn flags(world: &World) -> String {
    let mut lines = Vec::new();
    for place in &world.flagged {
        if has_eve(world) && place.starts_with("srv/models") {
            continue;
        }
        let mut lsattr = tool("lsattr");
        let listed = output(lsattr.arg("-d").arg(world.root().join(place))).unwrap_or_default();
        let flags = listed
            .split_whitespace()
            .next()
            .unwrap_or("missing")
            .to_owned();
        lines.push(format!("{place} {flags}"));
    }
    lines.join("\n")
}

fn same_flags(world: &World) -> Result<()> {
    let now = flags(world);
    if now == world.flags {
        return Ok(());
    }
    let what = format!("flags were {} and are {now}", world.flags);
    Err(Violation::error(Kind::Files, what))
}

/// What `findmnt --verify` calls an error.
fn complaints(world: &World) -> Result<Vec<String>> {
    let words = ["/run/tools/findmnt", "--verify"];
    let ran = Ran::of(shell::inside(&world.root(), &words).output()?);
    let mut place = String::new();
    let mut found = Vec::new();
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        if !line.starts_with(' ') {
            place = line.to_owned();
        }
        let plain = line.trim();
        if plain.starts_with("[E]") || plain.contains("parse error at") {
            found.push(format!("{place} {plain}"));
        }
    }
    Ok(found)
}

/// The new fstab has no error that the old one had not. One that was looked at already is not
/// looked at again.
pub fn table(world: &mut World) -> Result<()> {
    let text = fs::read_to_string(world.root().join("etc/fstab")).unwrap_or_default();
    if world.verified.contains(&text) {
        return Ok(());
    }
    world.verified.push(text);
    let known: BTreeSet<&String> = world.complaints.iter().collect();
    let now = complaints(world)?;
    let new: Vec<&String> = now.iter().filter(|line| !known.contains(line)).collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(Violation::error(
        Kind::Fstab,
        format!("findmnt --verify: {new:?}"),
    ))
}

/// What fstab mounts only when it is asked for can be mounted, and is what it was.
pub fn on_demand(world: &World) -> Result<()> {
    if !world.machine.has("data-noauto") {
        return Ok(());
    }
    let root = world.root();
    let mounted = Ran::of(shell::inside(&root, &["/run/tools/mount", "/mnt/backup"]).output()?);
    if mounted.code != 0 {
        let what = format!("mount /mnt/backup: {}", mounted.stderr.trim());
        return Err(Violation::error(Kind::Fstab, what));
    }
    let text = fs::read_to_string(root.join("mnt/backup/last")).unwrap_or_default();
    unmount(&root.join("mnt/backup"))?;
    if text == "a backup\n" {
        return Ok(());
    }
    Err(Violation::error(
        Kind::Files,
        "what /mnt/backup mounts is another subvolume",
    ))
}

/// All that is on the file system, with its times: nothing at all may change where nothing was
/// agreed to. A snapshot shows a subvolume that it does not hold as a directory with inode 2, made
/// in memory with the time of the day (fs/btrfs/inode.c, `new_simple_dir`): its times are no one's.
pub fn listing(world: &World) -> Result<String> {
    world.at_top(|top| {
        let mut find = tool("find");
        find.current_dir(top).args([".", "-inum", "2"]);
        find.args(["-printf", "%P|%i|%m|%U|%G\n", "-o"]);
        find.args(["-printf", "%P|%i|%m|%U|%G|%s|%T@|%C@|%l|%n\n"]);
        let listed = output(&mut find)?;
        let mut lines: Vec<&str> = listed.lines().collect();
        lines.sort_unstable();
        Ok(lines.join("\n"))
    })
}

/// Two listings are one.
pub fn same(before: &str, after: &str, what: &str) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let lines = |text: &str| {
        text.lines()
            .map(str::to_owned)
            .collect::<BTreeSet<String>>()
    };
    let (before, after) = (lines(before), lines(after));
    let gone: Vec<&String> = before.difference(&after).take(4).collect();
    let new: Vec<&String> = after.difference(&before).take(4).collect();
    let what = format!("{what} changed the disk: {gone:?} became {new:?}");
    Err(Violation::error(Kind::Changed, what))
}

/// What is rootshift's own belongs to root, and nobody else can change it.
pub fn own_places(world: &World) -> Result<()> {
    world.at_top(|top| {
        for (path, forbidden) in own_paths(top)? {
            let Ok(data) = fs::symlink_metadata(&path) else {
                continue;
            };
            // What is somebody else's is no more rootshift's: he put it there.
            if data.uid() != 0 || data.mode() & forbidden == 0 {
                continue;
            }
            let what = format!(
                "{} has mode {:o}, uid {}",
                path.display(),
                data.mode(),
                data.uid()
            );
            return Err(Violation::error(Kind::Privilege, what));
        }
        Ok(())
    })
}

fn own_paths(top: &Path) -> Result<Vec<(PathBuf, u32)>> {
    let home = top.join(".rootshift");
    let owner = fs::symlink_metadata(&home).map_or(0, |data| data.uid());
    anyhow::ensure!(owner == 0, "{} belongs to {owner}", home.display());
    let mut paths = vec![(home.clone(), 0o022)];
    for name in ["journal", "plan.json", "new", "logs"] {
        paths.push((home.join(name), 0o022));
    }
    for entry in fs::read_dir(top)? {
        let entry = entry?;
        let trash = entry.path().join(".rootshift-trash");
        // A symlink in its place is somebody else's.
        if entry.file_name().to_string_lossy().starts_with('@')
            && trash.is_dir()
            && !trash.is_symlink()
        {
            paths.push((trash, 0o077));
        }
    }
    Ok(paths)
}

/// The subvolume that is mounted there, without the leading slash.
pub fn mounted_subvolume(at: &Path) -> Result<String> {
    let found = output(
        tool("findmnt")
            .args(["-n", "-o", "FSROOT", "--mountpoint"])
            .arg(at),
    )?;
    Ok(found
        .lines()
        .next_back()
        .unwrap_or("/")
        .trim_matches('/')
        .to_owned())
}

/// Unmounts it with all that is mounted in it.
pub fn unmount(at: &Path) -> Result<()> {
    let mut said = String::new();
    for _ in 0..100 {
        if !is_mounted(at) {
            return Ok(());
        }
        let ran = Ran::of(tool("umount").arg("--recursive").arg(at).output()?);
        if ran.code == 0 || unmounted_in_turn(at) {
            continue;
        }
        said = ran.stderr;
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("can't unmount {}: {said}", at.display())
}

/// `umount --recursive` finds no mount that a later one hides.
fn unmounted_in_turn(at: &Path) -> bool {
    let ended = tool("umount").args(mounted_below(at)).output();
    ended.is_ok_and(|ended| ended.status.success())
}
