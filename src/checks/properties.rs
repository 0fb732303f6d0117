//! `subvolume`, `property`: that something is a subvolume, and how btrfs stores what is written
//! there from now on. Content that is there already keeps the form it was written in.

use std::path::Path;

use super::{CheckContext, Error, Outcome, place};
use crate::documents::check::Properties;
use crate::sys::attributes::storage_of;
use crate::sys::{InodeFlags, Root, btrfs};

/// `chattr +m`, which `btrfs property set … compression none` sets as well.
const NO_COMPRESSION: u32 = 0x400;

pub(super) fn subvolume(context: &CheckContext, wanted: &Properties) -> Result<Outcome, Error> {
    let (root, path) = if wanted.path.starts_with('/') {
        (context.system, Path::new(&wanted.path))
    } else {
        (context.top()?, Path::new(&wanted.path))
    };
    if root.status(path)?.is_none() {
        return Ok(absent(wanted));
    }
    // Asked from inside, since "/" has no name to ask for.
    let inside = root.within(path)?;
    if !btrfs::is_subvolume(&inside, Path::new("."))? {
        return Ok(Outcome::fail(
            format!("{} is no subvolume", wanted.path),
            "look at `btrfs subvolume list /`",
        ));
    }
    if let Some(read_only) = wanted.read_only
        && btrfs::subvolume_info(&inside, Path::new("."))?.read_only != read_only
    {
        let state = if read_only { "writable" } else { "read-only" };
        return Ok(Outcome::fail(
            format!("the subvolume {} is {state}", wanted.path),
            format!("run `btrfs property set -ts PATH ro {read_only}`"),
        ));
    }
    stored(context, wanted, &inside, Path::new("."))
}

pub(super) fn property(context: &CheckContext, wanted: &Properties) -> Result<Outcome, Error> {
    if wanted.read_only.is_some() {
        return subvolume(context, wanted);
    }
    let path = Path::new(&wanted.path);
    match context.system.resolved_status(path)? {
        None => Ok(absent(wanted)),
        Some(status) if status.is_directory() => {
            let inside = context.system.within(path)?;
            stored(context, wanted, &inside, Path::new("."))
        }
        Some(_) => stored(context, wanted, context.system, path),
    }
}

fn absent(wanted: &Properties) -> Outcome {
    if wanted.optional {
        Outcome::Skip(format!("this machine has no {}", wanted.path))
    } else {
        place::missing(&wanted.path)
    }
}

fn stored(
    context: &CheckContext,
    wanted: &Properties,
    root: &Root,
    path: &Path,
) -> Result<Outcome, Error> {
    if wanted.compression.is_none() && wanted.no_copy_on_write.is_none() {
        return Ok(Outcome::Pass);
    }
    let mount = place::covering(context, Path::new(&wanted.path))?;
    let options = mount.map_or("", |mount| mount.super_options.as_str());
    let (flags, property) = storage_of(root, path)?;
    let no_copy_on_write =
        flags.no_copy_on_write || options.split(',').any(|option| option == "nodatacow");
    if let Some(wanted_so) = wanted.no_copy_on_write
        && wanted_so != no_copy_on_write
    {
        return Ok(wrong_copying(&wanted.path, wanted_so));
    }
    let Some(wanted_form) = wanted.compression.as_deref() else {
        return Ok(Outcome::Pass);
    };
    let found = if no_copy_on_write {
        "none".to_owned() // btrfs never compresses what it writes in place (btrfs(5))
    } else {
        compression(flags, property, options)
    };
    if found == wanted_form || found.split(':').next() == Some(wanted_form) {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("{}: compression is {found}, not {wanted_form}", wanted.path),
        format!(
            "run `btrfs property set {} compression {wanted_form}`; it is for what is written \
             from then on",
            wanted.path
        ),
    ))
}

fn wrong_copying(path: &str, wanted: bool) -> Outcome {
    if wanted {
        return Outcome::fail(
            format!("{path} is copy-on-write"),
            format!(
                "run `chattr +C {path}` and make its files anew: without checksums, without \
                 compression"
            ),
        );
    }
    Outcome::fail(
        format!("{path} is not copy-on-write: its files have no checksums"),
        format!("run `chattr -C {path}` and make its files anew"),
    )
}

/// In the order in which btrfs decides (fs/btrfs/inode.c, `inode_need_compress`).
fn compression(flags: InodeFlags, property: Option<String>, options: &str) -> String {
    let option = |name: &str| {
        let found = options
            .split(',')
            .find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    let none = || "none".to_owned();
    if let Some(forced) = option("compress-force") {
        return forced;
    }
    if flags.bits & NO_COMPRESSION != 0 {
        return none();
    }
    property.or_else(|| option("compress")).unwrap_or_else(none)
}
