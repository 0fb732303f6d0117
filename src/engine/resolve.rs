//! Resolving: a batch and its viScripts held against one machine become a plan.

mod backups;
mod switch;

use std::path::Path;

use super::Error;
use crate::documents::batch::{Phase, RollbackConfiguration};
use crate::documents::layout::{FilesystemLayout, SubvolumeLayout};
use crate::documents::library::Bundle;
use crate::documents::plan::{
    After, FilesystemIdentity, Fingerprint, KeptSubvolume, OldSystem, OtherFilesystem,
    PlannedPhase, PlannedStep, PlannedViScript, STAGING, root_filesystem,
};
use crate::documents::template::fill_in;
use crate::documents::viscript::{Each, Stage, StepTemplate};
use crate::documents::{Layout, Plan, ViScript, order};

/// Boots that may take up a migration before it is given up.
const ATTEMPTS: u32 = 5;

/// What a plan needs to know of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How the root file system is known.
    pub filesystem: FilesystemIdentity,
    /// What the old system consists of.
    pub old_system: OldSystem,
    /// The layout's other file systems, as far as they are there.
    pub other_filesystems: Vec<OtherFilesystem>,
    /// What stays as it is.
    pub kept: Vec<KeptSubvolume>,
    /// Hashes of the files that the plan is made from.
    pub fingerprints: Vec<Fingerprint>,
    /// Seconds since 1970.
    pub now: i64,
}

/// The plan for this machine. Changes nothing.
///
/// # Errors
/// When documents contradict each other, or the layout.
pub fn resolve(bundle: &Bundle, machine: Machine, after: After) -> Result<Plan, Error> {
    if let Some(problem) = order::problems(&bundle.batch, |name| bundle.viscript(name)).first() {
        return Err(Error::Unresolved(problem.to_string()));
    }
    let batch = &bundle.batch;
    let scopes = scopes(&batch.layout, &machine)?;
    let mut phases = Vec::new();
    for phase in &batch.phases {
        phases.push(resolve_phase(bundle, phase, &scopes)?);
    }
    let steps = phases
        .iter()
        .flat_map(|phase: &PlannedPhase| &phase.viscripts);
    if let Some(own) = switch::missing(steps, &scopes)? {
        phases.push(own);
    }
    let time = time(machine.now);
    let wanted = |configuration: &&RollbackConfiguration| configuration.enabled;
    let rollback = batch.rollback_configuration.as_ref().filter(wanted);
    if let (Some(rollback), Some(root)) = (rollback, scopes.first()) {
        backups::insert(&mut phases, rollback, &time, root.layout)?;
    }
    Ok(Plan {
        plan_version: Plan::VERSION,
        batch_id: format!("{}_{time}", batch.batch_name),
        failure_handling: batch.failure_handling,
        rollback_enabled: batch.rollback_enabled,
        monitoring: batch.monitoring,
        after,
        trial_boots: batch.trial_boots,
        interactive: batch
            .interactive_checkpoints
            .then_some(batch.checkpoint_seconds),
        attempts: ATTEMPTS,
        filesystem: machine.filesystem,
        layout: batch.layout.clone(),
        old_system: machine.old_system,
        other_filesystems: machine.other_filesystems,
        kept: machine.kept,
        fingerprints: machine.fingerprints,
        rollback_configuration: rollback.cloned(),
        phases,
    })
}

