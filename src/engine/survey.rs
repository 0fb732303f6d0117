//! What this machine is: its root file system, what is mounted, what lies at the top level.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::device_names::device_names;
use super::kept::{self, Disk, Found};
use super::mount_lines::Mounting;
use crate::bootchain::is_hand_over;
use crate::checks::{self, CheckContext, MountedFilesystem};
use crate::documents::Layout;
use crate::documents::plan::{
    FilesystemIdentity, Fingerprint, HOME, KeptSubvolume, OldSystem, digest,
};
use crate::fault::mutant;
use crate::journal::record::BootImage;
use crate::sys::mount::{Mount, parse_mountinfo};
use crate::sys::{Root, btrfs};

/// What update-grub writes.
pub(super) const GRUB_CONFIG: &str = "/boot/grub/grub.cfg";
/// Files that a plan is made from; a change makes it stale.
const FINGERPRINTED: [&str; 3] = ["/etc/fstab", "/etc/default/grub", GRUB_CONFIG];

/// A running system, as it is seen from inside.
#[derive(Debug)]
pub struct Survey {
    /// Its root.
    pub system: Root,
    /// What is mounted in it, by paths inside it.
    pub mounts: Vec<Mount>,
    /// The top level of its root file system, once it is mounted.
    pub top: Option<Root>,
    /// The subvolume that is mounted as root; empty for the top level.
    pub old_root: String,
    /// The top levels of the layout's other file systems, once they are mounted.
    pub others: Arc<Vec<MountedFilesystem>>,
    /// How that file system is known, when it is btrfs.
    pub identity: Option<FilesystemIdentity>,
}

impl Survey {
    /// Looks at the system whose root is at `path`.
    ///
    /// # Errors
    /// When the mount table can't be read or does not name the root.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let system = Root::open(path)?;
        let machine = Root::open(Path::new("/"))?;
        let text = machine.read(Path::new("proc/self/mountinfo"))?;
        let mounts = mounts_inside(path, parse_mountinfo(&text));
        let identity = match root_mount(&mounts) {
            Some(root) if root.fstype == "btrfs" => {
                let uuid = btrfs::filesystem(&system)?.uuid;
                let aliases = device_names(&machine, &root.source, &uuid);
                Some(FilesystemIdentity { uuid, aliases })
            }
            _ => None,
        };
        let subvolume = root_mount(&mounts).map(|root| root.root.to_string_lossy());
        let old_root = subvolume.map(|path| path.trim_matches('/').to_owned());
        Ok(Self {
            old_root: old_root.unwrap_or_default(),
            system,
            mounts,
            top: None,
            others: Arc::default(),
            identity,
        })
    }

    /// The device of the root file system.
    #[must_use]
    pub fn device(&self) -> Option<PathBuf> {
        root_mount(&self.mounts).map(|mount| PathBuf::from(&mount.source))
    }

    /// What stays as it is on the file systems that are mounted, by what mounts it.
    ///
    /// # Errors
    /// When a file that says what is mounted can't be read, or the subvolumes can't be listed.
    pub fn kept(&self) -> Result<Found, Error> {
        let mounting = Mounting::of_running(&self.system)?;
        let mut found = Found::default();
        for disk in self.disks() {
            let on_it = kept::on(&disk, &mounting)?;
            found.kept.extend(on_it.kept);
            found.doubts.extend(on_it.doubts);
        }
        Ok(found)
    }

    fn disks(&self) -> Vec<Disk<'_>> {
        let device = |place: &str| {
            let mut mounts = self.mounts.iter().rev();
            let mount = mounts.find(|mount| mount.mount_point == Path::new(place));
            mount.map(|mount| mount.device.as_str())
        };
        let root = self.top.as_ref().zip(self.identity.as_ref());
        let root = root.map(|(top, identity)| Disk {
            place: "/",
            top,
            root: &self.old_root,
            identity,
            device: device("/"),
        });
        let others = self.others.iter().map(|other| Disk {
            place: &other.mounted_at,
            top: &other.top,
            root: "",
            identity: &other.identity,
            device: device(&other.mounted_at),
        });
        root.into_iter().chain(others).collect()
    }

    /// What checks look at.
    #[must_use]
    pub fn context<'a>(&'a self, layout: &'a Layout) -> CheckContext<'a> {
        CheckContext {
            system: &self.system,
            mounts: &self.mounts,
            top: self.top.as_ref(),
            old_root: &self.old_root,
            layout,
            identity: self.identity.as_ref(),
            others: &self.others,
        }
    }
}

