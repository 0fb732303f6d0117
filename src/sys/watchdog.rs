//! Hardware watchdogs that somebody armed: they restart a machine that nobody pets.
//!
//! systemd arms one over a reboot, or an earlier script of the initramfs did; work that takes
//! longer than its time must pet it (Documentation/watchdog/watchdog-api.rst). One that is idle is
//! left alone, since opening it would arm it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::{Root, clock};

const CLASS: &str = "/sys/class/watchdog";
/// Of a watchdog that does not say how long it waits, in seconds.
const USUAL_TIMEOUT: u64 = 30;
/// Nobody need look more often than this, in milliseconds.
const LONGEST_PAUSE: u64 = 1_000;
const SHORTEST_PAUSE: u64 = 100;

/// The armed watchdogs of a machine. They stay armed when it is dropped: the kernel disarms one
/// only after a `V` (`watchdog_release` in drivers/watchdog/watchdog_dev.c), and pets it once more.
#[derive(Debug, Default)]
pub struct Watchdogs {
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    device: File,
    /// Milliseconds between two times that it is petted: a third of its timeout.
    interval: u64,
    petted_at: u64,
}

impl Watchdogs {
    /// Opens and pets those that are armed and that nobody else pets. None is no failure.
    #[must_use]
    pub fn armed(system: &Root) -> Self {
        let names = system.list(Path::new(CLASS)).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut found = Self {
            armed: names.filter_map(|name| open(system, &name)).collect(),
        };
        found.pet_all();
        found
    }

    /// Pets those whose time has come.
    pub fn pet(&mut self) {
        self.pet_at(clock::monotonic_milliseconds());
    }

    /// Gives each its full time.
    pub fn pet_all(&mut self) {
        for one in &mut self.armed {
            one.petted_at = 0;
        }
        self.pet();
    }

    fn pet_at(&mut self, now: u64) {
        for one in &mut self.armed {
            if one.petted_at == 0 || now.saturating_sub(one.petted_at) >= one.interval {
                // Any byte but `V`. Who can't be petted restarts the machine: the journal goes on.
                let _ = one.device.write_all(b"1");
                one.petted_at = now;
            }
        }
    }

    /// How long one may do something else than [`Watchdogs::pet`].
    #[must_use]
    pub fn pause(&self) -> Duration {
        let intervals = self.armed.iter().map(|one| one.interval);
        Duration::from_millis(intervals.fold(LONGEST_PAUSE, u64::min))
    }
}

fn open(system: &Root, name: &str) -> Option<Armed> {
    let read = |what: &str| {
        system
            .read_text(&Path::new(CLASS).join(name).join(what))
            .ok()
    };
    if read("state")?.trim() != "active" {
        return None;
    }
    let seconds = read("timeout").and_then(|text| text.trim().parse().ok());
    let seconds: u64 = seconds.unwrap_or(USUAL_TIMEOUT);
    let device = system.shown(&Path::new("dev").join(name));
    // EBUSY: somebody pets it already.
    let device = File::options().write(true).open(device).ok()?;
    Some(Armed {
        device,
        interval: (seconds.saturating_mul(1000) / 3).max(SHORTEST_PAUSE),
        petted_at: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with watchdogs of these names, states and timeouts.
    fn machine(watchdogs: &[(&str, &str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dev")).unwrap();
        for (name, state, timeout) in watchdogs {
            let class = folder.path().join("sys/class/watchdog").join(name);
            std::fs::create_dir_all(&class).unwrap();
            std::fs::write(class.join("state"), format!("{state}\n")).unwrap();
            if !timeout.is_empty() {
                std::fs::write(class.join("timeout"), format!("{timeout}\n")).unwrap();
            }
            std::fs::write(folder.path().join("dev").join(name), "").unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    fn said(folder: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(folder.path().join("dev").join(name)).unwrap()
    }

    #[test]
    fn only_what_is_armed_is_petted_and_never_disarmed() {
        let watchdogs = [
            ("watchdog0", "inactive", "60"),
            ("watchdog1", "active", "60"),
        ];
        let (folder, root) = machine(&watchdogs);
        let mut found = Watchdogs::armed(&root);
        found.pet_all();
        drop(found);
        assert_eq!(said(&folder, "watchdog0"), "", "opening it would arm it");
        assert_eq!(said(&folder, "watchdog1").len(), 2);
        assert!(!said(&folder, "watchdog1").contains('V'));
    }

    #[test]
    fn it_is_petted_every_third_of_its_timeout() {
        let (folder, root) = machine(&[("watchdog0", "active", "60")]);
        let mut found = Watchdogs::armed(&root);
        let start = found.armed[0].petted_at;
        for second in 1..=60 {
            found.pet_at(start + second * 1000);
        }
        assert_eq!(said(&folder, "watchdog0").len(), 1 + 3);
    }

    #[test]
    fn a_short_timeout_shortens_the_pause() {
        let pause = |timeout: &str| {
            let (_folder, root) = machine(&[("watchdog0", "active", timeout)]);
            Watchdogs::armed(&root).pause().as_millis()
        };
        assert_eq!(pause("60"), 1000);
        assert_eq!(pause("1"), 333);
        assert_eq!(pause("0"), 100);
        assert_eq!(pause("18446744073709551615"), 1000);
        assert_eq!(pause(""), 1000);
    }

    #[test]
    fn without_watchdogs_or_devices_nothing_happens() {
        let (folder, root) = machine(&[("watchdog0", "active", "60")]);
        std::fs::remove_file(folder.path().join("dev/watchdog0")).unwrap();
        assert!(Watchdogs::armed(&root).armed.is_empty());
        assert!(!folder.path().join("dev/watchdog0").exists());
        let empty = tempfile::tempdir().unwrap();
        let root = Root::open(empty.path()).unwrap();
        let mut none = Watchdogs::armed(&root);
        none.pet();
        assert_eq!(none.pause().as_millis(), 1000);
    }
}
