//! Steps of a resolved plan: what a [`StepSpec`](super::StepSpec) comes to with all values filled in.
//! Same keys, but each path is of a type that says what may be done there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fence::{EntryName, InsidePath, OldPath, StagedPath, StagedSubvolume, SubvolumeName};
use super::layout::FilesystemLayout;
use super::plan::OldSystem;
pub use super::step::SwitchBootPath;

/// One unit of work; the keys are explained at [`StepSpec`](super::StepSpec).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Makes a read-write snapshot.
    Snapshot(Snapshot),
    /// Makes a directory of a snapshot its root.
    PromoteDirectory(PromoteDirectory),
    /// Empties a directory whose content has a subvolume of its own now.
    VacateDirectory(VacateDirectory),
    /// Lays a copy of a file of the new system beside it.
    BackUpFile(BackUpFile),
    /// Writes the new system's /etc/fstab.
    WriteFstab(InSubvolume),
    /// Takes what would contradict the layout out of the new system's /etc/default/grub.
    WriteGrubDefaults(InSubvolume),
    /// Writes the new system's /boot/grub/grub.cfg.
    WriteGrubConfig(InSubvolume),
    /// Gives a prepared subvolume its name at the top level.
    PlaceSubvolume(PlaceSubvolume),
    /// Points the boot loader's path at the new system. Runs after the commit.
    SwitchBootPath(SwitchBootPath),
    /// Puts aside what stands in the way of a step inside rootshift's own place.
    ClearStaging(ClearStaging),
}

/// Parameters of [`Action::Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The subvolume of the old system to take it of.
    pub from: OldPath,
    /// Where it shall be.
    pub to: StagedPath,
}

/// Parameters of [`Action::PromoteDirectory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteDirectory {
    /// The snapshot.
    pub subvolume: StagedSubvolume,
    /// The directory in it, and in the old system.
    pub directory: InsidePath,
}

/// Parameters of [`Action::VacateDirectory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VacateDirectory {
    /// The subvolume that holds the directory.
    pub subvolume: StagedSubvolume,
    /// The directory in it.
    pub directory: InsidePath,
    /// Its path in the old system.
    pub old_path: OldPath,
    /// The name its old content gets in the trash.
    pub keep_as: EntryName,
}

/// Parameters of [`Action::BackUpFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackUpFile {
    /// The prepared subvolume that holds the file.
    pub subvolume: StagedSubvolume,
    /// The file in it.
    pub file: InsidePath,
    /// Its copy, in the same directory.
    pub backup: InsidePath,
    /// The file's path in the old system.
    pub old_path: OldPath,
}

/// Parameters of the steps that write one file of the new system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InSubvolume {
    /// The new system's prepared root subvolume.
    pub subvolume: StagedSubvolume,
}

/// Parameters of [`Action::PlaceSubvolume`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceSubvolume {
    /// Where it was prepared.
    pub from: StagedSubvolume,
    /// Its name at the top level.
    pub to: SubvolumeName,
}

/// What to put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearStaging {
    /// Where it lies.
    pub path: StagedPath,
}

