//! Subvolumes that are no part of what is moved: something mounts them by their name, or a tool keeps
//! them beside the system. They stay where they are; what can't be told apart is a doubt.

mod second;
mod systems;

use std::path::{Path, PathBuf};

use super::Error;
use super::mount_lines::{Live, Mounting, Named};
use crate::bootcfg::fstab::names_filesystem;
use crate::bootcfg::mount_line::{Chosen, MountLine};
use crate::checks::fitting_batch;
use crate::documents::Layout;
use crate::documents::layout::FilesystemLayout;
use crate::documents::plan::{FilesystemIdentity, HOME, KeptSubvolume};
use crate::sys::btrfs::Subvolume;
use crate::sys::mount::Mount;
use crate::sys::{Root, block, btrfs};

/// BTRFS_FS_TREE_OBJECTID.
const TOP_LEVEL: u64 = 5;

/// One file system as it is today.
#[derive(Debug, Clone, Copy)]
pub struct Disk<'a> {
    /// Where it is mounted.
    pub place: &'a str,
    /// Its top level.
    pub top: &'a Root,
    /// The subvolume that is mounted there; empty for the top level.
    pub root: &'a str,
    /// How it is known.
    pub identity: &'a FilesystemIdentity,
    /// The number by which mount tables know it, as `0:32`.
    pub device: Option<&'a str>,
}

/// Why it can't be told what a subvolume is to be in the new system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What is the matter.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// What was found on a file system.
#[derive(Debug, Default)]
pub struct Found {
    /// What stays.
    pub kept: Vec<KeptSubvolume>,
    /// What can't be told.
    pub doubts: Vec<Doubt>,
}

/// The subvolumes of a file system that stay as they are, by what mounts them.
///
/// # Errors
/// When the subvolumes can't be listed.
pub fn on(disk: &Disk, mounting: &Mounting) -> Result<Found, Error> {
    let look = Look {
        disk,
        mounting,
        all: btrfs::list_subvolumes(disk.top)?,
        default: btrfs::default_subvolume(disk.top)?,
    };
    let mut found = Found::default();
    for named in &mounting.lines {
        if let Some(subvolume) = look.named_by(&named.line) {
            look.note(&mut found, subvolume, &named.by, &named.line.at)?;
        }
    }
    look.keep_what_tools_made(&mut found)?;
    look.give_places(&mut found);
    look.doubt_what_is_mounted(&mut found);
    look.doubt_the_default(&mut found);
    let kept: Vec<&Path> = found
        .kept
        .iter()
        .map(|kept| Path::new(&kept.path))
        .collect();
    let mut more = second::bound_out_of(&look, &kept);
    more.extend(systems::beside(&look, &kept)?);
    found.doubts.extend(more);
    Ok(found)
}

struct Look<'a> {
    disk: &'a Disk<'a>,
    mounting: &'a Mounting,
    all: Vec<Subvolume>,
    default: u64,
}

