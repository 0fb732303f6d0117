//! A machine as it stands: its disks, what is mounted of them, and what must be there.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::base::{self, KERNEL};
use super::bench::{Bench, mount};
use super::features::{Build, Layout};
use super::machine::Machine;
use super::shell::{self, Ran};
use super::{grub, oracle};
use crate::run::{run, tool};

/// Which system runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// As before the migration.
    Old,
    /// On its subvolumes.
    New,
}

impl System {
    /// Where what must be there is kept.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Old => "reference/old",
            Self::New => "reference/new",
        }
    }
}

/// A machine in its bench.
#[derive(Debug)]
pub struct World<'a> {
    pub bench: &'a Bench,
    pub machine: &'a Machine,
    /// The subvolume that the old system's root is.
    pub subvolume: &'static str,
    /// What the owner's batch is called inside; none is the shipped one.
    pub batch: Option<&'static str>,
    /// Where the GRUB that the firmware starts looks for its files.
    pub prefix: String,
    /// What another loader gives the kernel.
    pub direct: Option<String>,
    pub root_flags_in_menu: bool,
    /// Where flags are compared, and what they were.
    pub flagged: Vec<String>,
    pub flags: String,
    /// Tables that were looked at.
    pub verified: Vec<String>,
    /// What findmnt had to say of the first fstab.
    pub complaints: Vec<String>,
    /// Which system runs, and the subvolume that is its root.
    pub up: Option<(System, String)>,
    /// Whether anything of the new system's own is known.
    pub has_new: bool,
    /// Mounted by hand or not: lines that could not be mounted at first.
    pub unmountable: bool,
    /// What happened, for whoever looks at a failure.
    pub told: RefCell<Vec<String>>,
}

impl<'a> World<'a> {
    /// Builds the machine, switched off.
    pub fn build(bench: &'a Bench, machine: &'a Machine) -> Result<Self> {
        let rootfs = machine.has("rootfs");
        bench.insert_fresh(rootfs)?;
        _ = fs::remove_dir_all(bench.at("sys/firmware/efi"));
        _ = fs::remove_dir_all(bench.at("dev/disk/by-path/pci-0000:00:04.0-part"));
        let top = bench.at("top");
        mount(&["-o", "subvolid=5,noatime", &bench.disk.device], &top)?;
        let subvolume = if rootfs { "@rootfs" } else { "" };
        let mut build = fresh(bench, &top, subvolume, machine);
        for feature in &machine.features {
            build.chance = machine.chance(feature.name);
            (feature.make)(&mut build).with_context(|| format!("make {}", feature.name))?;
        }
        let world = finished(&build, bench, machine)?;
        super::oracle::unmount(&top)?;
        Ok(world)
    }

    /// Where the running system's root is.
    pub fn root(&self) -> PathBuf {
        self.bench.at("up")
    }

    /// A line of the machine's story.
    pub fn tell(&self, what: impl Into<String>) {
        let what = what.into();
        if self.bench.verbose {
            println!("  {what}");
        }
        self.told.borrow_mut().push(what);
    }

    /// Runs the program in the running system.
    pub fn program(&self, words: &[&str]) -> Result<Ran> {
        let ran = shell::program(&self.root(), words, self.machine.has("umask"))?;
        self.tell(format!(
            "{} -> {} {}",
            words.join(" "),
            ran.code,
            ran.gist()
        ));
        Ok(ran)
    }

    /// The same with the owner's batch.
    pub fn program_with_batch(&self, words: &[&str]) -> Result<Ran> {
        match self.batch {
            Some(batch) => self.program(&[words, &["--batch", batch]].concat()),
            None => self.program(words),
        }
    }

    /// Where the program says that it stands, or `unknown`.
    pub fn stage(&self) -> Result<String> {
        let ran = shell::program(&self.root(), &["status", "--json"], false)?;
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let stage = told.get("stage").and_then(|stage| stage.as_str());
        Ok(stage.unwrap_or("unknown").to_owned())
    }

    /// Runs `work` with the top level mounted as well.
    pub fn at_top<T>(&self, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let top = self.bench.at("top");
        mount(&["-o", "subvolid=5,noatime", &self.bench.disk.device], &top)?;
        let done = work(&top);
        super::oracle::unmount(&top)?;
        done
    }
}

