//! `nothing-immutable`: what must be renamed or written carries neither +i nor +a.
//!
//! An immutable entry blocks its own rename, not that of its parent (facts crash.md 3), so only
//! these few places need looking at.

use std::path::{Path, PathBuf};

use super::{CheckContext, Error, Outcome};
use crate::sys::{InodeFlags, Root};

const WRITTEN: [&str; 7] = [
    ".",
    "etc",
    "etc/fstab",
    "etc/default/grub",
    "boot",
    "boot/grub",
    "boot/grub/grub.cfg",
];

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let old = context.old()?;
    if context.top()?.flags(Path::new("."))?.bits & InodeFlags::LOCKS != 0 {
        return Ok(Outcome::fail(
            "the top level of the root file system is immutable or append-only",
            "mount it (mount -o subvolid=5 DEVICE /mnt) and run `chattr -i -a /mnt`",
        ));
    }
    for path in touched(context, &old)? {
        if !old.exists(&path)? {
            continue;
        }
        let flags = old.flags(&path)?;
        let attribute = match (flags.immutable, flags.append_only) {
            (true, _) => ("immutable", "-i"),
            (_, true) => ("append-only", "-a"),
            _ => continue,
        };
        let shown = Path::new("/").join(path.strip_prefix(".").unwrap_or(&path));
        return Ok(Outcome::fail(
            format!("{} is {}", shown.display(), attribute.0),
            format!("run `chattr {} {}`", attribute.1, shown.display()),
        ));
    }
    Ok(Outcome::Pass)
}

fn touched(context: &CheckContext, old: &Root) -> Result<Vec<PathBuf>, Error> {
    let mut paths: Vec<PathBuf> = WRITTEN.iter().map(PathBuf::from).collect();
    paths.extend(old.list(Path::new("."))?.into_iter().map(PathBuf::from));
    for subvolume in context
        .layout
        .root()
        .iter()
        .flat_map(|layout| layout.split_off())
    {
        let directory = Path::new(subvolume.mount_point.trim_start_matches('/'));
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
