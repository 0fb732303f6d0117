//! What the commands of a running system have in common: root's rights, a look at the system, and
//! the top level of its root file system, mounted where nobody else sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::documents::library::Bundle;
use crate::documents::plan::{
    After, FilesystemIdentity, KeptSubvolume, OldSystem, OtherFilesystem,
};
use crate::documents::{Layout, Plan, json, lint};
use crate::engine::ahead;
use crate::engine::conversions;
use crate::engine::home::Migration;
use crate::engine::others;
use crate::engine::preflight::{Preflight, preflight};
use crate::engine::resolve::{Machine, resolve};
use crate::engine::survey::{Survey, fingerprints, mounted_others, old_system};
use crate::report::print;
use crate::sys::{self, Root, clock, mount, process};

const MOUNT_AT: &str = "/run/rootshift/top";

/// A look at the running system with the top level mounted, where it is btrfs. The mount is in a
/// namespace of this process and ends with it.
pub(super) fn survey() -> Result<Survey, Error> {
    let mut survey = survey_without_top()?;
    if let Some(device) = survey.device().filter(|_| survey.identity.is_some()) {
        // Where nothing can be written, what there is can still be said.
        mount_top(&mut survey, &device, |device, at| {
            mount::mount_top_level(device, at)
                .or_else(|cause| mount::mount_top_level_read_only(device, at).map_err(|_| cause))
        })?;
    }
    Ok(survey)
}

/// The same with nothing mounted yet.
pub(super) fn survey_without_top() -> Result<Survey, Error> {
    if !process::effective_user_is_root() {
        return Err(Error::NotRoot);
    }
    // First of all: what was opened before sees the mounts of the namespace it was opened in.
    mount::private_namespace()?;
    Ok(Survey::of(Path::new("/"))?)
}

/// Mounts the top level of this device for the survey.
pub(super) fn mount_top(
    survey: &mut Survey,
    device: &Path,
    mount: fn(&Path, &Path) -> sys::Result<()>,
) -> Result<(), Error> {
    let at = Path::new(MOUNT_AT);
    survey.system.create_directories(at, 0o700)?;
    mount(device, at)?;
    survey.top = Some(Root::open(at)?);
    Ok(())
}

/// A look at the system and the batch that it shall follow, with all file systems of its layout.
/// Refuses a batch that can be planned only.
pub(super) fn survey_for(batch: Option<&str>) -> Result<(Survey, Bundle), Error> {
    let (survey, bundle) = survey_to_plan(batch)?;
    conversions::refuse(&bundle.batch.layout)?;
    Ok((survey, bundle))
}

/// The same for looking ahead.
pub(super) fn survey_to_plan(batch: Option<&str>) -> Result<(Survey, Bundle), Error> {
    let mut survey = survey()?;
    let bundle = load(&survey.system, batch)?;
    look_at_others(&mut survey, &bundle.batch.layout)?;
    Ok((survey, bundle))
}

/// The batch of this name, as `lint` lets it pass: an error stops here, a warning is shown.
pub(super) fn load(system: &Root, batch: Option<&str>) -> Result<Bundle, Error> {
    let bundle = Bundle::load(system, batch)?;
    coherent(&bundle)?;
    Ok(bundle)
}

/// The same for one viScript by itself.
pub(super) fn load_viscript(system: &Root, file: &str) -> Result<Bundle, Error> {
    let bundle = Bundle::of_viscript(system, file)?;
    coherent(&bundle)?;
    Ok(bundle)
}

/// Refuses documents in which `lint` finds an error.
fn coherent(bundle: &Bundle) -> Result<(), Error> {
    let problems = lint::lint(&bundle.sources);
    if lint::blocks(&problems) {
        return Err(Error::Incoherent(problems));
    }
    for problem in &problems {
        print::error(&problem.render());
    }
    Ok(())
}

/// Mounts the top levels of the layout's other file systems, as far as they are there: what is
/// missing is a finding of the checks.
fn look_at_others(survey: &mut Survey, layout: &Layout) -> Result<(), Error> {
    let mut mounted = Vec::new();
    for (place, device, identity) in mounted_others(survey, layout)? {
        let at = others::numbered(Path::new(MOUNT_AT), mounted.len() + 1);
        mounted.push(others::mount_one(
            &survey.system,
            &device,
            &at,
            place,
            identity,
        )?);
    }
    survey.others = Arc::new(mounted);
    Ok(())
}

/// The top level, or why there is none.
pub(super) fn top(survey: &Survey) -> Result<&Root, Error> {
    survey.top.as_ref().ok_or(Error::NotBtrfs)
}

/// The migration that was armed here, to be looked at, also while another process is at work on it.
pub(super) fn look(top: &Root) -> Result<Migration, Error> {
    Migration::look(top)?.ok_or(Error::NothingArmed)
}

