//! Flat btrfs to subvolumes, without a cut.

use anyhow::Result;

use super::Bench;
use crate::scenario::{migrate, prove, prove_rolled_back, request_rollback};

/// Armed, migrated, booted, validated, and every file compared in the guest.
pub(super) fn uncut(bench: &Bench) -> Result<()> {
    let disk = bench.armed.fork(&bench.context, "test-uncut")?;
    migrate(&bench.context, "test-uncut", &disk, 1)?;
    prove(&bench.context, "test-uncut-proof", &disk, &bench.armed)?;
    Ok(())
}

/// Asked for in the new system, carried out before root, proved in the old one.
pub(super) fn rolled_back(bench: &Bench) -> Result<()> {
    let disk = bench.armed.fork(&bench.context, "test-rollback")?;
    migrate(&bench.context, "test-rollback", &disk, 1)?;
    request_rollback(&bench.context, "test-rollback-asked", &disk, 1)?;
    prove_rolled_back(&bench.context, "test-rolled-back", &disk, &bench.armed)?;
    Ok(())
}
