//! What follows for a batch from file systems that are no btrfs yet.

use super::locate::Part::{self, Item, Key};
use super::{Problem, Source};
use crate::documents::batch::FailureHandling;
use crate::documents::viscript::RiskLevel;
use crate::documents::{Batch, Origin};

/// What such a file system needs, against what the batch says.
pub(super) fn problems(source: &Source, batch: &Batch) -> Vec<Problem> {
    let mut problems = Vec::new();
    let filesystems = batch.layout.filesystems.iter().enumerate();
    for (index, filesystem) in filesystems {
        let Some(origin) = &filesystem.from else {
            continue;
        };
        problems.extend(lacks(source, batch, origin));
        if origin.risk() == RiskLevel::Critical {
            let what = format!(
                "{} is converted in its place, which is critical",
                filesystem.mounted_at
            );
            problems.extend(too_bold(source, batch, &what));
            problems.extend(no_space(source, batch, index, &what));
        }
    }
    problems
}

const REQUIREMENTS: [Part; 2] = [Key("dependencies"), Key("system_requirements")];

/// Programs and file systems that the way takes.
fn lacks(source: &Source, batch: &Batch, origin: &Origin) -> Vec<Problem> {
    let declared = &batch.dependencies.system_requirements;
    let mut problems = Vec::new();
    for (key, declared, derived) in [
        (
            "required_commands",
            &declared.required_commands,
            origin.commands(),
        ),
        (
            "required_filesystems",
            &declared.required_filesystems,
            &["btrfs", "ext4"],
        ),
    ] {
        let missing = derived
            .iter()
            .filter(|name| !declared.iter().any(|known| known == *name));
        let names: Vec<String> = missing.map(|name| format!("\"{name}\"")).collect();
        if names.is_empty() {
            continue;
        }
        let names = names.join(", ");
        let way = origin.way();
        let what = format!("{key} is incomplete: \"{way}\" in the layout needs {names}");
        let path = [&REQUIREMENTS[..], &[Key(key)]].concat();
        let help = format!("add {names} to dependencies.system_requirements.{key}");
        problems.push(source.error(&path, what, help));
    }
    problems
}

/// What is critical is not gone on with when something failed, and taken back.
fn too_bold(source: &Source, batch: &Batch, why: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !batch.rollback_enabled {
        let what = format!("rollback_enabled is false, but {why}");
        problems.push(source.error(&[Key("rollback_enabled")], what, "write true"));
    }
    if batch.failure_handling == FailureHandling::Continue {
        let what = format!("failures are only noted, but {why}");
        let help = "write \"rollback\" or \"stop_on_critical\"";
        problems.push(source.error(&[Key("failure_handling")], what, help));
    }
    problems
}

/// btrfs-convert builds in what is free, and fails late where that is too little.
fn no_space(source: &Source, batch: &Batch, index: usize, why: &str) -> Option<Problem> {
    if batch
        .dependencies
        .system_requirements
        .min_disk_space
        .is_some()
    {
        return None;
    }
    let what = format!("{why}, and no free space is asked for");
    let path = [Key("layout"), Key("filesystems"), Item(index), Key("from")];
    let help = "state min_disk_space in dependencies.system_requirements; `rootshift plan` says how \
                much is needed";
    Some(source.error(&path, what, help))
}
