//! The fence, in words: what a step would do outside of its place, seen before there is a machine.
//!
//! The steps are made here as they are made for a machine, for one of each kind.

use std::collections::BTreeMap;

use super::locate::Part::{Item, Key};
use super::locate::locate_written;
use super::rules::{Loaded, is_named, loaded, places};
use super::{Problem, Severity, Source};
use crate::documents::carry::missing_from;
use crate::documents::expand::{Scope, expand};
use crate::documents::plan::{OldSystem, PlannedStep};
use crate::documents::viscript::Kind;
use crate::documents::{Action, Batch, Error, Layout, ViScript};

const HELP: &str = "docs/documents.md, \"The fence\"";

/// Everything that the steps would do outside of their place, steps that stand in each other's way,
/// and what is left out.
pub(super) fn problems(batches: &[(&Source, Batch)], viscripts: &[Loaded]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (source, script) in viscripts {
        let used = |batch: &Batch| places(batch).any(|(_, _, name)| is_named(&source.file, name));
        let mut layouts = batches.iter().map(|(_, batch)| batch).filter(|b| used(b));
        // By itself a viScript is held to what every layout has.
        let by_itself = Layout::default();
        let first = layouts.next().map(|batch| &batch.layout);
        found.extend(strays(
            source,
            script,
            first.unwrap_or(&by_itself),
            first.is_none(),
        ));
        for batch in layouts {
            found.extend(strays(source, script, &batch.layout, false));
        }
    }
    for (source, batch) in batches {
        found.extend(clashes(source, batch, viscripts));
        found.extend(unfinished(source, batch, viscripts));
    }
    found.dedup();
    found
}

/// A path that no document names: only a step for each nested subvolume carries this one over.
const ANY_NESTED: &str = "srv/any nested one";

/// One machine of each kind: a flat root and one in a subvolume, each with a nested subvolume.
fn machines() -> [OldSystem; 2] {
    ["", "@rootfs"].map(|root| OldSystem {
        root: root.to_owned(),
        nested: vec![ANY_NESTED.to_owned()],
        ..OldSystem::default()
    })
}

/// The file systems of a layout on such a machine, the root's first.
fn scopes<'a>(layout: &'a Layout, root: &'a OldSystem, other: &'a OldSystem) -> Vec<Scope<'a>> {
    let own = layout.root().map(|layout| Scope { layout, old: root });
    let others = layout.others().map(|layout| Scope { layout, old: other });
    own.into_iter().chain(others).collect()
}

fn strays(source: &Source, script: &ViScript, layout: &Layout, by_itself: bool) -> Vec<Problem> {
    let machines = machines();
    let [other, _] = &machines;
    let mut found: Vec<Problem> = Vec::new();
    for root in &machines {
        for error in expand(&source.file, script, &scopes(layout, root, other)).problems {
            let Error::Sense { at, problem, .. } = error else {
                continue;
            };
            let problem = Problem {
                severity: Severity::Error,
                file: source.file.clone(),
                place: Some(locate_written(&source.text, &at)),
                what: problem,
                help: HELP.to_owned(),
            };
            // Two machines, and each repetition of a step: said once.
            let known = found.iter().any(|known| known.place == problem.place);
            let names_the_layout = by_itself && problem.what.contains(" of the layout");
            if !known && !names_the_layout {
                found.push(problem);
            }
        }
    }
    found
}

/// A step with its phase and its place in the phase.
type PlacedStep = ((usize, usize), PlannedStep);

/// All steps of a batch.
fn steps_of(batch: &Batch, viscripts: &[Loaded]) -> Vec<PlacedStep> {
    let [root, _] = machines();
    let scopes = scopes(&batch.layout, &root, &root);
    let mut steps = Vec::new();
    for (phase, index, name) in places(batch) {
        if let Some((_, script)) = loaded(viscripts, name) {
            let own = expand(name, script, &scopes).steps;
            steps.extend(own.into_iter().map(|step| ((phase, index), step)));
        }
    }
    steps
}

/// Steps that the journal can't tell apart, and two directories that get one name in the trash.
fn clashes(source: &Source, batch: &Batch, viscripts: &[Loaded]) -> Vec<Problem> {
    // The one step that is rootshift's own.
    let own = ("boot_path/switch".to_owned(), (usize::MAX, 0));
    let mut ids: BTreeMap<String, (usize, usize)> = BTreeMap::from([own]);
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut found = Vec::new();
    for (place, step) in steps_of(batch, viscripts) {
        let (phase, index) = place;
        let path = [Key("phases"), Item(phase), Key("viScripts"), Item(index)];
        let mut say = |what: String| found.push(source.error(&path, what, HELP));
        // Two of one viScript are named where they stand in it.
        if ids.get(&step.id).is_some_and(|first| *first != place) {
            let what = "is a step of an earlier viScript already: the second would never run";
            say(format!("{} {what}", step.id));
        }
        ids.entry(step.id).or_insert(place);
        if let Action::VacateDirectory(vacate) = step.action {
            let trash = format!("{}: {}", step.filesystem, vacate.subvolume.name());
            let name = String::from(vacate.keep_as);
            let taken = (trash.clone(), name.clone());
            if kept.contains(&taken) {
                say(format!(
                    "a second directory is kept as \"{name}\" in the trash of {trash}"
                ));
            }
            kept.push(taken);
        }
    }
    found
}

/// What no new system can do without.
fn unfinished(source: &Source, batch: &Batch, viscripts: &[Loaded]) -> Vec<Problem> {
    let script = |name| loaded(viscripts, name).map(|(_, script)| script);
    let all_known = places(batch).all(|(_, _, name)| script(name).is_some());
    let is_core = |name| script(name).is_some_and(|script| script.kind == Kind::Core);
    if !all_known || !places(batch).any(|(_, _, name)| is_core(name)) {
        return Vec::new(); // it only looks
    }
    let steps = steps_of(batch, viscripts).into_iter().map(|(_, step)| step);
    let steps: Vec<PlannedStep> = steps.collect();
    let [root, _] = machines();
    let scopes = scopes(&batch.layout, &root, &root);
    let missing = missing_from(&batch.layout, &scopes, &steps);
    let problems = missing.into_iter().map(|what| {
        let help = "see batches/flat-to-subvolumes.json for all that it takes";
        source.error(&[Key("phases")], what, help)
    });
    problems.collect()
}
