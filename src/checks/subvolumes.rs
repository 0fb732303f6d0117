//! `subvolumes-in-place`: the layout's subvolumes stand at the top level and can be written to.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::sys::btrfs;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let top = context.top()?;
    let Some(layout) = context.layout.root() else {
        return Ok(Outcome::Pass);
    };
    for subvolume in &layout.subvolumes {
        let path = Path::new(&subvolume.name);
        let problem = if !btrfs::is_subvolume(top, path)? {
            "does not exist"
        } else if btrfs::subvolume_info(top, path)?.read_only {
            "is read-only"
        } else {
            continue;
        };
        return Ok(Outcome::fail(
            format!("the subvolume {} {problem}", subvolume.name),
            "look at `btrfs subvolume list /` and `rootshift log`",
        ));
    }
    Ok(Outcome::Pass)
}
