//! What a machine does in each phase, and the disk that it begins with.

use std::path::Path;

use anyhow::{Context as _, Result};
use rootshift::engine::Stage;
use rootshift::engine::home::Migration;
use rootshift::engine::survey::boot_images;
use rootshift::journal::Record;

use super::store::{Counts, Faulty, Switch};
use crate::sweep::Phase;
use crate::sweep::disk::Disk;
use crate::sweep::host::Host;
use crate::sweep::life::{Life, Origin, finalized, validated};
use crate::sweep::shown::Shown;
use crate::sweep::tape::{Instant, Left};

/// The phases in which something goes wrong.
pub const PHASES: [Phase; 8] = [
    Phase::Arm,
    Phase::Migrate,
    Phase::Trial,
    Phase::Validate,
    Phase::RollBack,
    Phase::GiveUpNew,
    Phase::GiveUpOld,
    Phase::Finalize,
];

/// Whether a pass through the initramfs is what the phase is about.
pub fn is_boot(phase: Phase) -> bool {
    !matches!(phase, Phase::Arm | Phase::Validate | Phase::Finalize)
}

/// The disk of a phase after so many flushes.
pub fn disk(life: &Life, phase: Phase, flush: usize) -> Result<Disk> {
    let left = Left::Nothing;
    let instant = Instant { flush, left };
    life.tape(phase)?.disk_at(instant, 0, phase.name())
}

/// Puts this disk into a machine, with all that comes before what the phase is about.
pub fn begin(host: &Host, phase: Phase, disk: &Disk) -> Result<()> {
    host.insert(disk)?;
    let stage = host.state()?.map(|state| state.stage);
    if phase == Phase::RollBack && stage.is_some_and(Stage::is_validated) {
        let reason = "the faults".into();
        host.record(vec![Record::RollbackRequested { reason }])?;
    }
    Ok(())
}

/// Does what the phase is about. Whether the machine restarts.
///
/// # Errors
/// What a command of the running system says. A pass through the initramfs never fails.
pub fn act(phase: Phase, host: &Host, origin: &Origin, deadlines: Option<&str>) -> Result<bool> {
    match phase {
        Phase::Arm => arm(host, origin).map(|()| false),
        Phase::Validate => host.record(vec![validated()]).map(|()| false),
        Phase::Finalize => finalized(host).map(|()| false),
        _ => host.boot_within(&origin.plans, deadlines),
    }
}

/// As `rootshift arm`, but for the images.
fn arm(host: &Host, origin: &Origin) -> Result<()> {
    host.mounted(|top| {
        let mut migration = Migration::begin(top, &origin.plan, "faults")?;
        let old = top.within(Path::new(host.setting().kind.root()))?;
        let images = boot_images(&old)?;
        top.sync_filesystem()?;
        migration.record(Record::Armed { images })?;
        Ok(())
    })
}

/// How many operations of a device a phase takes when nothing goes wrong.
pub fn count(life: &Life, phase: Phase, shown: &Shown<Faulty>, switch: &Switch) -> Result<Counts> {
    switch.arm(None);
    act(phase, &shown.host, life.origin(phase), None)
        .with_context(|| format!("{phase} without a fault"))?;
    Ok(switch.counts())
}