/// The migration that was armed here.
pub(super) fn migration(top: &Root) -> Result<Migration, Error> {
    Migration::open(top)?.ok_or(Error::NothingArmed)
}

/// The same with the plan's other file systems mounted, as far as they are there.
pub(super) fn migration_with_others(top: &Root) -> Result<Migration, Error> {
    let mut migration = migration(top)?;
    if !migration.plan().other_filesystems.is_empty() {
        let system = Root::open(Path::new("/"))?;
        let base = Path::new(MOUNT_AT);
        let there = others::mount_of_plan(&system, migration.plan(), base, Duration::ZERO);
        migration.others = Arc::new(there);
    }
    Ok(migration)
}

/// Everything that stands in the way of this batch on this machine, and the plan, unless what
/// stands in the way forbids to make one. The plan is made before the look: what changes meanwhile
/// is newer than the plan.
pub(super) fn look_ahead(
    survey: &Survey,
    bundle: &Bundle,
    after: After,
) -> Result<(Preflight, Option<Plan>), Error> {
    let layout = &bundle.batch.layout;
    let planned = plan(survey, bundle, after);
    let mut found = preflight(bundle, &survey.context(layout));
    let (Some(top), Ok(kept)) = (survey.top.as_ref(), survey.kept()) else {
        return match planned {
            Err(_) if found.blocks() => Ok((found, None)),
            planned => Ok((found, Some(planned?))),
        };
    };
    if found.is_hopeless() {
        return Ok((found, planned.ok()));
    }
    let names = ahead::of_kept(&kept, layout, &survey.old_root);
    found.findings.extend(names);
    let planned = match planned {
        Err(_) if found.blocks() => return Ok((found, None)),
        planned => planned?,
    };
    let steps = ahead::of_steps(&planned, top, &survey.others, &found);
    found.findings.extend(steps);
    found.findings.extend(ahead::of_length(&planned));
    found.findings.extend(ahead::of_options(&planned, top));
    found.findings.extend(ahead::of_read_only(&planned, top));
    found
        .findings
        .extend(ahead::of_menus(&planned, &survey.system));
    Ok((found, Some(planned)))
}

/// The plan of this batch for this machine.
pub(super) fn plan(survey: &Survey, bundle: &Bundle, after: After) -> Result<Plan, Error> {
    let machine = machine(survey, root(survey)?, others(survey)?)?;
    Ok(resolve(bundle, machine, after)?)
}

/// How the root file system is known, and what is on it.
pub(super) fn root(survey: &Survey) -> Result<(FilesystemIdentity, OldSystem), Error> {
    let top = top(survey)?;
    let filesystem = survey.identity.clone().ok_or(Error::NotBtrfs)?;
    let kept = survey.kept()?.kept;
    Ok((
        filesystem,
        old_system(top, &survey.old_root, &on(&kept, "/"))?,
    ))
}

/// What stays on the file system that is mounted here.
fn on(kept: &[KeptSubvolume], mounted_at: &str) -> Vec<KeptSubvolume> {
    let kept = kept.iter().filter(|one| one.filesystem == mounted_at);
    kept.cloned().collect()
}

/// The same of the layout's other file systems.
pub(super) fn others(survey: &Survey) -> Result<Vec<OtherFilesystem>, Error> {
    let kept = survey.kept()?.kept;
    let mut others = Vec::new();
    for other in survey.others.iter() {
        others.push(OtherFilesystem {
            mounted_at: other.mounted_at.clone(),
            identity: other.identity.clone(),
            old_system: old_system(&other.top, "", &on(&kept, &other.mounted_at))?,
        });
    }
    Ok(others)
}

/// What a plan needs to know of this machine.
pub(super) fn machine(
    survey: &Survey,
    root: (FilesystemIdentity, OldSystem),
    other_filesystems: Vec<OtherFilesystem>,
) -> Result<Machine, Error> {
    Ok(Machine {
        filesystem: root.0,
        old_system: root.1,
        other_filesystems,
        kept: survey.kept()?.kept,
        fingerprints: fingerprints(&survey.system)?,
        now: clock::unix_seconds(),
    })
}

/// The layout as people read it: `@ at /, @home at /home`.
pub(super) fn layout_in_words(layout: &Layout) -> String {
    let subvolumes = layout
        .filesystems
        .iter()
        .flat_map(|filesystem| &filesystem.subvolumes);
    let words: Vec<String> = subvolumes
        .map(|one| format!("{} at {}", one.name, one.mount_point))
        .collect();
    words.join(", ")
}

/// A value as a tree of JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Result<serde_json::Value, Error> {
    json::tree(value).map_err(|cause| Error::Usage(format!("cannot print JSON: {cause}")))
}
