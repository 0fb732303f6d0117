//! An unprivileged user who means harm. He does what the kernel lets him do, and no more: his
//! commands run with his own rights, on what he owns and in sticky directories.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;

use anyhow::Result;

use super::base::EVE;
use super::world::World;
use crate::run::tool;

/// His tricks; each runs in every directory that may be his.
const TRICKS: [&str; 20] = [
    // rootshift's trash is in his directory: he puts something else in its place.
    "mv .rootshift-trash eve-aside; ln -s /@ .rootshift-trash",
    "mv .rootshift-trash eve-aside; ln -s / .rootshift-trash",
    "mv .rootshift-trash eve-aside; ln -s /etc .rootshift-trash",
    "mv .rootshift-trash eve-aside; ln -s ../../@ .rootshift-trash; ln -s /.rootshift eve-home",
    "mv .rootshift-trash eve-aside; mkdir .rootshift-trash; ln -s /etc .rootshift-trash/etc; echo x > .rootshift-trash/mine",
    "mv .rootshift-trash eve-aside; ln -s ../@home .rootshift-trash",
    // A hard link across what is split off.
    "echo x > eve-file; ln eve-file ../../home/eve/eve-link; ln eve-file ../eve/eve-link; ln eve-file ../../srv/models/eve-link",
    "echo x > eve-file; ln eve-file ../tmp/eve-link; ln eve-file ../../tmp/eve-link; ln eve-file ../var/tmp/eve-link",
    "btrfs subvolume create \"$(printf 'eve-\\377\\376')\"",
    "btrfs subvolume create eve-subvolume; echo x > eve-subvolume/file",
    "btrfs subvolume create eve-base; echo x > eve-base/f; btrfs subvolume snapshot -r eve-base eve-snapshot",
    "mkdir eve-1 eve-2; echo 1 > eve-1/f; mv eve-1 eve-3; mv eve-2 eve-1; mv eve-3 eve-2",
    "mv docs eve-docs; ln -s /etc docs; mv family eve-family; ln -s /@/etc family",
    "echo x > ./-rf; mkdir -- '-rf d' '@' '@home' .rootshift; ln -s /@ '@/link'; touch \"$(printf 'two\\nlines')\"",
    "d=eve-deep; mkdir $d; i=0; while [ $i -lt 40 ]; do d=$d/d; mkdir $d; i=$((i+1)); done; echo x > $d/f",
    "i=0; while [ $i -lt 150 ]; do echo $i > eve-many-$i; i=$((i+1)); done",
    "mkdir eve-closed; echo x > eve-closed/f; chmod 0 eve-closed",
    "mkdir eve-boot; ln -s /@/boot/grub/grub.cfg eve-boot/grub.cfg; ln -s /etc/shadow eve-shadow",
    "chmod 777 .; mkfifo eve-fifo; setfacl -m u:1000:rwx .; setfattr -n user.x -v y .",
    "hold",
];

/// Renames rootshift's trash to and fro for as long as something runs.
const SWAPS: &str = "ln -s /@ eve-trap 2>/dev/null; while :; do \
    mv -T .rootshift-trash eve-real && mv -T eve-trap .rootshift-trash; \
    mv -T .rootshift-trash eve-trap && mv -T eve-real .rootshift-trash; done 2>/dev/null";

/// Directories that may be his, where they are.
const HIS: [&str; 4] = ["home/eve", "srv/models", "tmp", "var/tmp"];

fn as_eve(world: &World, place: &str, script: &str) -> Command {
    let id = EVE.to_string();
    let mut command = tool("setpriv");
    command
        .args([
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "sh",
            "-c",
            script,
        ])
        .current_dir(world.root().join(place))
        .process_group(0) // to be ended with all that it has started
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// One of his tricks, in all places. What he may not do fails, and nobody is told.
pub fn trick(world: &World, number: u8) -> Result<()> {
    let script = TRICKS
        .get(usize::from(number) % TRICKS.len())
        .copied()
        .unwrap_or(":");
    world.tell(format!("trick: {script}"));
    for place in HIS.iter().filter(|place| world.root().join(place).is_dir()) {
        if script == "hold" {
            let hold = "exec 3>>eve-held; exec sleep 300";
            remember(world, as_eve(world, place, hold).spawn()?);
            continue;
        }
        as_eve(world, place, script).status()?;
    }
    Ok(())
}

/// What he does while the program runs; ended by [`super::bench::Bench::end_children`].
pub fn begin_to_swap(world: &World) -> Result<()> {
    if !world.machine.has("swapper") {
        return Ok(());
    }
    for place in HIS.iter().filter(|place| world.root().join(place).is_dir()) {
        remember(world, as_eve(world, place, SWAPS).spawn()?);
    }
    Ok(())
}

fn remember(world: &World, child: Child) {
    let children = world.bench.children.lock();
    children.unwrap_or_else(PoisonError::into_inner).push(child);
}
