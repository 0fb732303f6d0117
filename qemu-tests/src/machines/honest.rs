//! What the owner and honest packages do.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::chown;

use anyhow::{Context as _, Result};

use super::grub;
use super::oracle;
use super::shell::Ran;
use super::world::{self, World};
use crate::run::{run, tool};

/// Where somebody works.
const PLACES: [&str; 12] = [
    "home/user",
    "home/user/Documents",
    "var/log",
    "srv/www",
    "srv/models/family",
    "root",
    "opt/tool",
    "data",
    "srv/store",
    "ml/models",
    "mnt/photos",
    "etc/ssh",
];

/// Writes a file in every place, and goes on with one that is there.
pub fn work(world: &World, number: usize) -> Result<()> {
    let (system, _) = world.up.as_ref().context("it runs")?;
    let root = world.root();
    let mut done = Vec::new();
    for place in PLACES.iter().filter(|place| root.join(place).is_dir()) {
        let name = format!("{place}/work-{number}");
        let path = root.join(&name);
        // A place may be read-only, or immutable: then nobody works there.
        let Ok(mut file) = File::create(&path) else {
            continue;
        };
        writeln!(file, "a day's work, {number}, at {place}")?;
        chown(&path, Some(world::OWNER), None)?;
        done.push(name);
    }
    if let Ok(mut log) = File::options()
        .append(true)
        .open(root.join("var/log/syslog"))
    {
        writeln!(log, "line {number}")?;
        done.push("var/log/syslog".into());
    }
    let places: Vec<&str> = done.iter().map(String::as_str).collect();
    // On every disk: a cut may take what was not written yet, and that is not held against anybody.
    if !places.is_empty() {
        let mut sync = tool("sync");
        run(sync.arg("--file-system").args(&places).current_dir(&root))?;
    }
    oracle::take_over(world, *system, &places)
}

/// `update-grub` by hand.
pub fn update_grub(world: &World) -> Result<()> {
    let (_, subvolume) = world.up.as_ref().context("it runs")?;
    grub::update(world, &world.root(), subvolume)
}

/// `grub-install`, as an update of its package runs it: the prefix is where /boot/grub is now.
pub fn grub_install(world: &mut World) -> Result<()> {
    let (_, subvolume) = world.up.as_ref().context("it runs")?;
    world.prefix = format!("/{subvolume}/boot/grub").replace("//", "/");
    fs::write(
        world.root().join("boot/grub/i386-pc/core.img"),
        &world.prefix,
    )?;
    let (system, _) = world.up.as_ref().context("it runs")?;
    oracle::take_over(world, *system, &["boot/grub/i386-pc/core.img"])
}

/// In the names of snapshots that an administrator makes: what is in them is as it was.
pub const SNAPSHOT: &str = "-snapshot";

/// What an administrator does at the top level, where the old system is kept as `$K`, with its
/// /boot as `$B`.
const TENDING: [&str; 11] = [
    "chattr +i $K",
    "chattr +a $K",
    "btrfs property set -ts $K ro true",
    "chattr +i @home",
    "chattr +a @var_log",
    "chattr +i @",
    "btrfs subvolume snapshot @ @-snapshot",
    "btrfs subvolume snapshot -r @home @home-snapshot",
    "rm $B/vmlinuz-*",
    "rm $B/initrd.img-*",
    "rm $B/grub/grub.cfg",
];

/// Does one of these. Whether the old system can't start any more.
pub fn tend(world: &World, number: u8) -> Result<bool> {
    let script = TENDING
        .get(usize::from(number) % TENDING.len())
        .copied()
        .unwrap_or(":");
    let (kept, boot) = match world.subvolume {
        "" => (".boot.rootshift", ".boot.rootshift"),
        _ => (".@rootfs.rootshift", ".@rootfs.rootshift/boot"),
    };
    world.at_top(|top| {
        let mut shell = tool("sh");
        shell.args(["-c", script]).current_dir(top);
        shell.env("K", kept).env("B", boot);
        let done = Ran::of(shell.output()?);
        world.tell(format!("tend: {script} -> {}", done.code));
        Ok(done.code == 0 && script.starts_with("rm "))
    })
}

/// Takes off what was locked so, as it is told to.
pub fn unlock(world: &World) -> Result<()> {
    world.at_top(|top| {
        let mut shell = tool("sh");
        shell.args(["-c", "chattr -f -ia @ @home @var_log || :"]);
        let done = Ran::of(shell.current_dir(top).output()?);
        world.tell(format!("chattr -ia -> {}", done.code));
        Ok(())
    })
}
