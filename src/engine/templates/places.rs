//! Directories that are better subvolumes of their own, where this machine has them.

use std::path::{Path, PathBuf};

use super::subvolume;
use crate::bootchain::is_hand_over;
use crate::documents::layout::{FilesystemLayout, SubvolumeLayout};
use crate::engine::Error;
use crate::engine::conversions;
use crate::engine::mount_lines::Mounting;
use crate::engine::survey::Survey;
use crate::sys::mount::Mount;

/// Inode of every subvolume's root (BTRFS_FIRST_FREE_OBJECTID).
const SUBVOLUME_INODE: u64 = 256;

const IMAGES: &str =
    "Images and containers come and go; snapshots of the system must not keep them.";
const DATABASE: &str = "A database follows its own time: going back with the system would lose what \
                        was entered since.";

/// Place, name and reason. The first two are split off wherever they are, the others when there is
/// something in them. Not among them: what belongs to the packages' database (/usr, /etc, /opt,
/// /var/lib/dpkg), which only makes sense together.
const PLACES: [(&str, &str, &str); 8] = [
    (
        "/home",
        "@home",
        "Yours, not the system's: going back to an older system leaves it as it is.",
    ),
    (
        "/var/log",
        "@var_log",
        "Logs have to outlive a system that went wrong: they say why.",
    ),
    (
        "/srv",
        "@srv",
        "What this machine serves is data, not system.",
    ),
    ("/var/lib/docker", "@docker", IMAGES),
    ("/var/lib/containers", "@containers", IMAGES),
    (
        "/var/lib/libvirt/images",
        "@libvirt_images",
        "Disks of virtual machines are large; snapshots of the system must not keep them.",
    ),
    ("/var/lib/postgresql", "@postgresql", DATABASE),
    ("/var/lib/mysql", "@mysql", DATABASE),
];
const ALWAYS: usize = 2;
/// The root's subvolume, unless something else has the name: another system beside this one.
const MAIN: &str = "@";

/// The layout of the root file system.
pub(super) fn root(survey: &Survey) -> Result<FilesystemLayout, Error> {
    let main = free_name(survey, MAIN)?;
    let why = match main == MAIN {
        true => "The system itself. Timeshift, snapper and grub-btrfs look for this name.",
        false => "The system itself. The name @, which Timeshift looks for, is another's here.",
    };
    let mut subvolumes = vec![subvolume(&main, "/", why)];
    for (index, (place, name, why)) in PLACES.iter().enumerate() {
        let fits = is_plain_directory(survey, "/", place)?
            && (index < ALWAYS || !survey.system.list(Path::new(place))?.is_empty());
        if fits {
            subvolumes.push(subvolume(&free_name(survey, name)?, place, why));
        }
    }
    let mut layout = FilesystemLayout::new("/", subvolumes);
    layout.comment = Some(about_root(survey)?);
    Ok(layout)
}

/// A name that nothing has at the top level yet, but for what a rollback left there for GRUB.
fn free_name(survey: &Survey, name: &str) -> Result<String, Error> {
    let Some(top) = &survey.top else {
        return Ok(name.to_owned());
    };
    let more = (1..=99).map(|number| format!("{name}_{number}"));
    for free in std::iter::once(name.to_owned()).chain(more) {
        let path = Path::new(&free);
        if !top.exists(path)? || matches!(is_hand_over(top, path), Ok(true)) {
            return Ok(free);
        }
    }
    Ok(name.to_owned())
}

/// Whether it is a directory of the file system mounted at `base`, that no mount and no subvolume
/// makes its own already.
pub(super) fn is_plain_directory(survey: &Survey, base: &str, place: &str) -> Result<bool, Error> {
    let Some(mount) = holder(&survey.mounts, place) else {
        return Ok(false);
    };
    if mount.mount_point != Path::new(base) {
        return Ok(false);
    }
    // What fstab or a unit mounts there has its place already, whether it is mounted now or not.
    if Mounting::of_files(&survey.system)?.covers(base, place) {
        return Ok(false);
    }
    let number = Some(SUBVOLUME_INODE).filter(|_| mount.fstype == "btrfs");
    let mut reached = PathBuf::from(base);
    for part in Path::new(place)
        .strip_prefix(base)
        .unwrap_or(Path::new(place))
    {
        reached.push(part);
        let status = survey.system.status(&reached)?;
        if !status.is_some_and(|one| one.is_directory() && Some(one.inode) != number) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The mount that a path lies in.
fn holder<'a>(mounts: &'a [Mount], place: &str) -> Option<&'a Mount> {
    let holds = |mount: &&Mount| Path::new(place).starts_with(&mount.mount_point);
    let depth = |mount: &&Mount| mount.mount_point.components().count();
    mounts.iter().filter(holds).max_by_key(depth)
}

/// What it is today, and what stays as it is.
fn about_root(survey: &Survey) -> Result<String, Error> {
    let device = survey.device().unwrap_or_default();
    let mut words = about(survey, &device.to_string_lossy(), "/")?;
    if let Some(identity) = &survey.identity {
        words = format!("UUID {}, {words}", identity.uuid);
    } else if let Ok(uuid) = conversions::uuid_of(survey, "/") {
        words = format!("ext4, UUID {uuid}, {words}");
    }
    let left: Vec<String> = survey.mounts.iter().filter_map(left_alone).collect();
    if !left.is_empty() {
        words.push_str(&format!(". Not part of it: {}", left.join(", ")));
    }
    Ok(words + ".")
}

/// Device, size and what is free of a mounted file system.
pub(super) fn about(survey: &Survey, device: &str, place: &str) -> Result<String, Error> {
    let space = survey.system.within(Path::new(place))?.free_space()?;
    let (size, free) = (in_words(space.total_bytes), in_words(space.available_bytes));
    Ok(format!("{device}, {size}, {free} free"))
}

fn in_words(bytes: u64) -> String {
    match bytes >> 30 {
        0..10 => format!("{} MiB", bytes >> 20),
        gigabytes => format!("{gigabytes} GiB"),
    }
}

/// A mount of a device other than the root, in words.
fn left_alone(mount: &Mount) -> Option<String> {
    let device = mount.source.starts_with("/dev/") && mount.mount_point != Path::new("/");
    device.then(|| format!("{} ({})", mount.mount_point.display(), mount.fstype))
}

/// The name of a subvolume for a directory, from its path below `base`: `@models`.
pub(super) fn name_for(base: &str, place: &str) -> String {
    let inside = place.strip_prefix(base).unwrap_or(place);
    format!("@{}", inside.trim_matches('/').replace('/', "_"))
}

/// Adds a subvolume unless its place or its name is taken.
pub(super) fn add(layout: &mut FilesystemLayout, one: SubvolumeLayout) {
    let taken =
        |known: &SubvolumeLayout| known.name == one.name || known.mount_point == one.mount_point;
    if !layout.subvolumes.iter().any(taken) {
        layout.subvolumes.push(one);
    }
}
