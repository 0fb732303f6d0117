//! A power cut, as hard as an honest disk allows: the machine is killed, and its disk rebuilt
//! with only what the guest had flushed. All that lay in the disk's volatile cache is lost.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::image;
use crate::machine::{End, Kill, Machine, Outcome, fork};
use crate::setup::Qemu;
use crate::workspace::Workspace;
use crate::write_log::WriteLog;

/// What a cut left.
#[derive(Debug, Clone)]
pub struct PowerCut {
    /// The run up to the cut.
    pub outcome: Outcome,
    /// Writes that reached the disk for good.
    pub kept: usize,
    /// Writes that were acknowledged but never flushed: lost.
    pub lost: usize,
}

/// Runs `machine` on a fork of the raw disk `before`, cuts the power as `kill` says, and makes
/// the raw disk `after` as the cut leaves it. `before` stays as it is.
pub fn cut(
    mut machine: Machine,
    before: &Path,
    kill: Kill,
    after: &Path,
    workspace: &Workspace,
    qemu: &Qemu,
) -> Result<PowerCut> {
    let home = workspace.machine(&machine.name)?;
    let log_path = home.join("writes.log");
    let overlay = home.join("cut.qcow2");
    let said = kill.line.clone();
    machine.disk = Some(fork(qemu, before, &overlay)?);
    machine.write_log = Some(log_path.clone());
    machine.kill = Some(kill);
    let outcome = machine.run(workspace, qemu)?;
    outcome
        .expect(&End::Killed)
        .with_context(|| format!("cut the power at \"{said}\""))?;
    ensure!(
        outcome.line(&said).is_some(),
        "the console never said \"{said}\""
    );
    let log = WriteLog::open(&log_path)?;
    let durable = log.durable(log.entries().len());
    image::copy(before, after)?;
    log.apply(&durable, after)?;
    _ = std::fs::remove_file(&overlay);
    let all = log
        .entries()
        .iter()
        .filter(|entry| entry.is_write())
        .count();
    let kept = durable.iter().filter(|entry| entry.is_write()).count();
    Ok(PowerCut {
        outcome,
        kept,
        lost: all - kept,
    })
}
