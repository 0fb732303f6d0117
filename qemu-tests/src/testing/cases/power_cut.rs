//! Cuts of the power, each with the loss of everything that was not flushed.

use anyhow::{Result, ensure};

use crate::expectations::attempts;
use crate::machine::Disk;
use crate::scenario::{cut_at_step, migrate, prove};
use crate::testing::Bench;

/// Half of the steps are begun when the power goes; the next boot takes up the rest.
pub(super) fn in_the_middle(bench: &Bench) -> Result<()> {
    let context = &bench.context;
    let disk = context.place("test-middle", "disk.raw")?;
    let step = bench.armed()?.steps.div_ceil(2);
    cut_at_step(
        context,
        "test-middle-cut",
        bench.armed()?.as_ref(),
        step,
        &disk,
    )?;
    let disk = Disk::Raw(disk);
    migrate(context, "test-middle", &disk, 1)?;
    let proof = prove(context, "test-middle-proof", &disk, bench.armed()?.as_ref())?;
    ensure!(
        attempts(&proof.log_json)? > 1,
        "the journal knows of no second attempt"
    );
    Ok(())
}
