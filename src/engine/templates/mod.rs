//! Templates: a batch that fits this machine, with remarks, to be read and edited before it is used.

mod ext4;
mod learning;
mod phases;
mod places;

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use super::survey::{Survey, boot_images};
use crate::documents::batch::{
    Circumstances, Dependencies, FailureHandling, LogLevel, Monitoring, RollbackConfiguration,
    SystemRequirements,
};
use crate::documents::check::Size;
use crate::documents::layout::{FilesystemLayout, SubvolumeLayout};
use crate::documents::parse::nearest;
use crate::documents::{Batch, Layout};
use crate::report::time::civil;
use ext4::Way;

/// The templates' names.
const NAMES: [&str; 5] = [
    "flat-to-subvolumes",
    "debian-rootfs",
    "ml-workstation",
    "ext4-in-place",
    "ext4-to-disk",
];

/// What a batch can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// A root that is the top level of its btrfs.
    FlatToSubvolumes,
    /// A root that is one subvolume of it, as `@rootfs`.
    DebianRootfs,
    /// Either of them, with models and data sets, on the root or on file systems of their own.
    MlWorkstation,
    /// A root that is an ext4, and becomes a btrfs where it is.
    Ext4InPlace,
    /// A root that is an ext4, and is copied to another btrfs.
    Ext4ToDisk,
}

impl Template {
    /// The template of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, Error> {
        match name {
            "flat-to-subvolumes" => Ok(Self::FlatToSubvolumes),
            "debian-rootfs" => Ok(Self::DebianRootfs),
            "ml-workstation" => Ok(Self::MlWorkstation),
            "ext4-in-place" => Ok(Self::Ext4InPlace),
            "ext4-to-disk" => Ok(Self::Ext4ToDisk),
            other => {
                let meant = nearest(other, NAMES.into_iter());
                let meant = meant.map(|name| format!("; did you mean {name}?"));
                Err(Error::Unresolved(format!(
                    "no template {other}: there are {}{}",
                    NAMES.join(", "),
                    meant.unwrap_or_default()
                )))
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FlatToSubvolumes => "flat-to-subvolumes",
            Self::DebianRootfs => "debian-rootfs",
            Self::MlWorkstation => "ml-workstation",
            Self::Ext4InPlace => "ext4-in-place",
            Self::Ext4ToDisk => "ext4-to-disk",
        }
    }

    /// A batch that fits this machine, made at this moment (seconds since 1970). A target can be
    /// named for the template that copies.
    ///
    /// # Errors
    /// When the template does not fit the machine, with the one that does; or when it can't look.
    pub fn fill_in(self, survey: &Survey, now: i64, target: Option<&str>) -> Result<Batch, Error> {
        if target.is_some() && self != Self::Ext4ToDisk {
            let what = format!("{}: only ext4-to-disk takes a --target", self.name());
            return Err(Error::Unresolved(what));
        }
        self.fits(survey)?;
        let layout = self.layout(survey, target)?;
        let time = civil(now);
        let mut batch = Batch::of_viscript(self.name(), "");
        batch.comment = Some(ABOUT.into());
        batch.description = describe(&layout.filesystems, survey);
        batch.author = "rootshift new".into();
        batch.created_date = format!("{:04}-{:02}-{:02}", time.year, time.month, time.day);
        batch.failure_handling = FailureHandling::Rollback;
        batch.layout = layout;
        batch.phases = phases::all(survey, self == Self::MlWorkstation)?;
        batch.dependencies = dependencies(survey)?;
        ext4::require(&mut batch, survey)?;
        batch.rollback_configuration = Some(rollback(survey)?);
        batch.monitoring = Some(Monitoring {
            log_level: LogLevel::Normal,
            progress_tracking: true,
            performance_monitoring: true,
            error_reporting: true,
        });
        Ok(batch)
    }

    fn layout(self, survey: &Survey, target: Option<&str>) -> Result<Layout, Error> {
        let mut layout = Layout {
            filesystems: vec![places::root(survey)?],
        };
        match self {
            Self::MlWorkstation => learning::add(survey, &mut layout.filesystems)?,
            Self::Ext4InPlace => ext4::add(survey, Way::InPlace, &mut layout)?,
            Self::Ext4ToDisk => ext4::add(survey, Way::ToDisk(target), &mut layout)?,
            Self::FlatToSubvolumes | Self::DebianRootfs => {}
        }
        Ok(layout)
    }

    fn is_for_ext4(self) -> bool {
        matches!(self, Self::Ext4InPlace | Self::Ext4ToDisk)
    }

