//! How a machine boots: its loader, its image, its root, its fstab. What real firmware, GRUB,
//! kernel and initramfs-tools would do with the disk as it is.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::bench::mount;
use super::grub::{self, Started};
use super::oracle;
use super::shell::{self, Ran};
use super::violation::{Kind, Violation};
use super::world::{System, World, furnish};
use crate::run::{run, tool};
use crate::sweep::disk::Disk;

/// Exit status of `boot --no-reboot` where a machine would restart.
const WOULD_RESTART: i32 = 10;
/// Boots until a machine has to be at rest.
const BOOTS: usize = 6;

/// Switches it off.
pub fn down(world: &mut World) -> Result<()> {
    world.bench.end_children();
    if world.up.take().is_some() {
        oracle::unmount(&world.root())?;
    }
    world.bench.disk.settle()?;
    world.bench.other.settle()
}

/// Switches it off and on. With a fault point, the first passage through the initramfs is cut off
/// there.
pub fn boot(world: &mut World, cut: Option<&str>) -> Result<System> {
    down(world)?;
    let mut cut = cut;
    for _ in 0..BOOTS {
        let started = match world.direct.clone() {
            None => grub::start(world)?,
            Some(cmdline) => grub::start_direct(world, &cmdline)?,
        };
        fs::write(world.bench.at("cmdline"), format!("{}\n", started.cmdline))?;
        let flags = match initramfs(world, &started, cut.take())? {
            Passed::Again => continue,
            Passed::Root(flags) => flags,
        };
        return come_up(world, &flags);
    }
    let what = format!("it is not at rest after {BOOTS} boots");
    Err(Violation::error(Kind::Unbootable, what))
}

enum Passed {
    /// The machine starts again.
    Again,
    /// Root is mounted with these options.
    Root(String),
}

/// As scripts/local does it: the last `rootflags=` wins.
fn root_flags(cmdline: &str) -> String {
    let words = cmdline.split_whitespace().rev();
    let mut flags = words.filter_map(|word| word.strip_prefix("rootflags="));
    flags.next().unwrap_or_default().to_owned()
}

fn initramfs(world: &World, started: &Started, cut: Option<&str>) -> Result<Passed> {
    let given = root_flags(&started.cmdline);
    let image = String::from_utf8_lossy(&started.initrd).into_owned();
    _ = fs::remove_dir_all(world.bench.at("initramfs/run/initramfs"));
    let (listed, data) = image.split_once("==== data\n").unwrap_or((&image, ""));
    if !listed.contains("sbin/rootshift\n") {
        world.tell(format!("an ordinary image: {}", listed.replace('\n', " ")));
        return Ok(Passed::Root(given));
    }
    let root = world.bench.at("initramfs");
    unpack(world, data)?;
    let given_to_it = if given.is_empty() {
        String::new()
    } else {
        format!("-o {given}")
    };
    let words = [
        "/run/tools/program",
        "boot",
        "--no-reboot",
        "--device",
        &world.bench.disk.device,
    ];
    let mut command = shell::inside(&root, &words);
    command.env("ROOTFLAGS", given_to_it);
    let code = match cut {
        Some(point) => match cut_off(world, &mut command, point)? {
            None => return Ok(Passed::Again),
            Some(code) => code,
        },
        None => Ran::of(command.output()?).code,
    };
    world.tell(format!("boot -> {code}"));
    match code {
        0 => {}
        WOULD_RESTART => return Ok(Passed::Again),
        other => {
            let what = format!("the initramfs' rootshift ended with {other}");
            return Err(Violation::error(Kind::Crashed, what));
        }
    }
    let conf = fs::read_to_string(root.join("conf/param.conf")).unwrap_or_default();
    let line = conf
        .lines()
        .find_map(|line| line.strip_prefix("ROOTFLAGS='-o "));
    let told = line.and_then(|line| line.strip_suffix('\''));
    Ok(Passed::Root(told.map_or(given, str::to_owned)))
}

/// What is in the image.
fn unpack(world: &World, data: &str) -> Result<()> {
    let root = world.bench.at("initramfs");
    for folder in ["etc/rootshift", "conf", "run/initramfs"] {
        _ = fs::remove_dir_all(root.join(folder));
        fs::create_dir_all(root.join(folder))?;
    }
    for part in data.split("==== ").filter(|part| !part.is_empty()) {
        let (name, text) = part.split_once('\n').context("a file in an image")?;
        fs::write(root.join(name), text.trim_end_matches('\n'))?;
    }
    Ok(())
}

