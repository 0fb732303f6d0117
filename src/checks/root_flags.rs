//! `root-flags`: kernel command line and grub.cfg agree with the layout, so that the next boot
//! does what this one did.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::grub_config::{boot_entries, default_entry};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let text = context.system.read_text(Path::new("boot/grub/grub.cfg"))?;
    let entries = boot_entries(&text);
    let Some(entry) = default_entry(&text, &entries) else {
        return Ok(Outcome::fail(
            "/boot/grub/grub.cfg has no menu entry",
            "run `update-grub`",
        ));
    };
    let wanted = format!("subvol={}", context.main());
    let found = entry.arguments.value("rootflags").unwrap_or_default();
    if found
        .split(',')
        .any(|flag| flag.replace("=/", "=") == wanted)
    {
        return Ok(Outcome::Pass);
    }
    Ok(Outcome::fail(
        format!("/boot/grub/grub.cfg boots with rootflags={found}, not {wanted}"),
        "take rootflags= out of /etc/default/grub and run `update-grub`",
    ))
}