/// The file systems of a layout that are mounted as a whole, each with its device: all but the
/// root's own.
///
/// # Errors
/// When the names of a device can't be read.
pub fn mounted_others(
    survey: &Survey,
    layout: &Layout,
) -> Result<Vec<(String, PathBuf, FilesystemIdentity)>, Error> {
    let machine = Root::open(Path::new("/"))?;
    let mut found = Vec::new();
    for other in layout.others() {
        let place = other.mounted_at.as_str();
        let mut mounts = survey.mounts.iter().rev();
        let Some(mount) = mounts.find(|mount| mount.mount_point == Path::new(place)) else {
            continue;
        };
        if mount.fstype != "btrfs" || mount.root != Path::new("/") {
            continue;
        }
        let uuid = btrfs::filesystem(&survey.system.within(Path::new(place))?)?.uuid;
        if survey
            .identity
            .as_ref()
            .is_some_and(|root| root.uuid == uuid)
        {
            continue;
        }
        let aliases = device_names(&machine, &mount.source, &uuid);
        let identity = FilesystemIdentity { uuid, aliases };
        found.push((place.to_owned(), PathBuf::from(&mount.source), identity));
    }
    Ok(found)
}

fn root_mount(mounts: &[Mount]) -> Option<&Mount> {
    mounts
        .iter()
        .rev()
        .find(|mount| mount.mount_point == Path::new("/"))
}

fn mounts_inside(system: &Path, mounts: Vec<Mount>) -> Vec<Mount> {
    let inside = |mut mount: Mount| {
        let rest = mount.mount_point.strip_prefix(system).ok()?;
        mount.mount_point = Path::new("/").join(rest);
        Some(mount)
    };
    mounts.into_iter().filter_map(inside).collect()
}

/// What the old system consists of whose root is this subvolume; none is the top level. What stays
/// as it is belongs to nobody's system.
///
/// # Errors
/// When the top level can't be read.
pub fn old_system(top: &Root, root: &str, kept: &[KeptSubvolume]) -> Result<OldSystem, Error> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    // On purpose: then nothing stays.
    let kept = if mutant::MOUNTED_IS_NESTED { &[] } else { kept };
    let stays = |path: &Path| kept.iter().any(|kept| path.starts_with(&kept.path));
    // The tree holds what was changed just now only when that is on the disk.
    top.sync_filesystem()?;
    let place = if root.is_empty() { "." } else { root };
    let generation = Some(btrfs::subvolume_info(top, Path::new(place))?.generation);
    let subvolumes = btrfs::list_subvolumes(top)?;
    let nested: Vec<String> = subvolumes
        .iter()
        .filter(|subvolume| !stays(&subvolume.path))
        .filter_map(|subvolume| subvolume.path.strip_prefix(root).ok())
        .filter(|path| !path.as_os_str().is_empty())
        .filter(|path| !(root.is_empty() && path.starts_with(HOME)))
        .map(text)
        .collect();
    let entries = match root {
        "" => entries(top, kept)?,
        root => vec![root.to_owned()],
    };
    Ok(OldSystem {
        root: root.to_owned(),
        entries,
        nested,
        generation,
    })
}

/// The names at the top level in which nothing lies that stays.
fn entries(top: &Root, kept: &[KeptSubvolume]) -> Result<Vec<String>, Error> {
    let holds = |name: &OsStr| {
        let mut kept = kept.iter().map(|kept| Path::new(&kept.path));
        kept.any(|path| path.starts_with(name))
    };
    let names = top.list(Path::new("."))?.into_iter();
    let mut entries = Vec::new();
    for name in names.filter(|name| *name != HOME && !holds(name)) {
        let is_ours = is_hand_over(top, Path::new(&name)).map_err(checks::Error::from)?;
        if !is_ours {
            entries.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(entries)
}

/// Hashes of the files that a plan is made from.
///
/// # Errors
/// When one of them can't be read.
pub fn fingerprints(old: &Root) -> Result<Vec<Fingerprint>, Error> {
    let mut fingerprints = Vec::new();
    for path in FINGERPRINTED {
        let hash = match old.read(Path::new(path)) {
            Ok(bytes) => Some(digest(&bytes)),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        fingerprints.push(Fingerprint {
            path: path.to_owned(),
            hash,
        });
    }
    Ok(fingerprints)
}

/// The initramfs images under `boot` of a tree.
///
/// # Errors
/// When the directory can't be read.
pub fn boot_images(root: &Root) -> Result<Vec<BootImage>, Error> {
    let mut images = Vec::new();
    for name in root.list(Path::new("boot"))? {
        let name = name.to_string_lossy().into_owned();
        let leftover = [".new", ".bak", ".dpkg-bak", ".old-dkms"];
        if !name.starts_with("initrd.img-") || leftover.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        if let Some(status) = root.status(&Path::new("boot").join(&name))? {
            let modified = (status.modified.seconds, status.modified.nanoseconds);
            images.push(BootImage {
                name,
                size: status.size,
                modified,
            });
        }
    }
    Ok(images)
}