/// Cuts the power at a fault point: the disk is what was written to it. The exit status when it
/// never came there.
pub fn cut_off(
    world: &World,
    command: &mut std::process::Command,
    point: &str,
) -> Result<Option<i32>> {
    command
        .env("ROOTSHIFT_FAULT", point)
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn()?;
    let stderr = child.stderr.take().context("its standard error")?;
    let mut said = BufReader::new(stderr).lines().map_while(Result::ok);
    if !said.any(|line| line.contains("fault point")) {
        return Ok(Some(child.wait()?.code().unwrap_or(137)));
    }
    world.tell(format!("cut at {point}"));
    let disk = Disk::load(&world.bench.disk.image)?;
    let other = Disk::load(&world.bench.other.image)?;
    end_all(world, &mut child)?;
    said.for_each(drop); // the worker dies with the process that watches over it
    world.bench.clear();
    disk.store(&world.bench.disk.image)?;
    other.store(&world.bench.other.image)?;
    Ok(None)
}

/// `timeout`, and the program that it watches: its own process group.
fn end_all(world: &World, child: &mut std::process::Child) -> Result<()> {
    let group = format!("-{}", child.id());
    let ended = tool("kill").args(["-KILL", "--", &group]).output()?;
    if !ended.status.success() {
        world.tell("the group was gone");
    }
    child.kill().ok();
    child.wait()?;
    Ok(())
}

fn come_up(world: &mut World, flags: &str) -> Result<System> {
    let root = world.root();
    let options = format!("noatime,{flags}");
    let mounted = mount(
        &[
            "-o",
            options.trim_end_matches(','),
            &world.bench.disk.device,
        ],
        &root,
    );
    if let Err(error) = mounted {
        let what = format!("root can't be mounted with \"{flags}\": {error:#}");
        return Err(Violation::error(Kind::Unbootable, what));
    }
    let subvolume = oracle::mounted_subvolume(&root)?;
    let system = if subvolume == "@" {
        System::New
    } else {
        System::Old
    };
    world.tell(format!(
        "up: root is \"{subvolume}\" ({system:?}), by \"{flags}\""
    ));
    world.up = Some((system, subvolume));
    if !root.join("run").is_dir() || !root.join("proc").is_dir() {
        let what = format!("there is no system in root, mounted with \"{flags}\"");
        return Err(Violation::error(Kind::Unbootable, what));
    }
    furnish(world)?;
    let words = ["/run/tools/busybox", "test", "-x", "/sbin/init"];
    if Ran::of(shell::inside(&root, &words).output()?).code != 0 {
        let what = format!("no init in root, mounted with \"{flags}\"");
        return Err(Violation::error(Kind::Unbootable, what));
    }
    mount_all(world)?;
    Ok(system)
}

/// `mount -a`, as local-fs.target.
fn mount_all(world: &mut World) -> Result<()> {
    let root = world.root();
    let ran = Ran::of(shell::inside(&root, &["/run/tools/mount", "-a"]).output()?);
    let said = ran.stderr.trim().to_owned();
    if ran.code == 0 {
        return Ok(());
    }
    if world.complaints.is_empty() && !world.has_new && world.flags.is_empty() {
        world.unmountable = true;
    }
    if world.unmountable {
        return Ok(()); // it was so from the beginning
    }
    Err(Violation::error(
        Kind::Fstab,
        format!("mount -a ended with {}: {said}", ran.code),
    ))
}

/// Validates, where systemd would: the unit's condition holds.
pub fn validate_as_unit(world: &World) -> Result<Option<Ran>> {
    if !world.root().join("var/lib/rootshift/armed").exists() {
        return Ok(None);
    }
    world.program(&["validate"]).map(Some)
}

/// The file system is sound. Nothing of it may be mounted.
pub fn check_filesystem(world: &World) -> Result<()> {
    ensure!(world.up.is_none(), "it is switched off");
    let image = &world.bench.disk.image;
    let checked = run(tool("btrfs").args(["check", "--readonly"]).arg(image));
    checked.map_err(|error| Violation::error(Kind::Filesystem, format!("{error:#}")))
}