/// What is wrong with an action: the key that says so, and in words.
pub type Breach = (&'static str, String);

impl Action {
    /// Whether it may only run once the new system is root.
    #[must_use]
    pub fn runs_after_commit(&self) -> bool {
        matches!(self, Self::SwitchBootPath(_))
    }

    /// The subvolume that it makes, where undoing it deletes that whole.
    #[must_use]
    pub fn makes_subvolume(&self) -> Option<PathBuf> {
        match self {
            Self::Snapshot(step) => Some(step.to.path()),
            _ => None,
        }
    }

    /// The prepared subvolume that it changes. What it did there goes only with the whole of it.
    #[must_use]
    pub fn works_in(&self) -> Option<&StagedSubvolume> {
        match self {
            Self::PromoteDirectory(step) => Some(&step.subvolume),
            Self::VacateDirectory(step) => Some(&step.subvolume),
            Self::WriteFstab(step)
            | Self::WriteGrubDefaults(step)
            | Self::WriteGrubConfig(step) => Some(&step.subvolume),
            Self::BackUpFile(step) => Some(&step.subvolume),
            Self::Snapshot(_)
            | Self::PlaceSubvolume(_)
            | Self::SwitchBootPath(_)
            | Self::ClearStaging(_) => None,
        }
    }

    /// Whether it rewrites a file that the old system has too.
    #[must_use]
    pub fn rewrites_a_file(&self) -> bool {
        matches!(
            self,
            Self::WriteFstab(_) | Self::WriteGrubDefaults(_) | Self::WriteGrubConfig(_)
        )
    }

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

    /// What its types can't know: the names are the layout's, and the boot path is the machine's.
    #[must_use]
    pub fn breach(&self, layout: &FilesystemLayout, old: &OldSystem) -> Option<Breach> {
        let staged = |key, subvolume: &StagedSubvolume| unknown(key, subvolume.name(), layout);
        match self {
            // One that is not the layout's is never placed: it stays below the staging place.
            Self::Snapshot(step) if step.to.inside().is_none() => None,
            Self::Snapshot(step) => staged("to", step.to.subvolume()),
            Self::PromoteDirectory(step) => staged("subvolume", &step.subvolume),
            Self::VacateDirectory(step) => staged("subvolume", &step.subvolume),
            Self::BackUpFile(step) => {
                staged("subvolume", &step.subvolume).or_else(|| not_beside(step))
            }
            Self::WriteFstab(step)
            | Self::WriteGrubDefaults(step)
            | Self::WriteGrubConfig(step) => staged("subvolume", &step.subvolume),
            Self::PlaceSubvolume(step) => {
                unknown("to", &step.to, layout).or_else(|| other_name(step))
            }
            Self::SwitchBootPath(step) => other_boot_path(step, layout, old),
            Self::ClearStaging(_) => None,
        }
    }
}

fn unknown(key: &'static str, name: &SubvolumeName, layout: &FilesystemLayout) -> Option<Breach> {
    let names = || layout.subvolumes.iter().map(|one| one.name.as_str());
    if names().any(|known| known == name.as_str()) {
        return None;
    }
    let names: Vec<&str> = names().collect();
    let place = &layout.mounted_at;
    let what = format!(
        "{name} is no subvolume of the layout at {place}, which has {}",
        names.join(", ")
    );
    Some((key, what))
}

fn other_name(step: &PlaceSubvolume) -> Option<Breach> {
    let prepared = step.from.name();
    (*prepared != step.to).then(|| {
        let what = format!(
            "what was prepared as {prepared} can't be placed as {}",
            step.to
        );
        ("to", what)
    })
}

/// A copy in the same directory is readable by nobody else than its file.
fn not_beside(step: &BackUpFile) -> Option<Breach> {
    let (file, backup) = (&step.file, &step.backup);
    let beside = file.path().parent() == backup.path().parent() && file != backup;
    (!beside).then(|| {
        let what = format!("{backup} is not in the same directory as {file}, beside it");
        ("backup", what)
    })
}

/// What the boot loader reads is found by rootshift; a document has no say in it.
fn other_boot_path(
    step: &SwitchBootPath,
    layout: &FilesystemLayout,
    old: &OldSystem,
) -> Option<Breach> {
    if layout.mounted_at != "/" {
        let place = &layout.mounted_at;
        let what = format!("nothing boots from the file system of {place}: leave out \"each\"");
        return Some(("path", what));
    }
    let main = layout.main().map_or("@", |main| main.name.as_str());
    let [path, target, kept] = old.boot_switch(main);
    let wanted = [
        ("path", &step.path, path, "{boot_path}"),
        ("target", &step.target, target, "{boot_target}"),
        ("keep_as", &step.keep_as, kept, "{boot_kept}"),
    ];
    let mut wrong = wanted.into_iter().filter(|(_, said, own, _)| *said != own);
    let (key, said, own, write) = wrong.next()?;
    let what = format!(
        "\"{said}\" is not {own}, which is switched here; write \"{write}\", or leave the step out"
    );
    Some((key, what))
}

#[cfg(test)]
mod tests {
    use super::Action;
    use crate::documents::layout::Layout;
    use crate::documents::plan::OldSystem;

    /// As plans have them that were frozen before paths had types of their own.
    const FROZEN: [&str; 10] = [
        r#"{"snapshot":{"from":"/","to":".rootshift/new/@"}}"#,
        r#"{"snapshot":{"from":"/var/lib/x y","to":".rootshift/new/@/var/lib/x y"}}"#,
        r#"{"promote-directory":{"subvolume":".rootshift/new/@home","directory":"/home"}}"#,
        r#"{"vacate-directory":{"subvolume":".rootshift/new/@","directory":"/home","old_path":"/home","keep_as":"@home"}}"#,
        r#"{"back-up-file":{"subvolume":".rootshift/new/@","file":"/etc/fstab","backup":"/etc/fstab.b","old_path":"/etc/fstab"}}"#,
        r#"{"write-fstab":{"subvolume":".rootshift/new/@"}}"#,
        r#"{"write-grub-defaults":{"subvolume":".rootshift/new/@"}}"#,
        r#"{"write-grub-config":{"subvolume":".rootshift/new/@"}}"#,
        r#"{"place-subvolume":{"from":".rootshift/new/@","to":"@"}}"#,
        r#"{"switch-boot-path":{"path":"/boot","target":"@/boot","keep_as":".boot.rootshift"}}"#,
    ];

    #[test]
    fn what_was_frozen_before_is_read_and_written_as_it_was() {
        let layout = Layout::default();
        let root = layout.root().unwrap();
        for text in FROZEN {
            let action: Action = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
            assert_eq!(action.breach(root, &OldSystem::default()), None, "{text}");
        }
    }
}
