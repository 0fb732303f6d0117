//! The end of the machine, or of this process.

use nix::sys::reboot::RebootMode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Error, Result};

/// Writes everything out and restarts the machine, without asking any service (reboot(2)).
///
/// Returns only when the kernel refuses.
pub fn reboot() -> Result<()> {
    rustix::fs::sync();
    match nix::sys::reboot::reboot(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(cause) => Err(Error::process("restart the machine", cause)),
    }
}

/// Ends this process as a power cut would: nothing is flushed, nothing cleaned up.
pub fn kill_self() -> ! {
    // SIGKILL cannot be refused by a process to itself; abort is there for the type.
    kill(Pid::this(), Signal::SIGKILL).ok();
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn kill_self_ends_by_sigkill() {
        const CHILD: &str = "ROOTSHIFT_TEST_KILL_SELF";
        if std::env::var_os(CHILD).is_some() {
            kill_self();
        }
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args(["--exact", "sys::power::tests::kill_self_ends_by_sigkill"])
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}