    fn fits(self, survey: &Survey) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::NotNow(format!("{}: {why}", self.name())));
        let layout = Layout::default();
        let Some(root) = survey.context(&layout).mount_at("/") else {
            return refuse("no mount table names /".into());
        };
        match (root.fstype.as_str(), self.is_for_ext4()) {
            ("ext4", true) => return Ok(()),
            ("btrfs", false) => {}
            ("btrfs", true) => {
                return refuse(format!("the root is btrfs already{}", meant(survey)));
            }
            ("ext4", false) => {
                return refuse(
                    "the root is ext4, not btrfs; use --template ext4-in-place or ext4-to-disk"
                        .into(),
                );
            }
            (other, _) => return refuse(format!("the root is {other}: not supported yet")),
        }
        match (self, survey.old_root.as_str()) {
            (_, "@") => refuse("the root is the subvolume @ already: nothing is to be done".into()),
            (Self::FlatToSubvolumes, name) if !name.is_empty() => refuse(format!(
                "the root is the subvolume {name}; use --template debian-rootfs"
            )),
            (Self::DebianRootfs, "") => {
                refuse("the root is the top level itself; use --template flat-to-subvolumes".into())
            }
            _ => Ok(()),
        }
    }
}

/// The template for a btrfs root.
fn meant(survey: &Survey) -> &'static str {
    match survey.old_root.as_str() {
        "" => "; use --template flat-to-subvolumes",
        "@" => ", and the subvolume @: nothing is to be done",
        _ => "; use --template debian-rootfs",
    }
}

const ABOUT: &str = "Made by `rootshift new` for this machine; read it, change it, then run \
                     `rootshift lint`, `rootshift plan --batch FILE` and `rootshift arm --batch \
                     FILE`. Every \"$comment\" is for people and has no effect.";

/// `/dev/vda2 (UUID) becomes @, @home; /data gets @data, @models`.
fn describe(filesystems: &[FilesystemLayout], survey: &Survey) -> String {
    let names = |one: &FilesystemLayout| {
        let names = one.subvolumes.iter().map(|one| one.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let old = match survey.old_root.as_str() {
        "" if filesystems.iter().any(|one| one.from.is_some()) => "The ext4 root",
        "" => "The flat btrfs root",
        name => name,
    };
    let mut words = Vec::new();
    for one in filesystems {
        words.push(match one.mounted_at.as_str() {
            "/" => format!("{old} becomes {}", names(one)),
            other => format!("{other} becomes {}", names(one)),
        });
    }
    words.join("; ")
}

/// What arming and preparing need: room for every initramfs and for its backup, and metadata.
fn dependencies(survey: &Survey) -> Result<Dependencies, Error> {
    const METADATA: u64 = 64 << 20;
    let images = if survey.system.exists(Path::new("boot"))? {
        boot_images(&survey.system)?
    } else {
        Vec::new()
    };
    let sizes: u64 = images.iter().map(|image| image.size).sum();
    let megabytes = (METADATA + 2 * sizes).div_ceil(1 << 20);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Ok(Dependencies {
        system_requirements: SystemRequirements {
            min_memory: Some(Size(128 << 20)),
            min_disk_space: Some(Size(megabytes << 20)),
            required_filesystems: names(&["btrfs"]),
            required_commands: names(&["update-initramfs", "lsinitramfs"]),
        },
        prerequisites: Circumstances {
            ubuntu_live_boot: true,
            sudo_privileges: true,
            network_connectivity: false,
        },
    })
}

/// Backups of those files that there are.
fn rollback(survey: &Survey) -> Result<RollbackConfiguration, Error> {
    let mut rollback = RollbackConfiguration {
        enabled: true,
        backup_locations: BTreeMap::new(),
        restore_commands: BTreeMap::new(),
    };
    for (name, file, then) in [
        ("fstab", "/etc/fstab", "systemctl daemon-reload"),
        ("grub", "/etc/default/grub", "update-grub"),
        (
            "initramfs",
            "/etc/initramfs-tools/modules",
            "update-initramfs -u -k all",
        ),
    ] {
        if survey.system.exists(Path::new(file))? {
            let (locations, commands) = (
                &mut rollback.backup_locations,
                &mut rollback.restore_commands,
            );
            locations.insert(name.into(), format!("{file}.backup.*"));
            commands.insert(name.into(), format!("cp {{backup}} {file} && {then}"));
        }
    }
    Ok(rollback)
}

/// A subvolume with the reason for it.
fn subvolume(name: &str, mount_point: &str, why: &str) -> SubvolumeLayout {
    SubvolumeLayout {
        comment: Some(why.to_owned()),
        ..SubvolumeLayout::new(name, mount_point)
    }
}

#[cfg(test)]
mod tests;
