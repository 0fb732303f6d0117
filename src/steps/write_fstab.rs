//! `write-fstab`: the new system's /etc/fstab names the layout; all other lines stay as they are.

use super::StepContext;
use super::rewrite::Step;
use crate::bootcfg;
use crate::bootcfg::fstab::{Fstab, SubvolumeMount, to_subvolumes};
use crate::documents::Plan;
use crate::documents::action::InSubvolume;
use crate::documents::layout::{FilesystemLayout, SubvolumeLayout};
use crate::documents::plan::PlannedFilesystem;

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
        let mut mounts: Vec<SubvolumeMount> =
            main.chain(layout.split_off()).map(mount_of).collect();
        mounts.extend(seen_in_the_tree(context.plan, layout));
        let old = Fstab::parse(&text);
        text = to_subvolumes(&old, &identity.uuid, &identity.aliases, &mounts)?;
    }
    Ok(Some(text))
}

/// What the old system saw in its own tree, and what is no part of the new one's.
fn seen_in_the_tree<'a>(
    plan: &'a Plan,
    layout: &'a FilesystemLayout,
) -> impl Iterator<Item = SubvolumeMount<'a>> {
    let kept = plan.kept_on(&layout.mounted_at);
    kept.filter_map(|kept| {
        Some(SubvolumeMount {
            mount_point: kept.also_at.as_deref()?,
            subvolume: &kept.path,
            options: &[],
        })
    })
}

fn mount_of(subvolume: &SubvolumeLayout) -> SubvolumeMount<'_> {
    SubvolumeMount {
        mount_point: &subvolume.mount_point,
        subvolume: &subvolume.name,
        options: &subvolume.options,
    }
}
