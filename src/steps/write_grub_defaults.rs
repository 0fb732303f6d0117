//! `write-grub-defaults`: a `rootflags=` of the user's in /etc/default/grub would override the one
//! that update-grub writes (facts boot.md D9), so it gets the subvolume as well.

use super::StepContext;
use super::rewrite::Step;
use crate::bootcfg;
use crate::bootcfg::grub_defaults::set_subvolume;
use crate::documents::action::InSubvolume;

pub(super) fn step(parameters: &InSubvolume) -> Step<'_> {
    let subvolume = &parameters.subvolume;
    Step {
        subvolume,
        file: "etc/default/grub",
        optional: true,
        rewrite,
    }
}

fn rewrite(context: &StepContext, old: &str) -> Result<Option<String>, bootcfg::Error> {
    set_subvolume(old, context.plan.root_subvolume())
}
