//! Step templates of a viScript become the steps of a plan: each is repeated and filled in for what
//! a layout and a machine have, and held to the fence. Pure: `lint` and resolving do the same.

use std::path::Path;

use super::carry::{aside, astray, place_of_nested};
use super::layout::{FilesystemLayout, SubvolumeLayout};
use super::plan::{OldSystem, PlannedStep, STAGING, root_filesystem};
use super::template::{Values, fill_in};
use super::viscript::{Each, StepTemplate};
use super::{Action, Error, StepSpec, ViScript};

/// A file system with what it shall become and what is on it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Its subvolumes.
    pub layout: &'a FilesystemLayout,
    /// The old system.
    pub old: &'a OldSystem,
}

/// What a viScript's steps come to.
#[derive(Debug, Default)]
pub struct Expanded {
    /// The steps, as far as nothing is wrong with them.
    pub steps: Vec<PlannedStep>,
    /// What is wrong, each with its path in the viScript.
    pub problems: Vec<Error>,
}

/// All steps of a viScript on these file systems, the root's first.
#[must_use]
pub fn expand(file: &str, script: &ViScript, scopes: &[Scope]) -> Expanded {
    let short = file.strip_suffix("_viScript.json").unwrap_or(file);
    let common = common_values(scopes);
    let mut expanded = Expanded::default();
    for (index, template) in script.steps.iter().enumerate() {
        let at = format!("steps[{index}]");
        for repetition in repetitions(template.each, scopes) {
            let values = common.iter().chain(&repetition.values);
            let values: Vec<(&str, &str)> = values
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let filled = fill_in_all(file, &at, template, &values, repetition.scope);
            let (action, on_failure) = match filled {
                Ok(filled) => filled,
                Err(problem) => {
                    expanded.problems.push(problem);
                    continue;
                }
            };
            let item = repetition.item.map(|item| format!("[{item}]"));
            expanded.steps.push(PlannedStep {
                id: format!("{short}/{}{}", template.name, item.unwrap_or_default()),
                filesystem: repetition.filesystem,
                action,
                retries: template.retries,
                on_failure,
                shares_filesystem: template.shares_filesystem,
            });
        }
    }
    expanded
}

/// A step and its recovery with these values.
fn fill_in_all(
    file: &str,
    at: &str,
    template: &StepTemplate,
    values: &Values,
    scope: Option<Scope>,
) -> Result<(Action, Vec<Action>), Error> {
    let fenced = |at: String, step: &StepSpec, recovers: Option<&Action>| {
        let action = fill_in(file, &at, step, values)?;
        let breach = scope.and_then(|scope| {
            let outside = action.breach(scope.layout, scope.old);
            outside.or_else(|| astray(&action, scope.layout))
        });
        match breach.or_else(|| aside(&action, recovers)) {
            None => Ok(action),
            Some((key, problem)) => Err(Error::Sense {
                file: file.into(),
                at: format!("{at}.{}.{key}", action.kind()),
                problem,
            }),
        }
    };
    let action = fenced(format!("{at}.do"), &template.action, None)?;
    let mut recovery = Vec::new();
    for (index, step) in template.on_failure.iter().enumerate() {
        let at = format!("{at}.on_failure[{index}]");
        recovery.push(fenced(at, step, Some(&action))?);
    }
    Ok((action, recovery))
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

/// The name of the subvolume that is mounted where the file system is today.
#[must_use]
pub fn main_name(layout: &FilesystemLayout) -> &str {
    layout.main().map_or("@", |main| main.name.as_str())
}

struct Repetition<'a> {
    item: Option<String>,
    scope: Option<Scope<'a>>,
    filesystem: String,
    values: Vec<(&'static str, String)>,
}

impl<'a> Repetition<'a> {
    fn new(scope: Scope<'a>, name: &str, values: Vec<(&'static str, String)>) -> Self {
        let filesystem = scope.layout.mounted_at.clone();
        // Names need not differ between file systems; those of steps must.
        let item = match filesystem.as_str() {
            "/" => name.to_owned(),
            place => format!("{place}:{name}"),
        };
        Self {
            item: Some(item),
            scope: Some(scope),
            filesystem,
            values,
        }
    }
}

fn repetitions<'a>(each: Option<Each>, scopes: &[Scope<'a>]) -> Vec<Repetition<'a>> {
    let Some(each) = each else {
        return vec![Repetition {
            item: None,
            scope: scopes.first().copied(),
            filesystem: root_filesystem(),
            values: Vec::new(),
        }];
    };
    let mut repetitions = Vec::new();
    for scope in scopes.iter().copied() {
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

fn of_subvolume<'a>(subvolume: &SubvolumeLayout, scope: Scope<'a>) -> Repetition<'a> {
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

fn of_nested<'a>(path: &str, scope: Scope<'a>) -> Repetition<'a> {
    let (holder, inside) = place_of_nested(path, scope.layout);
    let values = vec![
        ("path", path.to_owned()),
        ("holder", holder),
        ("path_in_holder", inside),
    ];
    Repetition::new(scope, path, values)
}

/// The subvolume that a path of the old system lands in, and its path inside.
#[must_use]
pub fn holder(path: &str, layout: &FilesystemLayout, but_not: Option<&str>) -> (String, String) {
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
