//! `root-flags`: kernel command line and grub.cfg agree with the layout, so that the next boot
//! does what this one did.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::boot_entries;
use crate::bootchain::{chosen_subvolume, entry_of_ours};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let text = context.system.read_text(Path::new("boot/grub/grub.cfg"))?;
    let entries = boot_entries(&text);
    let new = context.new_system()?;
    let Some(entry) = entry_of_ours(&new, &text, &entries) else {
        return Ok(Outcome::fail(
            "/boot/grub/grub.cfg has no menu entry for this file system",
            "run `update-grub`",
        ));
    };
    let wanted = context.main();
    let found = entry.arguments.value("rootflags").unwrap_or_default();
    if chosen_subvolume(found) == Some(wanted) {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("/boot/grub/grub.cfg boots with rootflags={found}, not subvol={wanted}"),
        "take rootflags= out of /etc/default/grub and run `update-grub`",
    ))
}
