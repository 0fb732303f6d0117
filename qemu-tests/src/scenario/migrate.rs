//! The boots that migrate.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Armed, Context};
use crate::expectations::{RESTARTING, step_line};
use crate::machine::{Disk, End, Kill, Machine, Outcome};
use crate::power_cut::{PowerCut, cut};

/// Boots an armed disk until it restarts into the new system.
pub fn migrate(context: &Context, name: &str, disk: &Disk, processors: u32) -> Result<Outcome> {
    let mut machine = context.machine(name, disk);
    machine.processors = processors;
    migrate_on(context, &machine)
}

/// The same on a machine that is not the usual one.
pub fn migrate_on(context: &Context, machine: &Machine) -> Result<Outcome> {
    let outcome = context.power_on(machine)?;
    outcome
        .expect(&End::Reset)
        .context("the migration and its restart")?;
    outcome
        .line(RESTARTING)
        .with_context(|| format!("{}: the console never said \"{RESTARTING}\"", machine.name))?;
    Ok(outcome)
}

/// Boots an armed machine, cuts the power when the step of this number (from 1) begins, and makes
/// `after`: its disk with only what was flushed.
pub fn cut_at_step(
    context: &Context,
    name: &str,
    armed: &Armed,
    step: usize,
    after: &Path,
) -> Result<PowerCut> {
    let line = step_line(step, armed.steps);
    let kill = Kill {
        line,
        delay: Duration::from_millis(5),
    };
    let machine = context.machine(name, &Disk::Raw(armed.disk.clone()));
    cut(
        machine,
        &armed.disk,
        kill,
        after,
        &context.workspace,
        &context.tools.qemu,
    )
}
