//! How GRUB is set up.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::Result;

use super::{Build, subvolumes};

pub fn defaults(build: &mut Build) -> Result<()> {
    let line = build.one_of(&[
        "GRUB_CMDLINE_LINUX=\"net.ifnames=0 biosdevname=0\"",
        "GRUB_CMDLINE_LINUX='panic=5'",
        "GRUB_CMDLINE_LINUX=\"\" # nothing",
        "export GRUB_CMDLINE_LINUX=\"rootdelay=3\"",
        "GRUB_DISABLE_OS_PROBER=true",
        "ROOTFLAGS",
    ]);
    let own = match build.subvolume {
        "" => "GRUB_CMDLINE_LINUX=\"rootflags=noatime\"".to_owned(),
        root => format!("GRUB_CMDLINE_LINUX=\"rootflags=subvol={root},noatime\""),
    };
    build.defaults.push(line.replace("ROOTFLAGS", &own));
    Ok(())
}

pub fn drop_in(build: &mut Build) -> Result<()> {
    build.write(
        "etc/default/grub.d/50-own.cfg",
        "GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX splash\"\n",
    )
}

/// The last `rootflags=` wins.
pub fn drop_in_rootflags(build: &mut Build) -> Result<()> {
    let flags = match build.subvolume {
        "" => build
            .one_of(&["noatime", "subvol=/", "compress=zstd"])
            .to_owned(),
        root => format!("subvol={root}"),
    };
    let text = format!("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX rootflags={flags}\"\n");
    build.write("etc/default/grub.d/60-rootflags.cfg", &text)
}

pub fn entries(build: &mut Build) -> Result<()> {
    build.entries.push_str(
        "submenu 'Advanced options' {\n\tmenuentry 'Memory test' {\n\t\tlinux16 /boot/memtest86+.bin\n\t}\n}\n\
         if [ \"$grub_platform\" = efi ]; then\nmenuentry 'UEFI Firmware Settings' {\n\tfwsetup\n}\nfi\n",
    );
    Ok(())
}

/// An entry of the owner's own, by the links at the top.
pub fn custom(build: &mut Build) -> Result<()> {
    let uuid = &build.bench.disk.uuid;
    let prefix = if build.subvolume.is_empty() {
        String::new()
    } else {
        format!("/{}", build.subvolume)
    };
    let text = format!(
        "menuentry 'mine' {{\n\tsearch --no-floppy --fs-uuid --set=root {uuid}\n\tlinux {prefix}/vmlinuz root=UUID={uuid} ro\n\tinitrd {prefix}/initrd.img\n}}\n"
    );
    build.write("boot/grub/custom.cfg", &text)
}

/// The kernel is not told of a subvolume: the default one is root.
pub fn no_root_flags(build: &mut Build) -> Result<()> {
    build.root_flags_in_menu = false;
    subvolumes::default_subvolume(build)
}

pub fn two_kernels(build: &mut Build) -> Result<()> {
    build.write("boot/vmlinuz-5.10.0-9-amd64", "an older kernel")?;
    build.kernels.push("5.10.0-9-amd64".into());
    Ok(())
}

/// The older kernel's file, as a package that broke off leaves it.
pub fn empty_kernel(build: &mut Build) -> Result<()> {
    build.write("boot/vmlinuz-5.9.0-1-amd64", "")
}

/// systemd 257 makes directories there.
pub fn by_path_folders(build: &mut Build) -> Result<()> {
    let folder = build
        .bench
        .at("dev/disk/by-path/pci-0000:00:04.0-part/by-uuid");
    if !folder.exists() {
        fs::create_dir_all(&folder)?;
        let target = format!("../../../../{}", build.bench.disk.name());
        symlink(target, folder.join(&build.bench.disk.uuid))?;
    }
    Ok(())
}
