//! Time, and which boot this is.

use std::path::Path;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::Root;

/// Milliseconds since the machine was started, time asleep included. Never goes back.
#[must_use]
pub fn monotonic_milliseconds() -> u64 {
    let now = read(ClockId::CLOCK_BOOTTIME);
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
    seconds
        .saturating_mul(1000)
        .saturating_add(nanoseconds / 1_000_000)
}

/// Does nothing for this long.
pub fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Seconds since 1970 by the machine's clock, which is wrong in many an initramfs (no RTC).
#[must_use]
pub fn unix_seconds() -> i64 {
    read(ClockId::CLOCK_REALTIME).tv_sec()
}

/// A clock of the kernel's; all that are asked for exist since Linux 2.6.39. (The C library's call,
/// which std brings in anyway. rustix has its own reader of the vDSO: 4 KiB.)
pub(super) fn read(clock: ClockId) -> TimeSpec {
    clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0))
}

/// The kernel's random name for this boot, from /proc inside `root`; `None` without /proc.
#[must_use]
pub fn boot_id(root: &Root) -> Option<String> {
    let text = root
        .read_text(Path::new("/proc/sys/kernel/random/boot_id"))
        .ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_runs_and_never_goes_back() {
        let before = monotonic_milliseconds();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let after = monotonic_milliseconds();
        assert!(before > 0 && after >= before + 5, "{before} then {after}");
    }

    #[test]
    fn the_boot_id_comes_from_the_given_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(boot_id(&root), None);
        let directory = Path::new("proc/sys/kernel/random");
        root.create_directories(directory, 0o755).unwrap();
        root.write_new_file(&directory.join("boot_id"), b"abc-1\n", 0o444)
            .unwrap();
        assert_eq!(boot_id(&root).as_deref(), Some("abc-1"));
    }
}
