//! Whether the steps bring every file of the old system over. What they leave behind, or empty
//! without need, is deleted by `finalize`: so it is a rule about each step, and about all of them.
//!
//! Documents are held to it, by `lint` and when a plan is resolved. A frozen plan is not: one that
//! has been committed must stay readable. Before a commit the disk itself is asked for the snapshots
//! that there must be (`engine/carried.rs`).

use super::action::{Breach, ClearStaging, PromoteDirectory, Snapshot, VacateDirectory};
use super::expand::{Scope, holder, main_name};
use super::fence::{InsidePath, StagedSubvolume};
use super::layout::{FilesystemLayout, SubvolumeLayout};
use super::plan::{PlannedStep, STAGING};
use super::{Action, Layout};

/// What this action would leave behind or empty that the layout does not ask for: the key that says
/// so, and in words.
#[must_use]
pub fn astray(action: &Action, layout: &FilesystemLayout) -> Option<Breach> {
    match action {
        Action::Snapshot(step) => other_source(step, layout),
        Action::PromoteDirectory(step) => other_directory(step, layout),
        Action::VacateDirectory(step) => needed_directory(step, layout),
        Action::WriteFstab(step)
        | Action::WriteGrubDefaults(step)
        | Action::WriteGrubConfig(step) => other_root(&step.subvolume, layout),
        // A backup takes nobody's name, a place is the layout's, and the switch is rootshift's own.
        Action::BackUpFile(_)
        | Action::PlaceSubvolume(_)
        | Action::SwitchBootPath(_)
        | Action::ClearStaging(_) => None,
    }
}

/// Putting aside is a recovery, of the very thing that the step is to make there.
#[must_use]
pub fn aside(action: &Action, recovers: Option<&Action>) -> Option<Breach> {
    let Action::ClearStaging(ClearStaging { path }) = action else {
        return None;
    };
    let is_its_own = match recovers {
        Some(Action::Snapshot(step)) => step.to == *path,
        Some(_) | None => false,
    };
    let shown = path.path();
    let what = format!(
        "{} may hold files of yours; it is for \"on_failure\" of the snapshot that is to be there",
        shown.display()
    );
    (!is_its_own).then_some(("path", what))
}

fn is_named(one: &SubvolumeLayout, staged: &StagedSubvolume) -> bool {
    one.name == staged.name().as_str()
}

/// A subvolume of the layout begins as all of the old system; what it is not for is taken out.
fn other_source(step: &Snapshot, layout: &FilesystemLayout) -> Option<Breach> {
    let staged = step.to.subvolume();
    let is_ours = layout.subvolumes.iter().any(|one| is_named(one, staged));
    if step.to.inside().is_some() || !is_ours || step.from.is_root() {
        return None;
    }
    let (name, from) = (staged.name(), &step.from);
    let what = format!("{name} of the layout would hold {from} only; write \"from\": \"/\"");
    Some(("from", what))
}

fn other_directory(step: &PromoteDirectory, layout: &FilesystemLayout) -> Option<Breach> {
    let name = step.subvolume.name();
    let mut split_off = layout.split_off();
    let Some(own) = split_off.find(|one| is_named(one, &step.subvolume)) else {
        let what = format!("{name} holds all that no other subvolume does, and stays as it is");
        return Some(("subvolume", what));
    };
    let own = layout.inside(&own.mount_point);
    let directory = &step.directory;
    (directory.to_string() != own).then(|| {
        let what = format!(
            "{directory} is not what {name} of the layout is for, which is {own}: the rest would be \
             lost; write \"{{old_path}}\""
        );
        ("directory", what)
    })
}

fn needed_directory(step: &VacateDirectory, layout: &FilesystemLayout) -> Option<Breach> {
    if layout.split_off().any(|one| is_vacated(step, one, layout)) {
        return None;
    }
    let (directory, name, old) = (&step.directory, step.subvolume.name(), &step.old_path);
    let also = match directory.to_string() == old.to_string() {
        true => String::new(),
        false => format!(", whose old path is {old}"),
    };
    let what = format!(
        "nothing of the layout is mounted at {directory} of {name}{also}: its files would be lost; \
         write \"/{{path_in_holder}}\" of \"{{holder}}\", with \"old_path\": \"{{old_path}}\""
    );
    Some(("directory", what))
}

fn is_vacated(step: &VacateDirectory, one: &SubvolumeLayout, layout: &FilesystemLayout) -> bool {
    let (holder, inside) = holder(&one.mount_point, layout, Some(&one.name));
    step.subvolume.name().as_str() == holder
        && InsidePath::try_from(inside).is_ok_and(|inside| inside == step.directory)
        && step.old_path.to_string() == layout.inside(&one.mount_point)
}

