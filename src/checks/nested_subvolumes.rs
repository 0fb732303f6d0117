//! `nested-subvolumes`: what is nested in the old system can be carried over by a snapshot of its
//! own. Anybody may make a subvolume in a directory of his.

use std::path::Path;

use super::{CheckContext, Error, Outcome, View};
use crate::documents::plan::HOME;
use crate::sys::btrfs::{self, Subvolume, TOO_DEEP};

/// What a path may have, so that it can still be named below the place where it is prepared.
const LONGEST: usize = 3500;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        let all = btrfs::list_subvolumes(view.top)?;
        for nested in &all {
            if let Some(problem) = look_at(&view, &all, nested)? {
                return Ok(problem);
            }
        }
    }
    Ok(Outcome::Pass)
}

fn look_at(view: &View, all: &[Subvolume], nested: &Subvolume) -> Result<Option<Outcome>, Error> {
    let Ok(inside) = nested.path.strip_prefix(view.old_root) else {
        return Ok(None);
    };
    if nested.path.starts_with(HOME) || inside.as_os_str().is_empty() {
        return Ok(None);
    }
    let path = view.shown(inside);
    let deep = nested.path.iter().any(|part| part == TOO_DEEP);
    if deep || nested.path.as_os_str().len() > LONGEST {
        return Ok(Some(Outcome::fail(
            format!("the subvolume {} lies too deep", path.display()),
            "move it up (`mv`), into a directory with a shorter path",
        )));
    }
    if path.to_str().is_none() {
        return Ok(Some(Outcome::fail(
            format!("the name of the subvolume {path:?} is no UTF-8"),
            "rename it, or the directory that it is in (`mv`)",
        )));
    }
    let above = all.iter().find(|above| above.id == nested.parent_id);
    match above {
        Some(above) if is_read_only(view, &above.path)? => Ok(Some(Outcome::fail(
            format!(
                "{} lies in the read-only subvolume {}",
                path.display(),
                above.path.display()
            ),
            "not supported yet; nothing was changed",
        ))),
        Some(_) | None => Ok(None),
    }
}

fn is_read_only(view: &View, path: &Path) -> Result<bool, Error> {
    Ok(btrfs::subvolume_info(view.top, path)?.read_only)
}
