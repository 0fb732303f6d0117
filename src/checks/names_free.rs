//! `names-free`: what is to be made does not exist yet, and what is to be split off is there.

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome, RUNNING, View, fitting_batch};
use crate::bootchain::is_hand_over;
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
    if let Some(taken) = taken_name(context, view)? {
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

/// A name that something mounts by is not to be taken away.
fn rename_at_top(context: &CheckContext, view: &View, name: &str) -> String {
    if !RUNNING {
        return "see `rootshift check`".into(); // there is nobody to follow it
    }
    let grub = Path::new(name).join("boot/grub/grub.cfg");
    if matches!(view.top.resolved_status(&grub), Ok(Some(_))) {
        return format!(
            "a GRUB that was installed from it begins there: run `grub-install` and `update-grub` in \
             this system, then rename {name} at the top level of the disk; or {}",
            fitting_batch(view.old_root)
        );
    }
    let uuid = context.identity_of(view.layout);
    let uuid = uuid.map_or("…", |identity| identity.uuid.as_str());
    format!(
        "where neither /etc/fstab nor another system on this disk names it, rename it: `mount -o \
         subvolid=5 UUID={uuid} /mnt && mv -T /mnt/{name} /mnt/{name}.old && umount /mnt`; else {}",
        fitting_batch(view.old_root)
    )
}

fn taken_name(context: &CheckContext, view: &View) -> Result<Option<Outcome>, Error> {
    for subvolume in &view.layout.subvolumes {
        let path = Path::new(&subvolume.name);
        let prepared = Path::new(STAGING).join(path);
        // What a rollback left there for GRUB is rootshift's own, and makes room.
        let makes_room = view.top.exists(&prepared)? || is_hand_over(view.top, path)?;
        if !view.top.exists(path)? || makes_room {
            continue;
        }
        let kind = if btrfs::is_subvolume(view.top, path)? {
            "subvolume"
        } else {
            "file or directory"
        };
        return Ok(Some(Outcome::fail(
            format!(
                "a {kind} named {} is at the top level already",
                subvolume.name
            ),
            rename_at_top(context, view, &subvolume.name),
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
    let refuse = |problem: String| {
        let remedy = fitting_batch(context.old_root);
        Ok(Some(Outcome::fail(problem, remedy)))
    };
    if context.mount_at(mount_point).is_some() {
        return refuse(format!("{mount_point} is a file system of its own"));
    }
    let mut reached = PathBuf::new();
    for part in Path::new(path).components().skip(1) {
        reached.push(part);
        let shown = view.shown(&reached);
        let shown = shown.display();
        match old.status(&reached)? {
            None => return refuse(format!("{shown} does not exist")),
            Some(found) if !found.is_directory() => {
                return refuse(format!("{shown} is no directory (a symlink perhaps)"));
            }
            Some(_) if btrfs::is_subvolume(old, &reached)? => {
                return refuse(format!("{shown} is a subvolume already"));
            }
            Some(_) => {}
        }
    }
    let trash = path.join(TRASH);
    if old.exists(&trash)? {
        let problem = format!("{} exists already", view.shown(&trash).display());
        return Ok(Some(Outcome::fail(problem, "rename it")));
    }
    Ok(None)
}
