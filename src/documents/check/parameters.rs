//! What the kinds of checks are asked with. What is left out is not looked at.

use serde::{Deserialize, Serialize};

use super::Size;
use crate::documents::record::{Record, Slot, record};

/// Names that all must be there, or must all be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct Names {
    /// The names; at least one.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1), inner(regex(pattern = r"^\S+$")))
    )]
    pub names: Vec<String>,
    /// None of them may be there.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub absent: bool,
}

impl Names {
    /// All of these.
    #[must_use]
    pub fn all(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
            absent: false,
        }
    }
}

/// A mount, the file system a path lies on, or a line of fstab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct MountParameters {
    /// The mount point, or for `filesystem` any path.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
    pub at: String,
    /// The device in any spelling: `/dev/sda2`, `UUID=…`, `LABEL=…`.
    pub source: Option<String>,
    /// The type, as `btrfs`.
    pub filesystem: Option<String>,
    /// The subvolume, as `@home`; `/` is the top level.
    pub subvolume: Option<String>,
    /// Options that must be among those it has; `compress=zstd` is also `compress=zstd:3`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub options: Vec<String>,
    /// Where the layout names `at`, the subvolume must be the layout's.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub as_in_layout: bool,
    /// Skipped when fstab does not name `at`, or names it as `noauto`. One that fstab names and that
    /// is not mounted still fails.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub optional: bool,
}

/// A file system and the room in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct SpaceParameters {
    /// A path on it; the root file system when missing.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
    pub at: Option<String>,
    /// Unused bytes that there must be, as `50GB`.
    pub minimum: Option<Size>,
    /// Unused bytes for btrfs metadata.
    pub metadata: Option<Size>,
    /// Skipped when `at` is no mount point and fstab does not name it.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub optional: bool,
}

impl SpaceParameters {
    /// This many bytes.
    #[must_use]
    pub fn at_least(minimum: Size) -> Self {
        let minimum = Some(minimum);
        Self {
            minimum,
            ..Self::default()
        }
    }
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct PlaceParameters {
    /// A path on it; the root file system when missing.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
    pub at: Option<String>,
    /// Skipped when `at` is no mount point and fstab does not name it.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub optional: bool,
}

/// A subvolume, or how a file or directory is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct Properties {
    /// Its path.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub path: String,
    /// Whether the subvolume is read-only.
    pub read_only: Option<bool>,
    /// How new content is compressed: `zstd`, `zstd:1`, `lzo`, `zlib` or `none`.
    pub compression: Option<String>,
    /// Whether new content is written in place and without checksums.
    pub no_copy_on_write: Option<bool>,
    /// Skipped when there is nothing at `path`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub optional: bool,
}

/// A file. Symlinks are followed unless the type or the target of a symlink is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct FileParameters {
    /// Its path.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
    pub path: String,
    /// Whether there is such a file; true as soon as anything else is asked.
    pub exists: Option<bool>,
    /// What it is.
    #[cfg_attr(feature = "schema", schemars(rename = "type"))]
    pub kind: Option<FileKind>,
    /// Permission bits in octal, as `0644`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-7]{1,4}$")))]
    pub mode: Option<String>,
    /// The owner's name or number.
    pub owner: Option<String>,
    /// The group's name or number.
    pub group: Option<String>,
    /// The least size.
    pub minimum_size: Option<Size>,
    /// Texts that must occur in it.
    #[cfg_attr(feature = "schema", schemars(default, inner(length(min = 1))))]
    pub contains: Vec<String>,
    /// What a symlink holds, as written in it.
    pub target: Option<String>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

/// Words or file names that must be there, and others that must not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct Words {
    /// All of these.
    #[cfg_attr(feature = "schema", schemars(default, inner(length(min = 1))))]
    pub contains: Vec<String>,
    /// None of these.
    #[cfg_attr(feature = "schema", schemars(default, inner(length(min = 1))))]
    pub lacks: Vec<String>,
    /// The menu entry's title; for `grub-entry` alone.
    pub title: Option<String>,
}

/// A systemd unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct ServiceParameters {
    /// As `docker.service`.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(?![-.])[^/ ]*\.[^/ ]*$"))
    )]
    pub unit: String,
    /// Whether it is active.
    pub active: Option<bool>,
    /// Whether it starts by itself, as `systemctl is-enabled` means it.
    pub enabled: Option<bool>,
    /// Skipped when it is not installed.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub optional: bool,
}

/// A Unix socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct SocketParameters {
    /// Its path.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
    pub path: String,
    /// Skipped when this unit is not installed.
    pub unit: Option<String>,
}

/// A value under /proc/sys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct KernelParameter {
    /// As sysctl(8) takes it: `vm.swappiness` or `vm/swappiness`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[^./]+([./][^./]+)*$")))]
    pub name: String,
    /// Its value; blanks and tabs between numbers are the same.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"\S")))]
    pub value: String,
}

/// A program, run without a shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct CommandOutput {
    /// The program's name or absolute path, and its arguments.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub argv: Vec<String>,
    /// It is killed after this many seconds (10).
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub timeout_seconds: Option<u32>,
    /// The exit status that it must have (0).
    pub status: Option<u32>,
    /// Texts that must be in its standard output.
    #[cfg_attr(feature = "schema", schemars(default, inner(length(min = 1))))]
    pub contains: Vec<String>,
    /// Texts that must not.
    #[cfg_attr(feature = "schema", schemars(default, inner(length(min = 1))))]
    pub lacks: Vec<String>,
}

record!(Names: "names" names Texts; "absent" absent Flag);
record!(MountParameters: "at" at Text; "source" source MaybeText, "filesystem" filesystem MaybeText,
    "subvolume" subvolume MaybeText, "options" options Texts, "as_in_layout" as_in_layout Flag,
    "optional" optional Flag);
record!(SpaceParameters: ; "at" at MaybeText, "minimum" minimum MaybeSize,
    "metadata" metadata MaybeSize, "optional" optional Flag);
record!(PlaceParameters: ; "at" at MaybeText, "optional" optional Flag);
record!(Properties: "path" path Text; "read_only" read_only MaybeFlag,
    "compression" compression MaybeText, "no_copy_on_write" no_copy_on_write MaybeFlag,
    "optional" optional Flag);
record!(FileParameters: "path" path Text; "exists" exists MaybeFlag, "type" kind MaybeKind,
    "mode" mode MaybeText, "owner" owner MaybeText, "group" group MaybeText,
    "minimum_size" minimum_size MaybeSize, "contains" contains Texts, "target" target MaybeText);
record!(Words: ; "contains" contains Texts, "lacks" lacks Texts, "title" title MaybeText);
record!(ServiceParameters: "unit" unit Text; "active" active MaybeFlag,
    "enabled" enabled MaybeFlag, "optional" optional Flag);
record!(SocketParameters: "path" path Text; "unit" unit MaybeText);
record!(KernelParameter: "name" name Text, "value" value Text; );
record!(CommandOutput: "argv" argv Texts; "timeout_seconds" timeout_seconds MaybeNumber,
    "status" status MaybeNumber, "contains" contains Texts, "lacks" lacks Texts);

/// `memory` has one key, which is its value.
impl Record for Size {
    fn keys(&self) -> &'static [&'static str] {
        &["minimum"]
    }

    fn required(&self) -> usize {
        1
    }

    fn slot(&mut self, _index: usize) -> Option<Slot<'_>> {
        Some(Slot::Size(self))
    }
}
