//! `fstab-names-layout`: the new system's fstab mounts each subvolume of the layout.

use std::path::Path;

use super::{CheckContext, Error, Outcome, View};
use crate::bootcfg::fstab::{Entry, Fstab};

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let path = Path::new(context.main()).join("etc/fstab");
    let fstab = Fstab::parse(&context.top()?.read_text(&path)?);
    let views = context.views()?;
    let all = views.iter().flat_map(|view| {
        let subvolumes = view.layout.subvolumes.iter();
        subvolumes.map(move |subvolume| (view, subvolume))
    });
    for (view, subvolume) in all {
        let wrong = match fstab.entry_for(&subvolume.mount_point) {
            None => Some("there is no line for it".to_owned()),
            Some(entry) => wrong_entry(view, entry, &subvolume.name),
        };
        if let Some(wrong) = wrong {
            return Ok(Outcome::fail(
                format!(
                    "/etc/fstab of the new system: {}: {wrong}",
                    subvolume.mount_point
                ),
                format!("the line needs the option subvol={}", subvolume.name),
            ));
        }
    }
    Ok(Outcome::Pass)
}

fn wrong_entry(view: &View, entry: &Entry, subvolume: &str) -> Option<String> {
    let names = [
        format!("subvol={subvolume}"),
        format!("subvol=/{subvolume}"),
    ];
    if entry.fstype != "btrfs" {
        return Some(format!("its type is {}", entry.fstype));
    }
    if !entry.options.iter().any(|option| names.contains(option)) {
        return Some(format!("its options are {}", entry.options.join(",")));
    }
    let identity = view.identity?;
    let ours = format!("UUID={}", identity.uuid);
    let known =
        entry.source.eq_ignore_ascii_case(&ours) || identity.aliases.contains(&entry.source);
    (!known).then(|| format!("{} is another file system", entry.source))
}
