//! `write-grub-config`: the new system's grub.cfg loads its kernels from the root subvolume and
//! tells them to mount it. The next update-grub makes the same by its own means.

use super::StepContext;
use super::rewrite::Step;
use crate::bootcfg;
use crate::bootcfg::grub_config::{RootIdentity, to_subvolume};
use crate::documents::action::InSubvolume;

pub(super) fn step(parameters: &InSubvolume) -> Step<'_> {
    let subvolume = &parameters.subvolume;
    Step {
        subvolume,
        file: "boot/grub/grub.cfg",
        optional: false,
        rewrite,
    }
}

fn rewrite(context: &StepContext, old: &str) -> Result<Option<String>, bootcfg::Error> {
    let identity = &context.plan.filesystem;
    let root = RootIdentity {
        uuid: &identity.uuid,
        aliases: &identity.aliases,
    };
    to_subvolume(old, &root, context.plan.root_subvolume()).map(|rewritten| Some(rewritten.text))
}
