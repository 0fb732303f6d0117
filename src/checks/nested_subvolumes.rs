//! `nested-subvolumes`: what is nested in the old system can be carried over by a snapshot of its
//! own. A read-only one would lose its mark, and with it `btrfs send`.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::documents::plan::HOME;
use crate::sys::btrfs;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let top = context.top()?;
    for nested in btrfs::list_subvolumes(top)? {
        let Ok(inside) = nested.path.strip_prefix(context.old_root) else {
            continue;
        };
        if nested.path.starts_with(HOME) || !btrfs::subvolume_info(top, &nested.path)?.read_only {
            continue;
        }
        let path = Path::new("/").join(inside);
        return Ok(Outcome::fail(
            format!("{} is a read-only snapshot", path.display()),
            format!(
                "not supported yet: send it elsewhere, or delete it with `btrfs subvolume delete {}`",
                path.display()
            ),
        ));
    }
    Ok(Outcome::Pass)
}
