//! What a viScript needs and what is at stake, derived from its steps and checks.

use crate::documents::viscript::RiskLevel;
use crate::documents::{CheckSpec, StepSpec, ViScript};
use crate::sys::sorted;

/// What steps make and others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// Snapshots in the staging place.
    Prepared,
    /// Their content, in its final place.
    Filled,
    /// The new fstab.
    Fstab,
    /// The subvolumes under their names.
    Placed,
}

impl StepSpec {
    /// How much is at stake: the one scale of all viScripts (docs/documents.md).
    #[must_use]
    pub fn risk(&self) -> RiskLevel {
        match self {
            Self::Snapshot(_)
            | Self::BackUpFile(_)
            | Self::WriteFstab(_)
            | Self::ClearStaging(_) => RiskLevel::Medium,
            Self::PromoteDirectory(_)
            | Self::VacateDirectory(_)
            | Self::WriteGrubDefaults(_)
            | Self::WriteGrubConfig(_)
            | Self::PlaceSubvolume(_)
            | Self::SwitchBootPath(_) => RiskLevel::High,
        }
    }

    pub(super) fn makes(&self) -> Option<Thing> {
        match self {
            Self::Snapshot(_) => Some(Thing::Prepared),
            Self::PromoteDirectory(_) | Self::VacateDirectory(_) => Some(Thing::Filled),
            Self::WriteFstab(_) => Some(Thing::Fstab),
            Self::PlaceSubvolume(_) => Some(Thing::Placed),
            Self::BackUpFile(_)
            | Self::WriteGrubDefaults(_)
            | Self::WriteGrubConfig(_)
            | Self::SwitchBootPath(_)
            | Self::ClearStaging(_) => None,
        }
    }

    pub(super) fn needs(&self) -> Option<Thing> {
        match self {
            Self::Snapshot(_) | Self::ClearStaging(_) => None,
            Self::PromoteDirectory(_) | Self::VacateDirectory(_) => Some(Thing::Prepared),
            Self::BackUpFile(_) | Self::WriteFstab(_) => Some(Thing::Filled),
            Self::WriteGrubDefaults(_) | Self::WriteGrubConfig(_) => Some(Thing::Fstab),
            Self::PlaceSubvolume(_) => Some(Thing::Filled),
            Self::SwitchBootPath(_) => Some(Thing::Placed),
        }
    }
}

/// Whether a check looks at the new system, which has to have been made by then.
pub(super) fn check_needs(check: &CheckSpec) -> Option<Thing> {
    use CheckSpec::{BootChain, FstabNamesLayout, LayoutMounted, SubvolumesInPlace};
    match check {
        BootChain {} | FstabNamesLayout {} | LayoutMounted {} | SubvolumesInPlace {} => {
            Some(Thing::Placed)
        }
        _ => None,
    }
}

/// Programs that steps and checks run.
pub(super) fn commands(script: &ViScript) -> Vec<&str> {
    let mut commands = Vec::new();
    for named in &script.checks {
        match &named.check {
            CheckSpec::InitramfsTools {} => commands.extend(["update-initramfs", "lsinitramfs"]),
            CheckSpec::Initramfs(_) => commands.push("lsinitramfs"),
            CheckSpec::Service(_) | CheckSpec::NoFailedUnits {} => commands.push("systemctl"),
            CheckSpec::CommandOutput(command) => {
                let program = command.argv.first().map(String::as_str);
                commands.extend(program.filter(|name| !name.contains('/')));
            }
            _ => {}
        }
    }
    let mut commands = sorted(commands);
    commands.dedup();
    commands
}

/// File systems that steps work on and checks insist on.
pub(super) fn filesystems(script: &ViScript) -> Vec<&str> {
    let mut filesystems = Vec::new();
    if !script.steps.is_empty() {
        filesystems.push("btrfs");
    }
    for named in &script.checks {
        match &named.check {
            CheckSpec::Mount(mount) | CheckSpec::Filesystem(mount) if !mount.optional => {
                filesystems.extend(mount.filesystem.as_deref());
            }
            CheckSpec::FlatBtrfsRoot {} | CheckSpec::SubvolumesInPlace {} => {
                filesystems.push("btrfs");
            }
            CheckSpec::Subvolume(asked) | CheckSpec::Property(asked) if !asked.optional => {
                filesystems.push("btrfs");
            }
            CheckSpec::DeviceStatistics(asked) if !asked.optional => filesystems.push("btrfs"),
            _ => {}
        }
    }
    let mut filesystems = sorted(filesystems);
    filesystems.dedup();
    filesystems
}
