//! `write-fstab`: the new system's /etc/fstab names the layout; all other lines stay as they are.

use super::StepContext;
use super::rewrite::Step;
use crate::bootcfg;
use crate::bootcfg::fstab::{Fstab, SubvolumeMount, to_subvolumes};
use crate::documents::layout::SubvolumeLayout;
use crate::documents::plan::PlannedFilesystem;
use crate::documents::step::InSubvolume;

pub(super) fn step(parameters: &InSubvolume) -> Step<'_> {
    let subvolume = &parameters.subvolume;
    Step {
        subvolume,
        file: "etc/fstab",
        optional: false,
        rewrite,
    }
}

fn rewrite(context: &StepContext, old: &str) -> Result<Option<String>, bootcfg::Error> {
    let mut text = old.to_owned();
    for PlannedFilesystem {
        layout, identity, ..
    } in context.plan.filesystems()
    {
        let main = layout.main().into_iter();
        let mounts: Vec<SubvolumeMount> = main.chain(layout.split_off()).map(mount_of).collect();
        let old = Fstab::parse(&text);
        text = to_subvolumes(&old, &identity.uuid, &identity.aliases, &mounts)?;
    }
    Ok(Some(text))
}

fn mount_of(subvolume: &SubvolumeLayout) -> SubvolumeMount<'_> {
    SubvolumeMount {
        mount_point: &subvolume.mount_point,
        subvolume: &subvolume.name,
        options: &subvolume.options,
    }
}
