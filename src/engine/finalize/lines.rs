//! No line of fstab, mount unit or autofs map may mount what is to be deleted: a boot that can't mount
//! it ends in emergency mode.

use std::path::{Path, PathBuf};

use super::super::Error;
use super::super::mount_lines::Mounting;
use super::doomed::Doomed;
use super::doubts::doubt;
use crate::bootcfg::fstab::names_filesystem;
use crate::bootcfg::mount_line::{Chosen, MountLine};
use crate::documents::Plan;
use crate::sys::btrfs::{self, Subvolume};

/// So many directories that are shown elsewhere may lead to one another.
const DEPTH: u32 = 8;

/// That none does, of the lines that mount the file system of this place.
///
/// # Errors
/// The first that does, with what to do.
pub(super) fn none_is_old(
    mounting: &Mounting,
    plan: &Plan,
    place: &str,
    doomed: &Doomed,
) -> Result<(), Error> {
    let look = Look {
        mounting,
        plan,
        place,
        all: btrfs::list_subvolumes(doomed.top)?,
        default: btrfs::default_subvolume(doomed.top)?,
    };
    // A generator's unit is what fstab was when it was last read.
    let lines = mounting.lines.iter();
    for named in lines.filter(|named| !named.by.contains("/run/systemd/generator")) {
        let line = &named.line;
        if look
            .shown(line, DEPTH)
            .is_some_and(|path| doomed.holds(&path))
        {
            let what = match line.is_bind() {
                true => line.source.clone(),
                false => line.options.join(","),
            };
            return doubt(format!(
                "{} mounts at {} what is of the old system ({what}): change it or take it out",
                named.by, line.at
            ));
        }
    }
    Ok(())
}

struct Look<'a> {
    mounting: &'a Mounting,
    plan: &'a Plan,
    place: &'a str,
    all: Vec<Subvolume>,
    default: u64,
}

impl Look<'_> {
    /// What of the file system a line shows, as seen from the top level.
    fn shown(&self, line: &MountLine, depth: u32) -> Option<PathBuf> {
        if line.is_bind() {
            return self.behind(Path::new(&line.source), depth.checked_sub(1)?);
        }
        let here = |place: &str| place == self.place;
        let mut filesystems = self.plan.filesystems().into_iter();
        let own = filesystems
            .find(|one| here(&one.layout.mounted_at))?
            .identity;
        let is_btrfs = matches!(line.fstype.as_str(), "btrfs" | "auto" | "");
        if !is_btrfs || !names_filesystem(&line.source, &own.uuid, &own.aliases) {
            return None;
        }
        match line.subvolume() {
            Some(Chosen::Path(path)) => Some(path.into()),
            Some(Chosen::Id(id)) => Some(self.of_id(id)),
            None if line.options.iter().any(|one| one.starts_with("subvol")) => {
                Some(PathBuf::new())
            }
            None => Some(self.of_id(self.default)),
        }
    }

    /// The same of what lies at a path, by the deepest of the lines that mount something above it.
    fn behind(&self, path: &Path, depth: u32) -> Option<PathBuf> {
        let lines = self.mounting.lines.iter().map(|named| &named.line);
        let above = lines.filter(|line| path.starts_with(&line.at));
        let line = above.max_by_key(|line| Path::new(&line.at).components().count())?;
        let rest = path.strip_prefix(&line.at).ok()?;
        Some(self.shown(line, depth)?.join(rest))
    }

    fn of_id(&self, id: u64) -> PathBuf {
        let found = self.all.iter().find(|one| one.id == id);
        found.map_or_else(PathBuf::new, |one| one.path.clone())
    }
}
