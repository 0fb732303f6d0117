//! Resolving: a batch and its viScripts held against one machine become a plan.

mod backups;
mod switch;

use super::Error;
use crate::documents::batch::{Phase, RollbackConfiguration};
use crate::documents::carry::missing_from;
use crate::documents::expand::{Expanded, Scope, expand};
use crate::documents::library::Bundle;
use crate::documents::plan::{
    After, FilesystemIdentity, Fingerprint, KeptSubvolume, OldSystem, OtherFilesystem,
    PlannedPhase, PlannedStep, PlannedViScript,
};
use crate::documents::viscript::Stage;
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
    let plan = Plan {
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
    };
    held_to_the_fence(plan)
}

/// What `lint` finds in the documents is not found here any more; this is for what it can't know.
fn held_to_the_fence(plan: Plan) -> Result<Plan, Error> {
    if let Some(id) = plan.name_of_two() {
        let what = format!("two steps are named {id}: the second would never run; rename it");
        return Err(Error::Unresolved(what));
    }
    let steps: Vec<PlannedStep> = plan.steps().into_iter().cloned().collect();
    let filesystems = plan.filesystems();
    let scopes = filesystems.iter().map(|one| Scope {
        layout: one.layout,
        old: one.old_system,
    });
    let missing = missing_from(&plan.layout, &scopes.collect::<Vec<_>>(), &steps);
    if let Some(what) = missing.into_iter().next() {
        return Err(Error::Unresolved(what));
    }
    match plan.breach() {
        Some(what) => Err(Error::Unresolved(what)),
        None => Ok(plan),
    }
}

/// `20231218_143022`, in UTC: the end of a batch id.
fn time(now: i64) -> String {
    let time = crate::report::time::civil(now);
    format!(
        "{:04}{:02}{:02}_{:02}{:02}{:02}",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
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
    let Expanded { steps, problems } = expand(name, script, scopes);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem.into());
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