fn fresh<'a>(
    bench: &'a Bench,
    top: &Path,
    subvolume: &'static str,
    machine: &Machine,
) -> Build<'a> {
    Build {
        bench,
        top: top.to_path_buf(),
        root: top.join(subvolume),
        subvolume,
        chance: machine.chance("build"),
        layout: Layout::default(),
        root_source: format!("UUID={}", bench.disk.uuid),
        before: Vec::new(),
        lines: Vec::new(),
        comments: false,
        white_space: false,
        ends_with_line: true,
        defaults: vec![
            "GRUB_TIMEOUT=0".to_owned(),
            "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"".to_owned(),
        ],
        entries: String::new(),
        kernels: vec![KERNEL.to_owned()],
        direct: None,
        flagged: Vec::new(),
        root_flags_in_menu: true,
        immutable: Vec::new(),
    }
}

fn finished<'a>(build: &Build, bench: &'a Bench, machine: &'a Machine) -> Result<World<'a>> {
    let mut options = "defaults,noatime".to_owned();
    if !build.subvolume.is_empty() {
        options.push_str(&format!(",subvol={}", build.subvolume));
    }
    build.write("etc/fstab", &fstab(build, &options))?;
    build.write("etc/default/grub", &(build.defaults.join("\n") + "\n"))?;
    let mut world = World {
        bench,
        machine,
        subvolume: build.subvolume,
        batch: batch(build)?,
        prefix: format!("/{}/boot/grub", build.subvolume).replace("//", "/"),
        direct: build.direct.clone(),
        root_flags_in_menu: build.root_flags_in_menu,
        flagged: build.flagged.clone(),
        flags: String::new(),
        verified: Vec::new(),
        complaints: Vec::new(),
        up: None,
        has_new: false,
        unmountable: false,
        told: RefCell::default(),
    };
    images(build)?;
    kernel_links(build, machine)?;
    grub::update(&world, &build.root, build.subvolume)?;
    if !build.entries.is_empty() {
        build.write("etc/grub.d/40_custom", &build.entries)?;
        grub::update(&world, &build.root, build.subvolume)?;
    }
    for place in &build.immutable {
        build.on(&["chattr", "+i"], place)?;
    }
    world.flagged.sort();
    Ok(world)
}

/// The table, with whatever the owner wrote between.
fn fstab(build: &Build, options: &str) -> String {
    let mut lines = Vec::new();
    if build.comments {
        lines.push("# /etc/fstab: static file system information.".to_owned());
        lines.push("#".to_owned());
        lines.push("# <file system> <mount point> <type> <options> <dump> <pass>".to_owned());
        lines.push(format!(
            "# / was on {} during installation",
            build.bench.disk.device
        ));
        lines.push(String::new());
    }
    lines.extend(build.before.iter().cloned());
    lines.push(format!("{} / btrfs {options} 0 0", build.root_source));
    lines.extend(build.lines.iter().cloned());
    if build.white_space {
        let odd = |line: &String| match line.starts_with('#') {
            true => line.clone(),
            false => format!(" \t{}  ", line.replace(' ', "\t  ")),
        };
        lines = lines.iter().map(odd).collect();
        lines.push(" \t ".into());
    }
    if build.comments {
        lines.push("#/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0".to_owned());
    }
    let end = if build.ends_with_line { "\n" } else { "" };
    lines.join("\n") + end
}

