//! The plan: a batch resolved against one machine, frozen at `arm`, bound by its digest.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::batch::{FailureHandling, Monitoring, RollbackConfiguration};
use super::layout::{FilesystemLayout, is_plain_name};
use super::step::SwitchBootPath;
use super::viscript::{NamedCheck, RiskLevel, Stage};
use super::{Action, Error, Layout, json, parse};

/// Where everything of rootshift's own lives: a subvolume at the top level, so that writing the
/// journal leaves the old system's own tree untouched.
pub const HOME: &str = ".rootshift";
/// Where subvolumes are prepared.
pub const STAGING: &str = ".rootshift/new";
/// The journal's place at the top level.
pub const JOURNAL: &str = ".rootshift/journal";
/// The frozen plan's place at the top level.
pub const PLAN: &str = ".rootshift/plan.json";
/// Holds, in each new subvolume, what belongs to another one, until `finalize`.
pub const TRASH: &str = ".rootshift-trash";

/// A plan. Everything that the initramfs needs to know; it reads no other document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub plan_version: u32,
    /// The batch's name and the time of arming.
    pub batch_id: String,
    /// What to do when something fails.
    pub failure_handling: FailureHandling,
    /// Whether prepared work is taken back when the run fails.
    pub rollback_enabled: bool,
    /// How much is told; everything when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// What to do after the commit.
    pub after: After,
    /// Boots that the new system has to pass its validation in.
    pub trial_boots: u32,
    /// Seconds that an interactive checkpoint waits for a key; none where nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<u32>,
    /// Boots that may take up the migration before it is given up.
    pub attempts: u32,
    /// The root file system.
    pub filesystem: FilesystemIdentity,
    /// Which subvolume is mounted where.
    pub layout: Layout,
    /// What the old system consists of; `finalize` deletes nothing else.
    pub old_system: OldSystem,
    /// The layout's other file systems; they stay mounted as they were until the new fstab is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_filesystems: Vec<OtherFilesystem>,
    /// Subvolumes that are no part of what is moved: each stays where it is, under its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptSubvolume>,
    /// Files of the old system that must not have changed since.
    pub fingerprints: Vec<Fingerprint>,
    /// How backed-up files are put back, when the batch wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_configuration: Option<RollbackConfiguration>,
    /// The work, in order.
    pub phases: Vec<PlannedPhase>,
}

/// What happens after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Restart through the new boot path.
    Reboot,
    /// Go on booting, into the new system.
    Continue,
}

/// How the root file system is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesystemIdentity {
    /// Its UUID, lower case.
    pub uuid: String,
    /// Other spellings of it in fstab and on kernel command lines, as `/dev/vda2`.
    pub aliases: Vec<String>,
}

/// A file system of the layout that is not the root's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherFilesystem {
    /// Where it is mounted as a whole in the old system.
    pub mounted_at: String,
    /// How it is known.
    pub identity: FilesystemIdentity,
    /// What is on it; its root is the top level.
    pub old_system: OldSystem,
}

/// What a plan says of one of its file systems.
#[derive(Debug, Clone, Copy)]
pub struct PlannedFilesystem<'a> {
    /// Its subvolumes.
    pub layout: &'a FilesystemLayout,
    /// How it is known.
    pub identity: &'a FilesystemIdentity,
    /// What is on it.
    pub old_system: &'a OldSystem,
}

/// The old system: the top level itself, or one subvolume there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldSystem {
    /// The subvolume that is its root, as `@rootfs`; empty for the top level.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub root: String,
    /// Names at the top level that belong to it.
    pub entries: Vec<String>,
    /// Subvolumes nested in it, by path in it, that have their place in the new one.
    pub nested: Vec<String>,
    /// The last transaction of its root's tree when it was looked at for this plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

impl OldSystem {
    /// A path of the old system as seen from the top level; `.` for the top level itself. Holds
    /// until the boot path is switched.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        match (self.root.as_str(), inside.trim_matches('/')) {
            ("", "" | ".") => PathBuf::from("."),
            ("", inside) => PathBuf::from(inside),
            (root, "" | ".") => PathBuf::from(root),
            (root, inside) => PathBuf::from(root).join(inside),
        }
    }

    /// What the boot loader reads at the top level and what takes its place: path, target and the
    /// name under which the old one is kept. Of a flat system that is its `boot`, else the whole
    /// subvolume: core.img, rootflags and fstab that name it stay valid (facts boot.md D5, D6).
    #[must_use]
    pub fn boot_switch(&self, main: &str) -> [String; 3] {
        match self.root.as_str() {
            "" => [
                "/boot".into(),
                format!("{main}/boot"),
                ".boot.rootshift".into(),
            ],
            root => [
                format!("/{root}"),
                main.to_owned(),
                format!(".{root}.rootshift"),
            ],
        }
    }
}

