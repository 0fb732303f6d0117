//! `write-fstab`: the new system's /etc/fstab names the layout; all other lines stay as they are.

use super::StepContext;
use super::rewrite::Step;
use crate::bootcfg;
use crate::bootcfg::fstab::{Fstab, SubvolumeMount, to_subvolumes};
use crate::documents::layout::SubvolumeLayout;
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
    let identity = &context.plan.filesystem;
    let Some(layout) = context.plan.layout.root() else {
        return Ok(None);
    };
    let mounts: Vec<SubvolumeMount<'_>> = layout
        .main()
        .into_iter()
        .chain(layout.split_off())
        .map(mount_of)
        .collect();
    to_subvolumes(
        &Fstab::parse(old),
        &identity.uuid,
        &identity.aliases,
        &mounts,
    )
    .map(Some)
}

fn mount_of(subvolume: &SubvolumeLayout) -> SubvolumeMount<'_> {
    SubvolumeMount {
        mount_point: &subvolume.mount_point,
        subvolume: &subvolume.name,
        options: &subvolume.options,
    }
}