impl Look<'_> {
    /// The subvolume that a line mounts, unless it is the old system's root or rootshift's own.
    fn named_by(&self, line: &MountLine) -> Option<&Subvolume> {
        let FilesystemIdentity { uuid, aliases } = self.disk.identity;
        let is_btrfs = matches!(line.fstype.as_str(), "btrfs" | "auto" | "");
        if !is_btrfs || line.is_bind() || !names_filesystem(&line.source, uuid, aliases) {
            return None;
        }
        let chosen = match line.subvolume() {
            None if line.options.iter().any(|one| one.starts_with("subvol")) => return None,
            None => Chosen::Id(self.default),
            Some(chosen) => chosen,
        };
        let is_it = |one: &&Subvolume| match &chosen {
            Chosen::Path(path) => one.path == Path::new(path),
            Chosen::Id(id) => one.id == *id,
        };
        let found = self.all.iter().find(is_it)?;
        let is_root = found.path == Path::new(self.disk.root);
        (!is_root && !found.path.starts_with(HOME)).then_some(found)
    }

    /// Its path in the old system's tree; `None` for what lies beside it.
    fn inside<'s>(&self, subvolume: &'s Subvolume) -> Option<&'s Path> {
        subvolume.path.strip_prefix(self.disk.root).ok()
    }

    /// Where the old system sees it in its tree.
    fn place(&self, inside: &Path) -> PathBuf {
        Path::new(self.disk.place).join(inside)
    }

    fn note(
        &self,
        found: &mut Found,
        subvolume: &Subvolume,
        by: &str,
        at: &str,
    ) -> Result<(), Error> {
        if self.inside(subvolume).is_some() && !self.can_stay(found, subvolume) {
            let doubt = self.in_the_old_tree(subvolume, by);
            if !found.doubts.contains(&doubt) {
                found.doubts.push(doubt);
            }
            return Ok(());
        }
        self.keep(found, subvolume, by, Some(at))
    }

    /// Only what lies at the top level, beside the old system or in what stays itself, is not
    /// deleted with a tree of the old system.
    fn can_stay(&self, found: &Found, subvolume: &Subvolume) -> bool {
        let mut kept = found.kept.iter().map(|kept| Path::new(&kept.path));
        self.disk.root.is_empty()
            && (subvolume.path.components().count() == 1
                || kept.any(|kept| subvolume.path.starts_with(kept)))
    }

    fn in_the_old_tree(&self, subvolume: &Subvolume, by: &str) -> Doubt {
        let path = subvolume.path.display();
        let name = subvolume.path.to_string_lossy().replace('/', "_");
        let name = name.trim_start_matches('@');
        let device = self.disk.identity.uuid.as_str();
        Doubt {
            problem: format!(
                "{by} mounts the subvolume {path} by its name, and it lies inside the old system, \
                 which finalize deletes"
            ),
            remedy: format!(
                "give it a place at the top level: unmount it, then `mount -o subvolid=5 UUID={device} \
                 /mnt && mv -T /mnt/{path} /mnt/@{name} && umount /mnt` (it stays the same \
                 subvolume), and name it subvol=@{name} there"
            ),
        }
    }

    fn keep(
        &self,
        found: &mut Found,
        subvolume: &Subvolume,
        by: &str,
        at: Option<&str>,
    ) -> Result<(), Error> {
        let Some(path) = subvolume.path.to_str() else {
            found.doubts.push(no_text(&subvolume.path));
            return Ok(());
        };
        let known = found.kept.iter().position(|kept| kept.path == path);
        if let Some(kept) = known.and_then(|index| found.kept.get_mut(index)) {
            kept.named_by.push(by.to_owned());
            let new = at.filter(|at| !kept.mounted_at.iter().any(|known| known == at));
            kept.mounted_at.extend(new.map(str::to_owned));
            return Ok(());
        }
        found.kept.push(KeptSubvolume {
            filesystem: self.disk.place.to_owned(),
            path: path.to_owned(),
            uuid: uuid_of(self.disk.top, &subvolume.path)?,
            named_by: vec![by.to_owned()],
            mounted_at: at.map(str::to_owned).into_iter().collect(),
            also_at: None,
        });
        Ok(())
    }

    /// What rootshift has put aside in an earlier life, and other tools' snapshots: none of them
    /// belongs into a system.
    fn keep_what_tools_made(&self, found: &mut Found) -> Result<(), Error> {
        if !self.disk.root.is_empty() {
            return Ok(()); // beside it nothing is touched
        }
        for subvolume in &self.all {
            let first = subvolume.path.components().next();
            let first = first.and_then(|part| part.as_os_str().to_str());
            let Some(tool) = first.and_then(tool_of) else {
                continue;
            };
            let kept = found.kept.iter();
            let mut kept = kept.map(|kept| Path::new(&kept.path));
            if !kept.any(|kept| subvolume.path.starts_with(kept)) {
                self.keep(found, subvolume, tool, None)?;
            }
        }
        Ok(())
    }

    /// What the old system saw in its tree the new one shall see there too.
    fn give_places(&self, found: &mut Found) {
        let mut doubts = Vec::new();
        for kept in &mut found.kept {
            let at_top = !kept.path.contains('/') && self.disk.root.is_empty();
            let hidden = kept.mounted_at.is_empty() && kept.path != SNAPPER;
            if !at_top || hidden {
                continue;
            }
            let place = self.place(Path::new(&kept.path));
            let mut lines = self.mounting.lines.iter();
            match lines.find(|named| Path::new(&named.line.at) == place) {
                None => kept.also_at = place.to_str().map(str::to_owned),
                Some(line) if waits(line) => doubts.push(seen_without(line, &kept.path)),
                Some(_) => {}
            }
        }
        found.doubts.extend(doubts);
    }

    /// A mount by name and one that shows a directory elsewhere look the same.
    fn doubt_what_is_mounted(&self, found: &mut Found) {
        for Live { everywhere, mount } in &self.mounting.live {
            let Some(subvolume) = self.shown_by(mount) else {
                continue;
            };
            let at = mount.mount_point.as_path();
            let inside = self.inside(subvolume).map(|inside| self.place(inside));
            let Some(place) = inside else { continue };
            let explained = self.is_bound_at(at)
                || (!everywhere && at == place)
                || found
                    .kept
                    .iter()
                    .any(|kept| subvolume.path.starts_with(&kept.path));
            let doubt = Doubt {
                problem: format!(
                    "the subvolume {} is mounted at {}, and neither /etc/fstab nor a mount unit says \
                     so: after the migration that might be the old one",
                    subvolume.path.display(),
                    at.display()
                ),
                remedy: "unmount it (or stop what has mounted it, as a container or a script), or \
                         write its line into /etc/fstab"
                    .into(),
            };
            if !explained && !found.doubts.contains(&doubt) {
                found.doubts.push(doubt);
            }
        }
    }

    fn shown_by(&self, mount: &Mount) -> Option<&Subvolume> {
        if mount.fstype != "btrfs" || Some(mount.device.as_str()) != self.disk.device {
            return None;
        }
        let root = mount.root.strip_prefix("/").ok()?;
        let found = self.all.iter().find(|one| one.path == root)?;
        let own = found.path == Path::new(self.disk.root) || found.path.starts_with(HOME);
        (!own).then_some(found)
    }

    /// Services have the mounts of the system too.
    fn is_bound_at(&self, at: &Path) -> bool {
        let mut lines = self.mounting.lines.iter().map(|named| &named.line);
        lines.any(|line| line.is_bind() && Path::new(&line.at) == at)
    }

    fn doubt_the_default(&self, found: &mut Found) {
        let default = self.all.iter().find(|one| one.id == self.default);
        let Some(default) = default.filter(|_| self.default != TOP_LEVEL) else {
            return;
        };
        let kept = found
            .kept
            .iter()
            .any(|kept| default.path.starts_with(&kept.path));
        let nested = self
            .inside(default)
            .is_some_and(|inside| !inside.as_os_str().is_empty());
        if nested && !kept {
            found.doubts.push(Doubt {
                problem: format!(
                    "{} is the default subvolume: what mounts the file system without a name \
                     mounts that, and it lies inside the old system",
                    default.path.display()
                ),
                remedy: format!("run `btrfs subvolume set-default 5 {}`", self.disk.place),
            });
        }
    }
}

