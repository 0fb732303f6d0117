//! `names-free`: what is to be made does not exist yet, and what is to be split off is there.

use std::path::Path;

use super::{CheckContext, Error, Outcome, View};
use crate::documents::plan::{OldSystem, STAGING, TRASH};
use crate::sys::{Root, btrfs};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        if let Some(problem) = look_at(context, &view)? {
            return Ok(problem);
        }
    }
    let old = OldSystem {
        root: context.old_root.to_owned(),
        ..OldSystem::default()
    };
    let [_, _, kept] = old.boot_switch(context.main());
    if context.top()?.exists(Path::new(&kept))? {
        return Ok(Outcome::fail(
            format!("{kept} is at the top level already"),
            "look whether a migration of before has left it, and rename it",
        ));
    }
    Ok(Outcome::Pass)
}

fn look_at(context: &CheckContext, view: &View) -> Result<Option<Outcome>, Error> {
    if let Some(taken) = taken_name(view)? {
        return Ok(Some(taken));
    }
    let old = view.old()?;
    if old.exists(Path::new(TRASH))? {
        let trash = view.shown(Path::new(TRASH));
        let trash = trash.display();
        return Ok(Some(Outcome::fail(
            format!("{trash} exists already"),
            format!("rename it (mv {trash} {trash}.old)"),
        )));
    }
    for subvolume in view.layout.split_off() {
        let problem = not_to_be_split(context, view, &old, &subvolume.mount_point)?;
        if problem.is_some() {
            return Ok(problem);
        }
    }
    Ok(None)
}

fn taken_name(view: &View) -> Result<Option<Outcome>, Error> {
    for subvolume in &view.layout.subvolumes {
        let path = Path::new(&subvolume.name);
        let prepared = Path::new(STAGING).join(path);
        if !view.top.exists(path)? || view.top.exists(&prepared)? {
            continue;
        }
        let kind = if btrfs::is_subvolume(view.top, path)? {
            "subvolume"
        } else {
            "file or directory"
        };
        let shown = view.shown(path);
        let shown = shown.display();
        return Ok(Some(Outcome::fail(
            format!(
                "a {kind} named {} is at the top level already",
                subvolume.name
            ),
            format!("rename it (mv {shown} {shown}.old), or take it out of the layout"),
        )));
    }
    Ok(None)
}

fn not_to_be_split(
    context: &CheckContext,
    view: &View,
    old: &Root,
    mount_point: &str,
) -> Result<Option<Outcome>, Error> {
    let path = Path::new(view.layout.inside(mount_point));
    let remedy = "take it out of the batch's layout";
    if context.mount_at(mount_point).is_some() {
        let problem = format!("{mount_point} is a file system of its own");
        return Ok(Some(Outcome::fail(problem, remedy)));
    }
    let Some(status) = old.status(path)? else {
        return Ok(Some(Outcome::fail(
            format!("{mount_point} does not exist"),
            remedy,
        )));
    };
    if !status.is_directory() {
        let problem = format!("{mount_point} is no directory (a symlink perhaps)");
        return Ok(Some(Outcome::fail(problem, remedy)));
    }
    if btrfs::is_subvolume(old, path)? {
        let problem = format!("{mount_point} is a subvolume already");
        return Ok(Some(Outcome::fail(problem, remedy)));
    }
    let trash = path.join(TRASH);
    if old.exists(&trash)? {
        let problem = format!("{} exists already", view.shown(&trash).display());
        return Ok(Some(Outcome::fail(problem, "rename it")));
    }
    Ok(None)
}
