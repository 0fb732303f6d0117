//! `nested-subvolumes`: what is nested in the old system can be carried over by a snapshot of its
//! own. A read-only one would lose its mark, and with it `btrfs send`.

use super::{CheckContext, Error, Outcome};
use crate::documents::plan::HOME;
use crate::sys::btrfs;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        for nested in btrfs::list_subvolumes(view.top)? {
            let Ok(inside) = nested.path.strip_prefix(view.old_root) else {
                continue;
            };
            let ours = nested.path.starts_with(HOME);
            if ours || !btrfs::subvolume_info(view.top, &nested.path)?.read_only {
                continue;
            }
            let path = view.shown(inside);
            let path = path.display();
            return Ok(Outcome::fail(
                format!("{path} is a read-only snapshot"),
                format!(
                    "not supported yet: send it elsewhere, or delete it with `btrfs subvolume \
                     delete {path}`"
                ),
            ));
        }
    }
    Ok(Outcome::Pass)
}