/// In any other subvolume a file of that name is somebody's.
fn other_root(subvolume: &StagedSubvolume, layout: &FilesystemLayout) -> Option<Breach> {
    let (name, main) = (subvolume.name(), main_name(layout));
    if layout.mounted_at == "/" && name.as_str() == main {
        return None;
    }
    let what = match layout.mounted_at.as_str() {
        "/" => {
            format!("{name} is not the subvolume of the root, which is {main}; write \"{{main}}\"")
        }
        place => format!("{name} is of the file system at {place}, and not the root's"),
    };
    Some(("subvolume", what))
}

/// What these steps leave out that every migration to this layout needs, in words.
#[must_use]
pub fn missing_from(layout: &Layout, scopes: &[Scope], steps: &[PlannedStep]) -> Vec<String> {
    let mut missing = Vec::new();
    for scope in scopes {
        let own = |step: &&PlannedStep| step.filesystem == scope.layout.mounted_at;
        let actions: Vec<&Action> = steps.iter().filter(own).map(|step| &step.action).collect();
        for subvolume in &scope.layout.subvolumes {
            missing.extend(missing_of(subvolume, &actions));
        }
        for subvolume in scope.layout.split_off() {
            missing.extend(left_in_two_places(subvolume, scope.layout, &actions));
        }
        missing.extend(left_nested(scope, &actions));
    }
    let root = layout.root().and_then(FilesystemLayout::main);
    let writes = |step: &PlannedStep| match (&step.action, root) {
        (Action::WriteFstab(step), Some(root)) => is_named(root, &step.subvolume),
        _ => false,
    };
    if !steps.iter().any(writes) {
        missing.push("no step writes the new system's fstab (write-fstab)".to_owned());
    }
    missing
}

/// What each subvolume of a layout needs.
fn missing_of(subvolume: &SubvolumeLayout, actions: &[&Action]) -> Vec<String> {
    let (name, place) = (&subvolume.name, &subvolume.mount_point);
    let makes = |action: &&Action| match action {
        Action::Snapshot(step) => {
            step.to.inside().is_none()
                && step.from.is_root()
                && is_named(subvolume, step.to.subvolume())
        }
        _ => false,
    };
    let places = |action: &&Action| match action {
        Action::PlaceSubvolume(step) => step.to.as_str() == name,
        _ => false,
    };
    let mut missing = Vec::new();
    if !actions.iter().any(makes) {
        missing.push(format!("no step makes {name} (snapshot from \"/\")"));
    }
    if !actions.iter().any(places) {
        missing.push(format!(
            "no step places {name} (place-subvolume): nothing could be mounted at {place}"
        ));
    }
    missing
}

/// What is split off is its directory's content, and is not where it was as well.
fn left_in_two_places(
    subvolume: &SubvolumeLayout,
    layout: &FilesystemLayout,
    actions: &[&Action],
) -> Vec<String> {
    let (name, old) = (&subvolume.name, layout.inside(&subvolume.mount_point));
    let promotes = |action: &&Action| match action {
        Action::PromoteDirectory(step) => {
            is_named(subvolume, &step.subvolume) && step.directory.to_string() == old
        }
        _ => false,
    };
    let vacates = |action: &&Action| match action {
        Action::VacateDirectory(step) => is_vacated(step, subvolume, layout),
        _ => false,
    };
    let mut missing = Vec::new();
    if !actions.iter().any(promotes) {
        missing.push(format!(
            "no step gives {name} the content of {old} (promote-directory)"
        ));
    }
    if !actions.iter().any(vacates) {
        let (holder, inside) = holder(&subvolume.mount_point, layout, Some(name));
        let inside = inside.trim_start_matches('/');
        missing.push(format!(
            "no step empties /{inside} in {holder} (vacate-directory)"
        ));
    }
    missing
}

/// Where a nested subvolume has its place in the new system: the subvolume, and its path in there.
#[must_use]
pub fn place_of_nested(path: &str, layout: &FilesystemLayout) -> (String, String) {
    let base = layout.mounted_at.trim_end_matches('/');
    holder(&format!("{base}/{path}"), layout, None)
}

/// A snapshot does not hold what is nested in its original.
fn left_nested(scope: &Scope, actions: &[&Action]) -> Vec<String> {
    let is_left = |path: &&String| {
        let (holder, inside) = place_of_nested(path, scope.layout);
        let to = format!("{STAGING}/{holder}/{inside}");
        !actions.iter().any(|action| match action {
            Action::Snapshot(step) => {
                step.from.to_string() == format!("/{path}") && String::from(step.to.clone()) == to
            }
            _ => false,
        })
    };
    let left = scope.old.nested.iter().filter(is_left);
    left.map(|path| {
        format!(
            "no step carries over the nested subvolume /{path} (snapshot, \"each\": \"nested\"): it \
             would be lost"
        )
    })
    .collect()
}
