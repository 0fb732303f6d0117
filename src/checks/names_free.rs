//! `names-free`: what is to be made does not exist yet, and what is to be split off is there.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::documents::layout::FilesystemLayout;
use crate::documents::plan::{OldSystem, STAGING, TRASH};
use crate::sys::{Root, btrfs};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let top = context.top()?;
    let Some(layout) = context.layout.root() else {
        return Err(Error::Malformed(
            "the layout has no root file system".into(),
        ));
    };
    if let Some(taken) = taken_name(context, top, layout)? {
        return Ok(taken);
    }
    let old = context.old()?;
    if old.exists(Path::new(TRASH))? {
        return Ok(Outcome::fail(
            format!("/{TRASH} exists already"),
            format!("rename it (mv /{TRASH} /trash.old)"),
        ));
    }
    for subvolume in layout.split_off() {
        if let Some(problem) = not_to_be_split(context, &old, &subvolume.mount_point)? {
            return Ok(problem);
        }
    }
    Ok(Outcome::Pass)
}

fn taken_name(
    context: &CheckContext,
    top: &Root,
    layout: &FilesystemLayout,
) -> Result<Option<Outcome>, Error> {
    for subvolume in &layout.subvolumes {
        let path = Path::new(&subvolume.name);
        let prepared = Path::new(STAGING).join(path);
        if !top.exists(path)? || top.exists(&prepared)? {
            continue;
        }
        let kind = if btrfs::is_subvolume(top, path)? {
            "subvolume"
        } else {
            "file or directory"
        };
        return Ok(Some(Outcome::fail(
            format!(
                "a {kind} named {} is at the top level already",
                subvolume.name
            ),
            format!(
                "rename it (mv /{0} /{0}.old), or take it out of the layout",
                subvolume.name
            ),
        )));
    }
    let old = OldSystem {
        root: context.old_root.to_owned(),
        ..OldSystem::default()
    };
    let [_, _, kept] = old.boot_switch(context.main());
    if top.exists(Path::new(&kept))? {
        return Ok(Some(Outcome::fail(
            format!("{kept} is at the top level already"),
            "look whether a migration of before has left it, and rename it",
        )));
    }
    Ok(None)
}

fn not_to_be_split(
    context: &CheckContext,
    old: &Root,
    mount_point: &str,
) -> Result<Option<Outcome>, Error> {
    let path = Path::new(mount_point);
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
        let problem = format!("{} exists already", trash.display());
        return Ok(Some(Outcome::fail(problem, "rename it")));
    }
    Ok(None)
}