/// A subvolume that something mounts by its name or its id, or that a tool keeps beside the
/// system. It is neither snapshotted, renamed nor deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSubvolume {
    /// Where its file system is mounted in the old system.
    #[serde(
        default = "root_filesystem",
        skip_serializing_if = "is_root_filesystem"
    )]
    pub filesystem: String,
    /// Its path from the top level.
    pub path: String,
    /// Its UUID, lower case.
    pub uuid: String,
    /// Who names it, as `/etc/fstab, line 4`.
    pub named_by: Vec<String>,
    /// Where these mount it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounted_at: Vec<String>,
    /// Its place in the old system's tree, where nothing mounts it: a line of the new fstab does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_at: Option<String>,
}

/// A file and its content's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Its path.
    pub path: String,
    /// XXH3-128 of its content, in hexadecimal; `None` when there is no such file.
    pub hash: Option<String>,
}

/// A phase with all values filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub stage: Stage,
    /// Whether the run can do without it.
    pub required: bool,
    /// Whether its failure stops the run.
    pub critical: bool,
    /// Whether a checkpoint is recorded at its end.
    pub checkpoint_after: bool,
    /// viScripts that may run at once.
    pub at_once: u32,
    /// Its viScripts.
    #[serde(rename = "viScripts")]
    pub viscripts: Vec<PlannedViScript>,
}

/// A viScript with all values filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedViScript {
    /// Its file name.
    pub name: String,
    /// How much is at stake.
    pub risk_level: RiskLevel,
    /// Its steps.
    pub steps: Vec<PlannedStep>,
    /// viScripts that must have succeeded before it.
    pub requires: Vec<String>,
    /// Its checks.
    pub checks: Vec<NamedCheck>,
}

/// A step with all values filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Names it in the journal; unique within the plan.
    pub id: String,
    /// Where the file system that it works on is mounted in the old system.
    #[serde(
        default = "root_filesystem",
        skip_serializing_if = "is_root_filesystem"
    )]
    pub filesystem: String,
    /// What is done.
    #[serde(rename = "do")]
    pub action: Action,
    /// How often it is tried again when what stands in the way may pass.
    pub retries: u32,
    /// Recovery: what is done when it has failed, before it is tried a last time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Action>,
    /// Whether other steps may work on the same file system at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares_filesystem: bool,
}

/// Where the root file system is mounted.
#[must_use]
pub fn root_filesystem() -> String {
    "/".into()
}

fn is_root_filesystem(place: &str) -> bool {
    place == "/"
}

