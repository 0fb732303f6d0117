//! GRUB: what it reads from the disk by itself, and what update-grub writes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::shell::Ran;
use super::violation::{Kind, Violation};
use super::world::World;
use crate::run::{output, tool};

/// What GRUB starts when nobody chooses.
#[derive(Debug)]
pub struct Started {
    /// Kernel command line, as `/proc/cmdline` shows it.
    pub cmdline: String,
    /// The image.
    pub initrd: Vec<u8>,
}

/// A file, as GRUB's own driver reads it from the disk.
pub fn read(world: &World, path: &str) -> Result<Vec<u8>> {
    let mut command = tool("grub-fstest");
    command
        .arg(&world.bench.disk.image)
        .arg("cat")
        .arg(format!("(loop0){path}"));
    let output = command
        .output()
        .context("grub-fstest: install grub-common")?;
    if output.status.success() && output.stderr.is_empty() {
        return Ok(output.stdout);
    }
    let said = Ran::of(output).stderr;
    let what = format!("GRUB can't read {path}: {}", said.trim());
    Err(Violation::error(Kind::Unbootable, what))
}

/// The configuration that GRUB shows a menu of: one that only leads to another is followed, as after
/// a rollback.
fn configuration(world: &World) -> Result<String> {
    let mut path = format!("{}/grub.cfg", world.prefix);
    for _ in 0..3 {
        let text = String::from_utf8_lossy(&read(world, &path)?).into_owned();
        let leads = text
            .lines()
            .find_map(|line| line.strip_prefix("configfile "));
        match leads {
            Some(next) => path = next.trim().to_owned(),
            None => return Ok(text),
        }
    }
    let what = format!("{path} leads to another configuration, and that to another");
    Err(Violation::error(Kind::Unbootable, what))
}

/// Follows the configuration as GRUB would from its embedded prefix.
pub fn start(world: &World) -> Result<Started> {
    let config = configuration(world)?;
    let line = |word: &str| {
        let lines = config.lines().map(str::trim_start);
        let mut found = lines.filter_map(|line| line.strip_prefix(word));
        let none = || Violation::error(Kind::Unbootable, format!("grub.cfg has no{word}line"));
        found
            .next()
            .map(str::trim)
            .map(str::to_owned)
            .ok_or_else(none)
    };
    // The first entry is the default one.
    let linux = line("linux\t")?;
    let (kernel, words) = linux.split_once(' ').unwrap_or((&linux, ""));
    if read(world, kernel)?.is_empty() {
        let what = format!("the kernel {kernel} is empty");
        return Err(Violation::error(Kind::Unbootable, what));
    }
    Ok(Started {
        cmdline: format!("BOOT_IMAGE={kernel} {words}"),
        initrd: read(world, &line("initrd\t")?)?,
    })
}

/// What another loader starts: the kernel and image that lie on the ESP.
pub fn start_direct(world: &World, cmdline: &str) -> Result<Started> {
    // The ESP is another disk; here it is a folder of the system that wrote it last.
    let subvolumes = ["@", world.subvolume];
    let newest = world.at_top(|top| {
        let place = |name: &str| {
            top.join(name)
                .join(format!("efi/initrd.img-{}", super::base::KERNEL))
        };
        let mut found: Vec<_> = subvolumes
            .iter()
            .filter_map(|name| {
                let path = place(name);
                let time = fs::metadata(&path).and_then(|data| data.modified()).ok()?;
                Some((time, fs::read(path).ok()?))
            })
            .collect();
        found.sort();
        Ok(found.pop().map(|(_, image)| image))
    })?;
    Ok(Started {
        cmdline: cmdline.to_owned(),
        initrd: newest.context("an image on the ESP")?,
    })
}

/// The kernels below /boot, the newest first.
fn kernels(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("boot"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix("vmlinuz-") else {
            continue;
        };
        if root.join(format!("boot/initrd.img-{version}")).exists() {
            names.push(version.to_owned());
        }
    }
    names.sort();
    names.reverse();
    Ok(names)
}

/// A setting, as update-grub reads it: by a shell, the drop-ins last.
fn setting(root: &Path, name: &str) -> Result<String> {
    const SCRIPT: &str = "cd \"$1\"; . ./etc/default/grub; \
        for file in ./etc/default/grub.d/*.cfg; do [ ! -e \"$file\" ] || . \"$file\"; done; \
        eval \"printf %s \\\"\\${$2}\\\"\"";
    output(tool("sh").args(["-c", SCRIPT, "sh"]).arg(root).arg(name))
}

/// Writes grub.cfg as grub-mkconfig does in a system whose root is this subvolume.
pub fn update(world: &World, root: &Path, subvolume: &str) -> Result<()> {
    let uuid = &world.bench.disk.uuid;
    let subvolume = subvolume.trim_matches('/');
    let (prefix, flags) = match (subvolume, world.root_flags_in_menu) {
        ("", _) => (String::new(), String::new()),
        (name, true) => (format!("/{name}"), format!("rootflags=subvol={name} ")),
        (name, false) => (format!("/{name}"), String::new()),
    };
    let own = setting(root, "GRUB_CMDLINE_LINUX")?;
    let usual = setting(root, "GRUB_CMDLINE_LINUX_DEFAULT")?;
    let mut text = "#\n# DO NOT EDIT THIS FILE\n#\nset default=\"0\"\nif loadfont /usr/share/grub/unicode.pf2 ; then\n  true\nfi\n".to_owned();
    for kernel in kernels(root)? {
        text.push_str(&format!(
            "menuentry 'Debian GNU/Linux, with Linux {kernel}' --class debian $menuentry_id_option 'gnulinux-{kernel}-{uuid}' {{\n\
             \tinsmod btrfs\n\tsearch --no-floppy --fs-uuid --set=root {uuid}\n\
             \tlinux\t{prefix}/boot/vmlinuz-{kernel} root=UUID={uuid} ro {flags}{own} {usual}\n\
             \tinitrd\t{prefix}/boot/initrd.img-{kernel}\n}}\n"
        ));
    }
    if let Ok(own) = fs::read_to_string(root.join("etc/grub.d/40_custom")) {
        text.push_str(&own);
    }
    let new = root.join("boot/grub/grub.cfg.new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, root.join("boot/grub/grub.cfg"))?)
}
