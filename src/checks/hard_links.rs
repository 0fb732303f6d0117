//! `no-straddling-links`: no hard link leads out of a directory that becomes a subvolume, because
//! a hard link can't cross subvolumes.

use std::path::PathBuf;

use super::{CheckContext, Error, Outcome};
use crate::tree::walk::straddling_hard_links;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    for view in context.views()? {
        let split_off = view.layout.split_off();
        let directories: Vec<PathBuf> = split_off
            .map(|subvolume| PathBuf::from(view.layout.inside(&subvolume.mount_point)))
            .collect();
        let straddling = straddling_hard_links(&view.old()?, &directories)?;
        let Some(first) = straddling.first() else {
            continue;
        };
        return Ok(Outcome::fail(
            format!(
                "{} files have hard links inside and outside of a future subvolume, as {}",
                straddling.len(),
                view.shown(first).display()
            ),
            "keep the two in one subvolume (take that one out of the batch's layout); or, while \
             nobody writes to FILE, make two files of them: `test ! -e FILE.new && cp -a FILE \
             FILE.new && mv -T FILE.new FILE`",
        ));
    }
    Ok(Outcome::Pass)
}