impl Plan {
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// The plan's bytes, as they are frozen.
    ///
    /// # Errors
    /// Never in practice: all its values have a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        json::text(self).map_err(|cause| Error::Sense {
            file: "plan.json".into(),
            at: String::new(),
            problem: cause.to_string(),
        })
    }

    /// Parses a frozen plan.
    ///
    /// # Errors
    /// When it is not a plan of this version.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let plan: Self = parse::document(file, bytes)?;
        let refused = |at: &str, problem: String| {
            let (file, at) = (file.into(), at.into());
            Err(parse::placed(bytes, Error::Sense { file, at, problem }))
        };
        if plan.plan_version != Self::VERSION {
            let problem = format!("{} is not {}: arm again", plan.plan_version, Self::VERSION);
            return refused("plan_version", problem);
        }
        match plan.breach() {
            Some(problem) => refused("phases", problem),
            None => Ok(plan),
        }
    }

    /// What in it would lead a step out of the place where it belongs, in words; `None` for a plan
    /// that rootshift resolved. Its paths are held by their types, this is about names.
    #[must_use]
    pub fn breach(&self) -> Option<String> {
        let mut layouts = self.layout.filesystems.iter();
        let names = layouts.find_map(|layout| {
            let mut names = layout.subvolumes.iter().map(|one| &one.name);
            names.find(|name| !is_plain_name(name))
        });
        if let Some(name) = names {
            return Some(format!("\"{name}\" can't be a subvolume's name"));
        }
        self.steps().into_iter().find_map(|step| {
            let (id, place) = (&step.id, &step.filesystem);
            let layouts = self.layout.filesystems.iter();
            let mut layouts = layouts.filter(|layout| layout.mounted_at == *place);
            let Some(layout) = layouts.next() else {
                return Some(format!("{id}: the layout has no file system at {place}"));
            };
            let old = self.old_system_at(place);
            let mut actions = step.on_failure.iter().chain([&step.action]);
            let (_, what) = actions.find_map(|action| action.breach(layout, old))?;
            Some(format!("{id}: {what}"))
        })
    }

    /// A name that two steps have: the journal could not tell them apart, and the second would
    /// never run.
    #[must_use]
    pub fn name_of_two(&self) -> Option<&str> {
        let mut seen = BTreeSet::new();
        let mut steps = self.steps().into_iter();
        let second = steps.find(|step| !seen.insert(step.id.as_str()))?;
        Some(&second.id)
    }

    /// How much is told: everything, normally, when the batch does not say.
    #[must_use]
    pub fn monitoring(&self) -> Monitoring {
        self.monitoring.unwrap_or_default()
    }

    /// The switch of the boot path; every plan has one.
    #[must_use]
    pub fn boot_switch(&self) -> Option<&SwitchBootPath> {
        let mut steps = self.steps().into_iter();
        steps.find_map(|step| match &step.action {
            Action::SwitchBootPath(switch) => Some(switch),
            Action::Snapshot(_)
            | Action::PromoteDirectory(_)
            | Action::VacateDirectory(_)
            | Action::BackUpFile(_)
            | Action::WriteFstab(_)
            | Action::WriteGrubDefaults(_)
            | Action::WriteGrubConfig(_)
            | Action::PlaceSubvolume(_)
            | Action::ClearStaging(_) => None,
        })
    }

    /// All steps, in the order they run in: those after the commit come last.
    #[must_use]
    pub fn steps(&self) -> Vec<&PlannedStep> {
        let all = || {
            let viscripts = self.phases.iter().flat_map(|phase| &phase.viscripts);
            viscripts.flat_map(|viscript| &viscript.steps)
        };
        let before = all().filter(|step| !step.action.runs_after_commit());
        before
            .chain(all().filter(|step| step.action.runs_after_commit()))
            .collect()
    }

    /// The name of the new system's root subvolume, as `@`.
    #[must_use]
    pub fn root_subvolume(&self) -> &str {
        let main = self.layout.root().and_then(|filesystem| filesystem.main());
        main.map_or("@", |subvolume| subvolume.name.as_str())
    }

    /// Its file systems, the root's first.
    #[must_use]
    pub fn filesystems(&self) -> Vec<PlannedFilesystem<'_>> {
        let root = self.layout.root().map(|layout| PlannedFilesystem {
            layout,
            identity: &self.filesystem,
            old_system: &self.old_system,
        });
        let others = self.layout.others().filter_map(|layout| {
            let mut known = self.other_filesystems.iter();
            let other = known.find(|other| other.mounted_at == layout.mounted_at)?;
            Some(PlannedFilesystem {
                layout,
                identity: &other.identity,
                old_system: &other.old_system,
            })
        });
        root.into_iter().chain(others).collect()
    }

    /// What is on the file system that is mounted here in the old system; the root's when none is.
    #[must_use]
    pub fn old_system_at(&self, mounted_at: &str) -> &OldSystem {
        let mut others = self.other_filesystems.iter();
        let other = others.find(|other| other.mounted_at == mounted_at);
        other.map_or(&self.old_system, |other| &other.old_system)
    }

    /// The subvolumes that stay as they are on the file system that is mounted here.
    pub fn kept_on<'a>(&'a self, mounted_at: &'a str) -> impl Iterator<Item = &'a KeptSubvolume> {
        let kept = self.kept.iter();
        kept.filter(move |one| one.filesystem == mounted_at)
    }

    /// Names of all subvolumes of the root file system's layout.
    #[must_use]
    pub fn subvolumes(&self) -> Vec<&str> {
        let layouts = self
            .layout
            .root()
            .map_or(&[][..], |filesystem| &filesystem.subvolumes);
        layouts
            .iter()
            .map(|subvolume| subvolume.name.as_str())
            .collect()
    }
}

/// The digest that names and binds a frozen plan: XXH3-128 of its bytes, in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

/// Ties a journal's records to a plan.
#[must_use]
pub fn tag(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

#[cfg(test)]
mod tests {
    use super::OldSystem;
    use std::path::Path;

    #[test]
    fn paths_of_the_old_system_begin_at_its_root() {
        for (root, inside, path) in [
            ("", "/", "."),
            ("", "", "."),
            ("", "/home", "home"),
            ("@rootfs", "/", "@rootfs"),
            ("@rootfs", "", "@rootfs"),
            ("@rootfs", "/var/log/", "@rootfs/var/log"),
        ] {
            let old = OldSystem {
                root: root.into(),
                ..OldSystem::default()
            };
            assert_eq!(old.path(inside), Path::new(path), "{root} {inside}");
        }
    }
}
