//! The rules, one function each.

use super::derive::{Thing, check_needs, commands, filesystems};
use super::locate::Part::{self, Item, Key};
use super::{Problem, Severity, Source};
use crate::documents::order::{self, Problem as OrderProblem};
use crate::documents::viscript::{Kind, Stage};
use crate::documents::{Batch, ViScript};
use crate::sys::sorted;

pub(super) type Loaded<'a> = (&'a Source, ViScript);

/// What one viScript says of itself, against what it does.
pub(super) fn viscript(source: &Source, script: &ViScript) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(understated_risk(source, script));
    problems.extend(incomplete_list(
        source,
        "required_commands",
        &script.prerequisites.required_commands,
        &commands(script),
    ));
    problems.extend(incomplete_list(
        source,
        "required_filesystems",
        &script.prerequisites.required_filesystems,
        &filesystems(script),
    ));
    problems.extend(twice(source, script));
    problems.extend(not_there_yet(source, script));
    problems
}

/// The initramfs has no services, users or packages to look at.
fn not_there_yet(source: &Source, script: &ViScript) -> Vec<Problem> {
    if script.kind.stage() != Stage::Initramfs {
        return Vec::new();
    }
    let checks = script.checks.iter().enumerate();
    let early = checks.filter(|(_, named)| named.check.is_of_running_system());
    early
        .map(|(index, named)| {
            let what = format!(
                "the check \"{}\" ({}) looks at what only a running system has, and this viScript \
                 runs in the initramfs",
                named.name,
                named.check.kind()
            );
            let path = [Key("checks"), Item(index)];
            let help =
                "move it to a viScript that runs before (pre-installation) or after the boot";
            source.error(&path, what, help)
        })
        .collect()
}

/// A viScript can't call itself low and rewrite GRUB.
fn understated_risk(source: &Source, script: &ViScript) -> Option<Problem> {
    let (risk, step) = script
        .steps
        .iter()
        .map(|step| (step.action.risk(), step))
        .max_by_key(|(risk, _)| *risk)?;
    if script.risk_level >= risk {
        return None;
    }
    let (own, wanted) = (script.risk_level.name(), risk.name());
    let what = format!(
        "this viScript calls itself {own}, but its step \"{}\" ({}) is {wanted}",
        step.name,
        step.action.kind()
    );
    Some(source.error(&[Key("risk_level")], what, format!("write \"{wanted}\"")))
}

/// Prerequisites are derived from what steps and checks touch.
fn incomplete_list(
    source: &Source,
    key: &'static str,
    declared: &[String],
    derived: &[&str],
) -> Option<Problem> {
    let missing: Vec<&str> = derived
        .iter()
        .copied()
        .filter(|name| !declared.iter().any(|known| known == name))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let names = missing
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let what = format!("{key} is incomplete: its steps and checks need {names}");
    Some(source.error(
        &[Key("prerequisites"), Key(key)],
        what,
        format!("add {names} to prerequisites.{key}"),
    ))
}

/// Step names make step ids, so that they must differ.
fn twice(source: &Source, script: &ViScript) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, step) in script.steps.iter().enumerate() {
        if script
            .steps
            .iter()
            .take(index)
            .any(|earlier| earlier.name == step.name)
        {
            let what = format!("a second step is named \"{}\"", step.name);
            let path = [Key("steps"), Item(index), Key("name")];
            problems.push(source.error(&path, what, "give it a name of its own"));
        }
    }
    problems
}

/// A batch against its viScripts.
pub(super) fn batch(source: &Source, batch: &Batch, viscripts: &[Loaded]) -> Vec<Problem> {
    let find = |name: &str| loaded(viscripts, name).map(|(_, script)| script);
    let mut problems = Vec::new();
    for (phase, index, name) in places(batch) {
        if find(name).is_none() {
            let path = [Key("phases"), Item(phase), Key("viScripts"), Item(index)];
            let what = format!("{name} is not among the documents that were given");
            problems.push(source.problem(Severity::Warning, &path, what, "name it as well"));
        }
    }
    for problem in order::problems(batch, find) {
        let path = place_of(batch, &problem);
        problems.push(source.error(
            &path,
            problem.to_string(),
            "docs/documents.md, \"Where phases run\"",
        ));
    }
    for (phase, index, name) in places(batch) {
        let Some(script) = find(name) else { continue };
        let path = [Key("phases"), Item(phase), Key("viScripts"), Item(index)];
        problems.extend(unknown_to_the_layout(source, &path, batch, name, script));
        problems.extend(undeclared(source, &path, batch, name, script, &find));
    }
    problems
}

