//! Steps as data: what a viScript asks for. With all values filled in it is an
//! [`Action`](super::Action), whose paths are typed.
//!
//! A new step is a variant here and in `action`, a file in `steps/`, an arm in `steps::of`, a viScript and a test.

use serde::{Deserialize, Serialize};

/// One unit of work. Paths are relative to the top level of the file system; those of the old
/// system ([`Snapshot::from`], [`PromoteDirectory::directory`], [`VacateDirectory::old_path`]) are
/// relative to its root, which is the top level itself or a subvolume there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StepSpec {
    /// Makes a read-write snapshot, in time that does not depend on the data.
    Snapshot(Snapshot),
    /// Makes a directory of a snapshot its root, by renames.
    PromoteDirectory(PromoteDirectory),
    /// Empties a directory whose content has a subvolume of its own now, by renames.
    VacateDirectory(VacateDirectory),
    /// Lays a copy of a file of the new system beside it, before other steps rewrite it.
    BackUpFile(BackUpFile),
    /// Writes the new system's /etc/fstab.
    WriteFstab(InSubvolume),
    /// Takes what would contradict the layout out of the new system's /etc/default/grub.
    WriteGrubDefaults(InSubvolume),
    /// Writes the new system's /boot/grub/grub.cfg.
    WriteGrubConfig(InSubvolume),
    /// Gives a prepared subvolume its name at the top level.
    PlaceSubvolume(PlaceSubvolume),
    /// Points the boot loader's path at the new system, by one exchange. Runs after the commit.
    SwitchBootPath(SwitchBootPath),
    /// Recovery: puts aside what stands in the way of a step inside rootshift's own place.
    ClearStaging(ClearStaging),
}

/// Parameters of [`StepSpec::Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The subvolume of the old system to take it of; `/` is its root.
    pub from: String,
    /// Where it shall be; the stub that a snapshot leaves of a nested subvolume is replaced.
    pub to: String,
}

/// Parameters of [`StepSpec::PromoteDirectory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PromoteDirectory {
    /// The snapshot.
    pub subvolume: String,
    /// The directory in it whose content is to become its root, as `/home`.
    pub directory: String,
}

/// Parameters of [`StepSpec::VacateDirectory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VacateDirectory {
    /// The subvolume that holds the directory.
    pub subvolume: String,
    /// The directory in it, as `/home`.
    pub directory: String,
    /// Its path in the old system, which keeps its owner, mode and times.
    pub old_path: String,
    /// The name its old content gets in the trash.
    pub keep_as: String,
}

/// Parameters of [`StepSpec::BackUpFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BackUpFile {
    /// The prepared subvolume that holds the file.
    pub subvolume: String,
    /// The file in it, as `/etc/fstab`; nothing is done when there is none.
    pub file: String,
    /// Its copy, in the same directory.
    pub backup: String,
    /// The file's path in the old system, whose directory keeps its times.
    pub old_path: String,
}

/// Parameters of the steps that write one file of the new system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InSubvolume {
    /// The new system's prepared root subvolume.
    pub subvolume: String,
}

/// Parameters of [`StepSpec::PlaceSubvolume`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaceSubvolume {
    /// Where it was prepared.
    pub from: String,
    /// Its name at the top level.
    pub to: String,
}

/// Parameters of [`StepSpec::SwitchBootPath`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SwitchBootPath {
    /// What the boot loader reads, as `/boot`, or `/@rootfs` with all that is in it.
    pub path: String,
    /// What it shall read from now on, as `@/boot`, or `@`.
    pub target: String,
    /// Where the old one is kept until `finalize`.
    pub keep_as: String,
}

/// What to put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClearStaging {
    /// A path inside `{staging}`.
    pub path: String,
}

impl StepSpec {
    /// The kind's name in documents.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::PromoteDirectory(_) => "promote-directory",
            Self::VacateDirectory(_) => "vacate-directory",
            Self::BackUpFile(_) => "back-up-file",
            Self::WriteFstab(_) => "write-fstab",
            Self::WriteGrubDefaults(_) => "write-grub-defaults",
            Self::WriteGrubConfig(_) => "write-grub-config",
            Self::PlaceSubvolume(_) => "place-subvolume",
            Self::SwitchBootPath(_) => "switch-boot-path",
            Self::ClearStaging(_) => "clear-staging",
        }
    }
}
