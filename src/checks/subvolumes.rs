//! `subvolumes-in-place`: the layout's subvolumes stand at the top level and can be written to.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::sys::btrfs;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        for subvolume in &view.layout.subvolumes {
            let path = Path::new(&subvolume.name);
            let problem = if !btrfs::is_subvolume(view.top, path)? {
                "does not exist"
            } else if btrfs::subvolume_info(view.top, path)?.read_only {
                "is read-only"
            } else {
                continue;
            };
            let place = &view.layout.mounted_at;
            return Ok(Outcome::fail(
                format!("the subvolume {} {problem}", subvolume.name),
                format!("look at `btrfs subvolume list {place}` and `rootshift log`"),
            ));
        }
    }
    Ok(Outcome::Pass)
}
