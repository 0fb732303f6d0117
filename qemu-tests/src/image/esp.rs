//! The ESP of a machine that was never installed by its own firmware: just enough for its first
//! boot. The host may have no driver for FAT, so it is filled by mtools.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::disk::AttachedDisk;
use super::recipe::Place;
use crate::run::{run, tool};

/// Where Debian's packages lay the signed programs, and where firmware without variables looks.
const PROGRAMS: [(&str, &str); 2] = [
    ("usr/lib/shim/shimx64.efi.signed", "::/EFI/BOOT/BOOTX64.EFI"),
    (
        "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "::/EFI/BOOT/grubx64.efi",
    ),
];

/// Makes its file system.
pub(super) fn format(attached: &AttachedDisk) -> Result<()> {
    let mut mkfs = tool("mkfs.vfat");
    mkfs.args(["-F", "32", "-n", "ESP"]);
    run(mkfs.arg(attached.first_partition())).context("make the ESP's file system")
}

/// Shim, GRUB and the stub that leads it to the configuration of the system at `root`.
pub(super) fn fill(attached: &AttachedDisk, root: &Path, place: Place) -> Result<()> {
    let esp = attached.first_partition();
    for directory in ["::/EFI", "::/EFI/BOOT", "::/EFI/debian"] {
        run(tool("mmd").arg("-i").arg(&esp).arg(directory))?;
    }
    for (program, to) in PROGRAMS {
        copy(&esp, &root.join(program), to)?;
    }
    let stub = std::env::temp_dir().join(format!("rootshift-stub-{}", std::process::id()));
    std::fs::write(&stub, stub_of(&attached.root_uuid()?, place))?;
    let copied = copy(&esp, &stub, "::/EFI/debian/grub.cfg");
    std::fs::remove_file(&stub)?;
    copied
}

fn copy(esp: &Path, from: &Path, to: &str) -> Result<()> {
    run(tool("mcopy").arg("-i").arg(esp).arg(from).arg(to))
}

/// What grub-install writes (its load.cfg, and `configfile`).
fn stub_of(uuid: &str, place: Place) -> String {
    let prefix = match place {
        Place::Flat => "/boot/grub",
        Place::Rootfs => "/@rootfs/boot/grub",
    };
    format!(
        "search.fs_uuid {uuid} root\nset prefix=($root)'{prefix}'\nconfigfile $prefix/grub.cfg\n"
    )
}