/// A batch for the layout, where it is not the shipped one.
fn batch(build: &Build) -> Result<Option<&'static str>> {
    const FILE: &str = "etc/rootshift-batch.json";
    let layout = &build.layout;
    if layout.by_template {
        return Ok(Some("/etc/rootshift-batch.json"));
    }
    if layout.splits.is_empty() && !layout.with_other {
        return Ok(None);
    }
    let text = fs::read_to_string(
        build
            .bench
            .repository
            .join("batches/flat-to-subvolumes.json"),
    )?;
    let mut batch: serde_json::Value = serde_json::from_str(&text)?;
    let filesystems = batch["layout"]["filesystems"]
        .as_array_mut()
        .context("a layout")?;
    let subvolumes = filesystems[0]["subvolumes"]
        .as_array_mut()
        .context("subvolumes")?;
    for (place, options) in &layout.splits {
        let name = format!("@{}", place.replace(['/', '.'], "_"));
        let mut one = json!({ "name": name, "mount_point": format!("/{place}") });
        if let Some(options) = options {
            one["mount_options"] = json!(options);
        }
        subvolumes.push(one);
    }
    if layout.with_other {
        filesystems.push(json!({ "mounted_at": "/ml", "subvolumes": [
            { "name": "@ml", "mount_point": "/ml" },
            { "name": "@models", "mount_point": "/ml/models" },
        ]}));
    }
    build.write(FILE, &batch.to_string())?;
    Ok(Some("/etc/rootshift-batch.json"))
}

/// As `update-initramfs -c` made them.
fn images(build: &Build) -> Result<()> {
    for kernel in &build.kernels {
        let image = format!("boot/initrd.img-{kernel}");
        build.write(
            &image,
            "init\nscripts/local-premount/rootshift\n==== data\n",
        )?;
    }
    if build.direct.is_some() {
        build.write(&format!("efi/initrd.img-{KERNEL}"), "init\n==== data\n")?;
    }
    Ok(())
}

fn kernel_links(build: &Build, machine: &Machine) -> Result<()> {
    if machine.has("no-kernel-links") {
        return Ok(());
    }
    for name in ["vmlinuz", "initrd.img"] {
        let target = match machine.has("looping-kernel-links") {
            true => name.to_owned(),
            false => format!("boot/{name}-{KERNEL}"),
        };
        symlink(target, build.root.join(name))?;
    }
    Ok(())
}

/// A kernel's package, its hooks, and what they make.
pub fn install_kernel(world: &World, number: usize) -> Result<()> {
    let root = world.root();
    let name = format!("6.1.0-{number}-amd64");
    fs::write(
        root.join(format!("boot/vmlinuz-{name}")),
        format!("kernel {number}"),
    )?;
    fs::create_dir_all(root.join("usr/lib/modules").join(&name))?;
    for link in ["vmlinuz", "initrd.img"] {
        let path = root.join(link);
        if path.is_symlink() && !world.machine.has("looping-kernel-links") {
            fs::remove_file(&path)?;
            symlink(format!("boot/{link}-{name}"), &path)?;
        }
    }
    let words = ["/usr/sbin/update-initramfs", "-c", "-k", &name];
    let made = Ran::of(shell::inside(&root, &words).output()?);
    anyhow::ensure!(made.code == 0, "update-initramfs: {}", made.said());
    let (_, subvolume) = world.up.as_ref().context("it runs")?;
    grub::update(world, &root, subvolume)?;
    let (system, _) = world.up.as_ref().context("it runs")?;
    let places = ["boot", "usr/lib/modules", "vmlinuz", "initrd.img"];
    oracle::take_over(world, *system, &places)
}

/// What a chroot of the running system needs.
pub fn furnish(world: &World) -> Result<()> {
    // One program for all: a machine boots often. What the initramfs has left in /run stays there.
    const SCRIPT: &str = "set -e; mount -t tmpfs -o mode=755 run $1/run; mkdir $1/run/tools; \
        [ ! -d $2/initramfs/run/initramfs ] || cp -r $2/initramfs/run/initramfs $1/run; \
        mount --bind $2/../tools $1/run/tools; mount --bind $2/dev $1/dev; \
        mount --rbind $2/sys $1/sys; mount --bind /proc $1/proc; \
        mount --bind $2/cmdline $1/proc/cmdline; \
        sed \"s/^btime .*/btime $(date +%s)/\" /proc/stat > $1/run/stat; \
        mount --bind $1/run/stat $1/proc/stat";
    let mut busybox = tool("busybox");
    busybox.args(["sh", "-c", SCRIPT, "sh"]).arg(world.root());
    run(busybox.arg(&world.bench.folder))
}

/// The owner's user.
pub const OWNER: u32 = base::OWNER;