/// Whether this is the file that batches know by this name.
pub(super) fn is_named(file: &str, name: &str) -> bool {
    let folder = file.strip_suffix(name);
    folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// The viScript of this file name.
pub(super) fn loaded<'l, 's>(viscripts: &'l [Loaded<'s>], name: &str) -> Option<&'l Loaded<'s>> {
    viscripts
        .iter()
        .find(|(source, _)| is_named(&source.file, name))
}

pub(super) fn places(batch: &Batch) -> impl Iterator<Item = (usize, usize, &str)> {
    batch.phases.iter().enumerate().flat_map(|(phase, phases)| {
        let names = phases.viscripts.iter().enumerate();
        names.map(move |(index, name)| (phase, index, name.as_str()))
    })
}

fn place_of(batch: &Batch, problem: &OrderProblem) -> Vec<Part<'static>> {
    let script = match problem {
        OrderProblem::Circle(names) => names.first(),
        OrderProblem::Missing { script, .. }
        | OrderProblem::Later { script, .. }
        | OrderProblem::Optional { script, .. }
        | OrderProblem::TwoPlaces { script, .. } => Some(script),
        OrderProblem::Backwards { phase, .. } => {
            let index = batch.phases.iter().position(|known| known.name == *phase);
            return vec![Key("phases"), Item(index.unwrap_or_default()), Key("name")];
        }
    };
    let found = places(batch).find(|(_, _, name)| Some(*name) == script.map(String::as_str));
    found.map_or_else(Vec::new, |(phase, index, _)| {
        vec![Key("phases"), Item(phase), Key("viScripts"), Item(index)]
    })
}

/// Mount points and subvolumes are stated once, in the layout.
fn unknown_to_the_layout(
    source: &Source,
    path: &[Part],
    batch: &Batch,
    name: &str,
    script: &ViScript,
) -> Vec<Problem> {
    let layouts = || {
        batch
            .layout
            .filesystems
            .iter()
            .flat_map(|filesystem| &filesystem.subvolumes)
    };
    let prerequisites = &script.prerequisites;
    let mounts = prerequisites.required_mounts.iter().map(|wanted| {
        (
            "mount point",
            wanted,
            layouts().any(|known| known.mount_point == *wanted),
        )
    });
    let subvolumes = prerequisites.required_subvolumes.iter().map(|wanted| {
        (
            "subvolume",
            wanted,
            layouts().any(|known| known.name == *wanted),
        )
    });
    mounts
        .chain(subvolumes)
        .filter(|(_, _, known)| !known)
        .map(|(kind, wanted, _)| {
            let what = format!("{name} requires the {kind} {wanted}, which the layout lacks");
            source.error(path, what, format!("add {wanted} to the batch's layout"))
        })
        .collect()
}

/// What a viScript needs is made by an earlier one, which it has to name, itself or through
/// those that it names.
fn undeclared<'a>(
    source: &Source,
    path: &[Part],
    batch: &Batch,
    name: &str,
    script: &ViScript,
    find: &impl Fn(&str) -> Option<&'a ViScript>,
) -> Vec<Problem> {
    let declared = all_required(script, find);
    let mut problems = Vec::new();
    for thing in needs(script) {
        let makes = |script: &ViScript| {
            script
                .steps
                .iter()
                .any(|step| step.action.makes() == Some(thing))
        };
        let makers: Vec<&str> = places(batch)
            .map(|(_, _, other)| other)
            .filter(|other| *other != name && find(other).is_some_and(makes))
            .collect();
        let known = makers
            .iter()
            .any(|maker| declared.iter().any(|d| d == maker));
        if let (false, Some(maker)) = (known, makers.first()) {
            let what = format!("{name} needs what {maker} makes, and does not require it");
            let help = format!("add \"{maker}\" to its required_viScripts");
            problems.push(source.error(path, what, help));
        }
    }
    problems
}

/// What its own earlier steps do not make.
/// Partition and service checks look at a machine as it is; they need nothing to have run.
fn needs(script: &ViScript) -> Vec<Thing> {
    let mut made = Vec::new();
    let mut things = Vec::new();
    for step in &script.steps {
        things.extend(step.action.needs().filter(|thing| !made.contains(thing)));
        made.extend(step.action.makes());
    }
    if matches!(script.kind, Kind::Validation | Kind::PostInstallation) {
        things.extend(
            script
                .checks
                .iter()
                .filter_map(|named| check_needs(&named.check)),
        );
    }
    let mut things = sorted(things);
    things.dedup();
    things
}

fn all_required<'a>(
    script: &ViScript,
    find: &impl Fn(&str) -> Option<&'a ViScript>,
) -> Vec<String> {
    let mut all = script.prerequisites.required_viscripts.clone();
    let mut index = 0;
    while let Some(name) = all.get(index).cloned() {
        let further = find(&name).map(|script| &script.prerequisites.required_viscripts);
        for name in further.into_iter().flatten() {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        index += 1;
    }
    all
}
