//! `fstab-names-layout`: the new system's fstab mounts each subvolume of the layout.

use std::path::Path;

use super::{CheckContext, Error, Outcome};
use crate::bootcfg::fstab::{Entry, Fstab};
use crate::documents::plan::FilesystemIdentity;

pub(super) fn look(context: &CheckContext) -> Result<Outcome, Error> {
    let path = Path::new(context.main()).join("etc/fstab");
    Ok(names_layout(context, &context.top()?.read_text(&path)?))
}

/// Whether this text, as the new system's fstab, mounts each subvolume of the layout.
#[must_use]
pub fn names_layout(context: &CheckContext, text: &str) -> Outcome {
    let fstab = Fstab::parse(text);
    let layouts = context.layout.filesystems.iter();
    let all = layouts.flat_map(|layout| layout.subvolumes.iter().map(move |one| (layout, one)));
    for (layout, subvolume) in all {
        let identity = context.identity_of(layout);
        let wrong = match fstab.entry_for(&subvolume.mount_point) {
            None => Some("there is no line for it".to_owned()),
            Some(entry) => wrong_entry(identity, entry, &subvolume.name),
        };
        if let Some(wrong) = wrong {
            return Outcome::fail(
                format!(
                    "/etc/fstab of the new system: {}: {wrong}",
                    subvolume.mount_point
                ),
                format!("the line needs the option subvol={}", subvolume.name),
            );
        }
    }
    Outcome::Pass
}

fn wrong_entry(
    identity: Option<&FilesystemIdentity>,
    entry: &Entry,
    subvolume: &str,
) -> Option<String> {
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
    let identity = identity?; // of one that is missing it is not known
    let ours = format!("UUID={}", identity.uuid);
    let known =
        entry.source.eq_ignore_ascii_case(&ours) || identity.aliases.contains(&entry.source);
    (!known).then(|| format!("{} is another file system", entry.source))
}
