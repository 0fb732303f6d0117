//! Nothing is left behind: asked of the disk just before the commit, whatever the plan says and
//! whichever step was allowed to fail. What is not in the new system is deleted by `finalize`.

use std::path::Path;

use super::Error;
use super::others::top_at;
use crate::checks::MountedFilesystem;
use crate::documents::Plan;
use crate::documents::carry::place_of_nested;
use crate::sys::{Root, btrfs};

/// To be called once every subvolume has its name.
///
/// # Errors
/// The first thing that is left behind.
pub(super) fn prove(top: &Root, plan: &Plan, others: &[MountedFilesystem]) -> Result<(), Error> {
    for filesystem in plan.filesystems() {
        let (layout, old) = (filesystem.layout, filesystem.old_system);
        let Some(top) = top_at(top, others, &layout.mounted_at) else {
            continue;
        };
        for one in &layout.subvolumes {
            prove_one(top, "the old system", &old.path(""), Path::new(&one.name))?;
        }
        for nested in &old.nested {
            let (holder, inside) = place_of_nested(nested, layout);
            let copy = Path::new(&holder).join(inside);
            prove_one(top, nested, &old.path(nested), &copy)?;
        }
    }
    Ok(())
}

/// Whether there is a snapshot of that, as far as that has a UUID: the top level of a file system
/// that an old mkfs.btrfs made has none.
fn prove_one(top: &Root, shown: &str, original: &Path, copy: &Path) -> Result<(), Error> {
    if !btrfs::is_subvolume(top, original)? {
        return Ok(()); // nothing that could be lost
    }
    let uuid = btrfs::subvolume_info(top, original)?.uuid;
    if btrfs::is_subvolume(top, copy)?
        && (uuid == [0; 16] || btrfs::subvolume_info(top, copy)?.parent_uuid == uuid)
    {
        return Ok(());
    }
    let problem = format!("{shown} was not carried over to {}", copy.display());
    Err(Error::Checks {
        problems: vec![problem],
    })
}
