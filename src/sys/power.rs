//! The end of the machine.

use nix::sys::reboot::RebootMode;

use super::{Error, Result};

/// Writes everything out and restarts the machine, without asking any service (reboot(2)).
///
/// Returns only when the kernel refuses.
pub fn reboot() -> Result<()> {
    rustix::fs::sync();
    reboot_at_once()
}

/// Restarts the machine and writes nothing out: a power cut, for where a disk does not answer.
///
/// Returns only when the kernel refuses.
pub fn reboot_at_once() -> Result<()> {
    match nix::sys::reboot::reboot(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(cause) => Err(Error::process("restart the machine", cause)),
    }
}