/// `20231218_143022`, in UTC: the end of a batch id.
fn time(now: i64) -> String {
    let time = crate::report::time::civil(now);
    format!(
        "{:04}{:02}{:02}_{:02}{:02}{:02}",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

/// A file system with what it shall become and what is on it.
struct Scope<'a> {
    layout: &'a FilesystemLayout,
    old: &'a OldSystem,
}

/// All file systems of the layout, the root's first.
fn scopes<'a>(layout: &'a Layout, machine: &'a Machine) -> Result<Vec<Scope<'a>>, Error> {
    let root = layout.root().ok_or_else(|| {
        Error::Unresolved("the batch's layout has no file system mounted at /".into())
    })?;
    let mut scopes = vec![Scope {
        layout: root,
        old: &machine.old_system,
    }];
    for layout in layout.others() {
        let mut known = machine.other_filesystems.iter();
        let there = known.find(|other| other.mounted_at == layout.mounted_at);
        let there = there.ok_or_else(|| {
            let place = &layout.mounted_at;
            Error::Unresolved(format!(
                "no btrfs of its own is mounted at {place}; mount it"
            ))
        })?;
        let old = &there.old_system;
        scopes.push(Scope { layout, old });
    }
    Ok(scopes)
}

fn resolve_phase(bundle: &Bundle, phase: &Phase, scopes: &[Scope]) -> Result<PlannedPhase, Error> {
    let mut stage = None;
    let mut viscripts = Vec::new();
    for name in &phase.viscripts {
        let script = bundle.viscript(name).ok_or_else(|| {
            Error::Unresolved(format!("phase {}: {name} was not loaded", phase.name))
        })?;
        stage.get_or_insert(script.kind.stage());
        viscripts.push(resolve_viscript(name, script, scopes)?);
    }
    Ok(PlannedPhase {
        name: phase.name.clone(),
        stage: stage.unwrap_or(Stage::Arm),
        required: phase.required,
        critical: phase.critical,
        checkpoint_after: phase.checkpoint_after,
        at_once: bundle.batch.at_once(phase),
        viscripts,
    })
}

fn resolve_viscript(
    name: &str,
    script: &ViScript,
    scopes: &[Scope],
) -> Result<PlannedViScript, Error> {
    check_layout_prerequisites(name, script, scopes)?;
    let mut steps = Vec::new();
    for (index, template) in script.steps.iter().enumerate() {
        steps.extend(resolve_step(name, index, template, scopes)?);
    }
    let (risk_level, checks) = (script.risk_level, script.checks.clone());
    Ok(PlannedViScript {
        name: name.to_owned(),
        risk_level,
        steps,
        requires: script.prerequisites.required_viscripts.clone(),
        checks,
    })
}

fn resolve_step(
    file: &str,
    index: usize,
    template: &StepTemplate,
    scopes: &[Scope],
) -> Result<Vec<PlannedStep>, Error> {
    let at = format!("steps[{index}]");
    let short = file.strip_suffix("_viScript.json").unwrap_or(file);
    let common = common_values(scopes);
    let mut steps = Vec::new();
    for repetition in repetitions(template.each, scopes) {
        let common = common.iter().map(|(name, value)| (*name, value.as_str()));
        let mut values: Vec<(&str, &str)> = common.collect();
        values.extend(
            repetition
                .values
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        let action = fill_in(file, &at, &template.action, &values)?;
        let mut on_failure = Vec::new();
        for recovery in &template.on_failure {
            on_failure.push(fill_in(file, &at, recovery, &values)?);
        }
        let item = repetition
            .item
            .map_or(String::new(), |item| format!("[{item}]"));
        steps.push(PlannedStep {
            id: format!("{short}/{}{item}", template.name),
            filesystem: repetition.filesystem,
            action,
            retries: template.retries,
            on_failure,
            shares_filesystem: template.shares_filesystem,
        });
    }
    Ok(steps)
}

/// Values that every step can use: they are about the root file system.
fn common_values(scopes: &[Scope]) -> Vec<(&'static str, String)> {
    let mut values = vec![("staging", STAGING.to_owned())];
    if let Some(root) = scopes.first() {
        let main = main_name(root.layout);
        let [path, target, kept] = root.old.boot_switch(main);
        values.push(("main", main.to_owned()));
        values.push(("boot_path", path));
        values.push(("boot_target", target));
        values.push(("boot_kept", kept));
    }
    values
}

fn main_name(layout: &FilesystemLayout) -> &str {
    layout.main().map_or("@", |main| main.name.as_str())
}

struct Repetition {
    item: Option<String>,
    filesystem: String,
    values: Vec<(&'static str, String)>,
}

impl Repetition {
    fn new(scope: &Scope, name: &str, values: Vec<(&'static str, String)>) -> Self {
        let filesystem = scope.layout.mounted_at.clone();
        // Names need not differ between file systems; those of steps must.
        let item = match filesystem.as_str() {
            "/" => name.to_owned(),
            place => format!("{place}:{name}"),
        };
        Self {
            item: Some(item),
            filesystem,
            values,
        }
    }
}

fn repetitions(each: Option<Each>, scopes: &[Scope]) -> Vec<Repetition> {
    let Some(each) = each else {
        return vec![Repetition {
            item: None,
            filesystem: root_filesystem(),
            values: Vec::new(),
        }];
    };
    let mut repetitions = Vec::new();
    for scope in scopes {
        let layout = scope.layout;
        match each {
            Each::Subvolume => {
                let all = layout.subvolumes.iter();
                repetitions.extend(all.map(|one| of_subvolume(one, scope)));
            }
            Each::SplitOff => {
                repetitions.extend(layout.split_off().map(|one| of_subvolume(one, scope)));
            }
            Each::Nested => {
                let nested = scope.old.nested.iter();
                repetitions.extend(nested.map(|path| of_nested(path, scope)));
            }
        }
    }
    repetitions
}

fn of_subvolume(subvolume: &SubvolumeLayout, scope: &Scope) -> Repetition {
    let (holder, inside) = holder(&subvolume.mount_point, scope.layout, Some(&subvolume.name));
    let old_path = scope.layout.inside(&subvolume.mount_point).to_owned();
    let values = vec![
        ("name", subvolume.name.clone()),
        ("mount_point", subvolume.mount_point.clone()),
        ("old_path", old_path),
        ("holder", holder),
        ("path_in_holder", inside),
    ];
    Repetition::new(scope, &subvolume.name, values)
}

fn of_nested(path: &str, scope: &Scope) -> Repetition {
    let base = scope.layout.mounted_at.trim_end_matches('/');
    let (holder, inside) = holder(&format!("{base}/{path}"), scope.layout, None);
    let values = vec![
        ("path", path.to_owned()),
        ("holder", holder),
        ("path_in_holder", inside),
    ];
    Repetition::new(scope, path, values)
}

/// The subvolume that a path of the old system lands in, and its path inside.
fn holder(path: &str, layout: &FilesystemLayout, but_not: Option<&str>) -> (String, String) {
    let holds = |subvolume: &&SubvolumeLayout| {
        Some(subvolume.name.as_str()) != but_not
            && Path::new(path).starts_with(&subvolume.mount_point)
    };
    let holder = layout
        .subvolumes
        .iter()
        .filter(holds)
        .max_by_key(|subvolume| subvolume.mount_point.trim_end_matches('/').len());
    let Some(holder) = holder else {
        return (main_name(layout).to_owned(), path.to_owned());
    };
    let inside = path
        .strip_prefix(holder.mount_point.trim_end_matches('/'))
        .unwrap_or(path);
    (
        holder.name.clone(),
        inside.trim_start_matches('/').to_owned(),
    )
}

fn check_layout_prerequisites(
    name: &str,
    script: &ViScript,
    scopes: &[Scope],
) -> Result<(), Error> {
    let all = || scopes.iter().flat_map(|scope| &scope.layout.subvolumes);
    let names: Vec<&String> = all().map(|one| &one.name).collect();
    let places: Vec<&String> = all().map(|one| &one.mount_point).collect();
    let missing = |wanted: &[String], known: &[&String]| {
        wanted
            .iter()
            .find(|wanted| !known.contains(wanted))
            .cloned()
    };
    let prerequisites = &script.prerequisites;
    let lacks = |what: &str, missing: String| {
        Err(Error::Unresolved(format!(
            "{name} requires the {what} {missing}, which the batch's layout does not have"
        )))
    };
    if let Some(name) = missing(&prerequisites.required_subvolumes, &names) {
        return lacks("subvolume", name);
    }
    match missing(&prerequisites.required_mounts, &places) {
        Some(place) => lacks("mount point", place),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
