//! What only a running machine can do: its boot loader is installed by the loader's own programs,
//! which speak to the firmware and mount the ESP.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::recipe::Loader;
use crate::machine::{Accelerator, Disk, End, Machine};
use crate::setup::Tools;
use crate::task::Task;
use crate::workspace::Workspace;

/// Debian's installer asks whether to fill EFI/BOOT as well; its default is no.
pub(super) const GRUB: &str = r#"
set -ex
mountpoint /boot/efi
grub-install
rm -r /boot/efi/EFI/BOOT
efibootmgr --verbose
find /boot/efi -type f
"#;

/// As its manual page says, on a machine that has GRUB.
pub(super) const SYSTEMD_BOOT: &str = r#"
bootctl --make-entry-directory=yes install
kernel=$(uname -r)
kernel-install add "$kernel" "/boot/vmlinuz-$kernel" "/boot/initrd.img-$kernel"
bootctl status --no-pager || true
cat /boot/efi/loader/entries/*.conf
efibootmgr --verbose
find /boot/efi -type f
"#;

/// Boots the disk once, and installs its loader in it.
pub(super) fn in_guest(
    workspace: &Workspace,
    tools: &Tools,
    disk: &Path,
    loader: Loader,
) -> Result<()> {
    let script = match loader {
        Loader::GrubBios => return Ok(()),
        Loader::GrubEfi => GRUB.to_owned(),
        Loader::SystemdBoot => format!("{GRUB}{SYSTEMD_BOOT}"),
    };
    let stem = disk.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("image-{}", stem.trim_end_matches(".raw"));
    let accelerator = Accelerator::choose(workspace, tools)?;
    let mut machine = Machine::new(&name, Disk::Raw(disk.to_path_buf()), accelerator);
    machine.task = Some(Task::new(script).write(&workspace.machine(&name)?)?);
    let outcome = machine.run(workspace, &tools.qemu)?;
    let installed = outcome.expect(&End::PoweredOff).and_then(|o| o.task(0));
    installed.context("install the boot loader in the guest")?;
    Ok(())
}
