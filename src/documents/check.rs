//! Checks as data: what a viScript wants to be looked at.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One thing to look at; nothing is ever changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CheckSpec {
    /// `/` is the top level of a btrfs on one device, or a single subvolume there as `@rootfs`.
    FlatBtrfsRoot {},
    /// The layout's names are free at the top level, and its mount points are on the root.
    NamesFree {},
    /// No subvolume nested in the old system is read-only.
    NestedSubvolumes {},
    /// There is room for what the plan needs.
    FreeSpace {
        /// Unused bytes that there must be, as `50GB`; what the plan needs when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<Size>,
    },
    /// No swap device holds a hibernated system.
    NoHibernationImage {},
    /// Nothing that must be changed is immutable or append-only.
    NothingImmutable {},
    /// No hard link leads out of a directory that becomes a subvolume.
    NoStraddlingLinks {},
    /// No swap file lies on the root file system.
    NoSwapFile {},
    /// GRUB boots this system in a way that can be switched.
    BootLoader {},
    /// initramfs-tools makes the images, and there is room for new ones.
    InitramfsTools {},
    /// The programs can be run.
    Commands {
        /// Their names.
        names: Vec<String>,
    },
    /// The running kernel can mount these file systems.
    KernelFilesystems {
        /// Their types, as `btrfs`.
        names: Vec<String>,
    },
    /// There is this much memory.
    Memory {
        /// As `512MB`.
        minimum: Size,
    },
    /// The new system can be found by the boot loader: every link of the chain, in the new tree.
    BootChain {},
    /// The new fstab names the layout, each line with a subvolume that exists.
    FstabNamesLayout {},
    /// The layout's subvolumes stand at the top level.
    SubvolumesInPlace {},
    /// The layout is what is mounted, by the kernel's own account.
    LayoutMounted {},
    /// The kernel's command line and the boot loader's configuration agree with the layout.
    RootFlags {},
    /// Something is mounted here; skipped when fstab does not name the place.
    Mounted {
        /// The mount point.
        at: String,
        /// The type it must have.
        filesystem: String,
    },
    /// A systemd unit is active; skipped when it is not installed.
    UnitActive {
        /// As `docker.service`.
        unit: String,
    },
    /// No systemd unit has failed.
    NoFailedUnits {},
    /// A socket answers; skipped when its unit is not installed.
    Socket {
        /// Its path.
        path: String,
        /// The unit that it belongs to.
        unit: String,
    },
}

/// A number of bytes, written as `50GB`, `512 MiB` or `4096`. Units are powers of 1024, as in
/// `min_memory` of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(try_from = "String", extend("pattern" = r"^[0-9]+\s*([KMGT](i?B)?|B)?$"))
)]
#[serde(into = "String")]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SizeVisitor)
    }
}

/// Refuses while the reader still knows the place; serde's `try_from` would refuse after that.
struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("\"{text}\" is no size; write it as \"50GB\", \"512MiB\" or \"4096\"");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(refuse)?;
        let shift = match unit.trim_start() {
            "" | "B" => 0,
            "K" | "KB" | "KiB" => 10,
            "M" | "MB" | "MiB" => 20,
            "G" | "GB" | "GiB" => 30,
            "T" | "TB" | "TiB" => 40,
            _ => return Err(refuse()),
        };
        let number: u64 = number.parse().map_err(|_| refuse())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(refuse)
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >> shift > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4GB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("512MB", 512 << 20),
            ("4096", 4096),
            ("0", 0),
            ("1T", 1 << 40),
        ] {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "-1",
            "GB",
            "4 GB x",
            "4gb",
            "99999999999999999999",
            "99999999999TB",
            "٣GB",
        ] {
            let refused = text.parse::<Size>();
            assert!(
                refused.is_err_and(|message| message.contains("is no size")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_size_is_printed_so_that_it_reads_back() {
        for bytes in [0, 1, 4096, 1 << 30, (1 << 30) + 1, 50 << 30] {
            assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }
    }
}
