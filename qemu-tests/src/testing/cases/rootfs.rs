//! A root in the subvolume `@rootfs`, as Debian's installer makes it, under a real GRUB whose
//! core.img names it.

use anyhow::{Context as _, Result, ensure};

use crate::image::{self, Place, Recipe};
use crate::machine::Disk;
use crate::scenario::{
    arm_copy_of, cut_at_step, migrate, prove, prove_rolled_back, request_rollback,
};
use crate::testing::Bench;

/// Cut in the middle, resumed, booted through the symlink, every file proved, and rolled back.
pub(super) fn there_and_back(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let recipe = Recipe {
        root: Place::Rootfs,
        ..Recipe::USUAL
    };
    let image = image::debian(&context.workspace, &context.tools, recipe)?;
    let armed = arm_copy_of(context, &image, "test-rootfs-armed").context("arm it")?;
    let before = armed.root_line()?;
    ensure!(before == "/ /@rootfs", "the image's root is: {before}");
    let disk = context.place("test-rootfs", "disk.raw")?;
    let step = armed.steps.div_ceil(2);
    cut_at_step(context, "test-rootfs-cut", &armed, step, &disk)?;
    let disk = Disk::Raw(disk);
    migrate(context, "test-rootfs", &disk, 1)?;
    prove(context, "test-rootfs-proof", &disk, &armed)?;
    request_rollback(context, "test-rootfs-asked", &disk)?;
    prove_rolled_back(context, "test-rootfs-back", &disk, &armed)?;
    Ok(())
}
