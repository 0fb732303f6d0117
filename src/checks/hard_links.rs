//! `no-straddling-links`: no hard link leads out of a directory that becomes a subvolume, because
//! a hard link can't cross subvolumes.

use std::path::PathBuf;

use super::{CheckContext, Error, Outcome};
use crate::tree::walk::straddling_hard_links;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let old = context.old()?;
    let Some(layout) = context.layout.root() else {
        return Ok(Outcome::Pass);
    };
    let directories: Vec<PathBuf> = layout
        .split_off()
        .map(|subvolume| PathBuf::from(subvolume.mount_point.trim_start_matches('/')))
        .collect();
    let straddling = straddling_hard_links(&old, &directories)?;
    let Some(first) = straddling.first() else {
        return Ok(Outcome::Pass);
    };
    Ok(Outcome::fail(
        format!(
            "{} files have hard links inside and outside of a future subvolume, as /{}",
            straddling.len(),
            first.display()
        ),
        "break the link (cp -a FILE FILE.new && mv FILE.new FILE), or keep the two in one subvolume",
    ))
}
