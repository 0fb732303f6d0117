//! `nothing-immutable`: what must be renamed or written carries neither +i nor +a.
//!
//! An immutable entry blocks its own rename, not that of its parent (facts crash.md 3), so only
//! these few places need looking at.

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome, View};
use crate::sys::{InodeFlags, Root};

const WRITTEN: [&str; 9] = [
    ".",
    "etc",
    "etc/fstab",
    "etc/default/grub",
    "boot",
    "boot/grub",
    "boot/grub/grub.cfg",
    "var/lib",
    "var/lib/rootshift",
];

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        if view.top.flags(Path::new("."))?.bits & InodeFlags::LOCKS != 0 {
            let place = &view.layout.mounted_at;
            return Ok(Outcome::fail(
                format!("the top level of the file system of {place} is immutable or append-only"),
                "mount it (mount -o subvolid=5 DEVICE /mnt) and run `chattr -i -a /mnt`",
            ));
        }
        let old = view.old()?;
        for path in touched(&view, &old)? {
            if let Some(problem) = locked(&view, &old, &path)? {
                return Ok(problem);
            }
        }
    }
    Ok(Outcome::Pass)
}

fn locked(view: &View, old: &Root, path: &Path) -> Result<Option<Outcome>, Error> {
    if !old.exists(path)? {
        return Ok(None);
    }
    let flags = old.flags(path)?;
    let attribute = match (flags.immutable, flags.append_only) {
        (true, _) => ("immutable", "-i"),
        (_, true) => ("append-only", "-a"),
        _ => return Ok(None),
    };
    let shown = view.shown(path);
    Ok(Some(Outcome::fail(
        format!("{} is {}", shown.display(), attribute.0),
        format!("run `chattr {} {}`", attribute.1, shown.display()),
    )))
}

/// Each of them is made anew.
fn images(old: &Root) -> Result<Vec<PathBuf>, Error> {
    let boot = Path::new("boot");
    let is_there = old
        .resolved_status(boot)?
        .is_some_and(|boot| boot.is_directory());
    let names = if is_there {
        old.list(boot)?
    } else {
        Vec::new()
    };
    let images = names
        .into_iter()
        .filter(|name| name.to_string_lossy().starts_with("initrd.img-"));
    Ok(images.map(|name| boot.join(name)).collect())
}

fn touched(view: &View, old: &Root) -> Result<Vec<PathBuf>, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    if view.layout.mounted_at == "/" {
        paths.extend(WRITTEN.iter().map(PathBuf::from));
        // The program in the initramfs makes none.
        if cfg!(feature = "tools") {
            paths.extend(images(old)?);
        }
    }
    paths.extend(old.list(Path::new("."))?.into_iter().map(PathBuf::from));
    for subvolume in view.layout.split_off() {
        let inside = view.layout.inside(&subvolume.mount_point);
        let directory = Path::new(inside.trim_start_matches('/'));
        paths.extend(
            directory
                .ancestors()
                .filter(|up| !up.as_os_str().is_empty())
                .map(Path::to_owned),
        );
        if old.exists(directory)? {
            let names = old.list(directory)?;
            paths.extend(names.into_iter().map(|name| directory.join(name)));
        }
    }
    Ok(paths)
}
