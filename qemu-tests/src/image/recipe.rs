//! Which Debian is on a disk, where its root is, and what boots it.

use std::fmt;
use std::str::FromStr;

/// A machine to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// The release.
    pub suite: Suite,
    /// What boots it, and with that the firmware.
    pub loader: Loader,
    /// Where its root is on its btrfs.
    pub root: Place,
}

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

/// What starts the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// GRUB of a BIOS machine, in a partition of its own.
    GrubBios,
    /// GRUB behind the signed shim, on the ESP of a UEFI machine.
    GrubEfi,
    /// systemd-boot on the ESP. GRUB is installed as well and was passed over: its files and its
    /// configuration are there.
    SystemdBoot,
}

/// Where the root file system's root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the top level.
    Flat,
    /// In the subvolume that Debian's installer makes.
    Rootfs,
}

/// A small but ordinary Debian: stock kernel, initramfs-tools, systemd; no busybox, so that
/// the initramfs has klibc's tools only (facts e2e.md part 3, trap 7).
const PACKAGES: [&str; 2] = [
    "acl,attr,btrfs-progs,dbus,e2fsprogs,",
    "initramfs-tools,iproute2,kmod,\
    libcap2-bin,linux-image-cloud-amd64,mount,passwd,rsync,systemd,systemd-sysv,udev,util-linux,zstd",
];

impl Recipe {
    /// Debian 12 in the top level, booted by BIOS: what most cases need.
    pub const USUAL: Self = Self {
        suite: Suite::Bookworm,
        loader: Loader::GrubBios,
        root: Place::Flat,
    };

    /// The beginning of its image's name; no recipe's is the beginning of another's.
    pub(super) fn name(self) -> String {
        let root = match self.root {
            Place::Flat => "flat-btrfs",
            Place::Rootfs => "debian-rootfs",
        };
        match (self.suite, self.loader) {
            (Suite::Bookworm, Loader::GrubBios) => root.to_owned(),
            (suite, loader) => format!("{}-{}-{root}", suite.name(), loader.name()),
        }
    }

    pub(super) fn packages(self) -> String {
        let [before, after] = PACKAGES;
        format!("{before}{},{after}", self.loader.packages())
    }

    /// Options of the root's line in fstab.
    pub(super) fn options(self) -> &'static str {
        match self.root {
            Place::Flat => "defaults,noatime",
            Place::Rootfs => "defaults,subvol=@rootfs",
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suite, loader, .. } = self;
        let root = match self.root {
            Place::Flat => "flat",
            Place::Rootfs => "rootfs",
        };
        write!(f, "{}-{}-{root}", suite.name(), loader.name())
    }
}

impl FromStr for Recipe {
    type Err = String;

    /// Words with commas between, each another thing than [`Recipe::USUAL`] has.
    fn from_str(words: &str) -> Result<Self, String> {
        let mut recipe = Self::USUAL;
        for word in words.split(',') {
            match word {
                "bookworm" | "bios" | "flat" => {}
                "trixie" => recipe.suite = Suite::Trixie,
                "uefi" => recipe.loader = Loader::GrubEfi,
                "systemd-boot" => recipe.loader = Loader::SystemdBoot,
                "rootfs" => recipe.root = Place::Rootfs,
                other => {
                    return Err(format!(
                        "no image \"{other}\": trixie, uefi, systemd-boot, rootfs, with commas between"
                    ));
                }
            }
        }
        Ok(recipe)
    }
}

impl Suite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

impl Loader {
    /// Whether its machine has UEFI firmware.
    pub fn is_efi(self) -> bool {
        match self {
            Self::GrubBios => false,
            Self::GrubEfi | Self::SystemdBoot => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::GrubBios => "bios",
            Self::GrubEfi => "uefi",
            Self::SystemdBoot => "systemd-boot",
        }
    }

    fn packages(self) -> &'static str {
        match self {
            Self::GrubBios => "grub-pc",
            Self::GrubEfi => {
                "dosfstools,efibootmgr,grub-efi-amd64,grub-efi-amd64-signed,shim-signed"
            }
            Self::SystemdBoot => {
                "dosfstools,efibootmgr,grub-efi-amd64,grub-efi-amd64-signed,shim-signed,systemd-boot"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_begins_another() {
        let mut names = Vec::new();
        for suite in [Suite::Bookworm, Suite::Trixie] {
            for loader in [Loader::GrubBios, Loader::GrubEfi, Loader::SystemdBoot] {
                for root in [Place::Flat, Place::Rootfs] {
                    names.push(
                        Recipe {
                            suite,
                            loader,
                            root,
                        }
                        .name(),
                    );
                }
            }
        }
        for (index, name) in names.iter().enumerate() {
            let others = names
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            assert!(
                others
                    .into_iter()
                    .all(|(_, other)| !other.starts_with(name.as_str()))
            );
        }
    }
}