/// snapper's subvolume; it wants to find it in the system.
const SNAPPER: &str = ".snapshots";

/// Who keeps a subvolume of this name at the top level.
fn tool_of(name: &str) -> Option<&'static str> {
    let aside = name.rsplit_once(".rolled-back-");
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        SNAPPER => Some("snapper"),
        "timeshift-btrfs" => Some("Timeshift"),
        _ if name.starts_with("@apt-snapshot-") => Some("apt-btrfs-snapshot"),
        _ if aside.is_some_and(|(_, end)| number(end)) => Some("an earlier rootshift rollback"),
        _ => None,
    }
}

fn uuid_of(top: &Root, path: &Path) -> Result<String, Error> {
    Ok(block::uuid_text(btrfs::subvolume_info(top, path)?.uuid))
}

fn no_text(path: &Path) -> Doubt {
    Doubt {
        problem: format!("the name of the subvolume {path:?} is no UTF-8"),
        remedy: "rename it with `mv`".into(),
    }
}

/// Whether a line does not mount by itself.
fn waits(named: &Named) -> bool {
    let has = |wanted: &str| named.line.options.iter().any(|option| option == wanted);
    has("noauto") && !has("x-systemd.automount")
}

fn seen_without(named: &Named, path: &str) -> Doubt {
    Doubt {
        problem: format!(
            "{} mounts the subvolume {path} at {} only when it is asked to (noauto), and the old \
             system sees it there all the same",
            named.by, named.line.at
        ),
        remedy: "take noauto out of that line".into(),
    }
}

/// Places of the layout that lie in what stays: they can't be split off.
#[must_use]
pub fn clashes(kept: &[KeptSubvolume], layout: &Layout, old_root: &str) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for filesystem in &layout.filesystems {
        for one in kept
            .iter()
            .filter(|one| one.filesystem == filesystem.mounted_at)
        {
            let clash = clash(one, filesystem);
            doubts.extend(clash.map(|problem| Doubt {
                problem,
                remedy: fitting_batch(old_root),
            }));
        }
    }
    doubts
}

fn clash(kept: &KeptSubvolume, layout: &FilesystemLayout) -> Option<String> {
    let places: Vec<&String> = kept.mounted_at.iter().chain(&kept.also_at).collect();
    let lies_in = |place: &str| places.iter().any(|at| Path::new(place).starts_with(at));
    let mut split_off = layout.split_off();
    let taken = split_off.find(|one| lies_in(&one.mount_point))?;
    Some(format!(
        "the layout splits off {}, which is the subvolume {} already ({})",
        taken.mount_point,
        kept.path,
        kept.named_by.join("; ")
    ))
}
