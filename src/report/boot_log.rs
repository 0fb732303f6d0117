//! What a boot says, kept for later: in /run while it goes on, on the disk once the acts that
//! matter are done. Bounded, and never a reason for a boot to fail.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::Level;

use crate::documents::plan::HOME;
use crate::sys::{self, Root, clock, sorted};

/// Survives into the running system: /run is moved there (facts boot.md 1.7).
pub const BOOT_LOG: &str = "run/initramfs/rootshift.log";
/// Where the copies of the last boots are, at the top level.
pub const LOGS: &str = ".rootshift/logs";
/// So many boots are kept.
const KEPT: u32 = 5;
/// No log grows beyond about so many bytes.
const LIMIT: usize = 64 << 10;
/// Warnings and errors may go so much further.
const MARGIN: usize = 16 << 10;
/// No copy is made on a disk with less room than this.
const SPARE: u64 = 16 << 20;
/// Begins the first line of a copy.
const HEAD: &str = "# boot ";
const PROBLEM: &str = "rootshift! ";
const REMARK: &str = "rootshift: ";

/// What was said so far.
struct Said {
    text: String,
    file: Option<File>,
    /// The number of the copy on the disk, once there is one.
    number: Option<u32>,
}

static SAID: Mutex<Said> = Mutex::new(Said {
    text: String::new(),
    file: None,
    number: None,
});

fn said() -> MutexGuard<'static, Said> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on lines go to this file too, where it can be opened. What an earlier run in the same
/// boot wrote there stays.
pub fn open(path: &Path) {
    let mut options = File::options();
    said().file = options.create(true).append(true).open(path).ok();
}

/// Takes a line down. Nothing more than warnings and errors once the log is full.
pub fn say(level: Level, line: &str) {
    let mut said = said();
    let is_problem = level <= Level::Warn;
    let limit = if is_problem { LIMIT + MARGIN } else { LIMIT };
    if said.text.len() + line.len() > limit {
        return;
    }
    let mark = if is_problem { PROBLEM } else { REMARK };
    let whole = format!("{mark}{line}\n");
    said.text.push_str(&whole);
    if let Some(file) = &mut said.file {
        // The kernel log has it too; a full /run is not worth a word.
        let _ = file.write_all(whole.as_bytes());
    }
}

/// Lays a copy of what this boot said on the disk whose top level is mounted here, if it said
/// anything, and deletes all but the last few. Call it when all that matters is durable, and again
/// when more was said: it is one copy. Its content is durable when it returns; a disk that can't be
/// written has none.
pub fn keep(mounted_at: &Path, failure: Option<&str>) {
    if let Some(failure) = failure {
        say_only_here(failure);
    }
    if said().text.is_empty() {
        return;
    }
    if let Err(cause) = Root::open(mounted_at).and_then(|top| write_copy(&top)) {
        log::debug!("no copy of this log on the disk: {cause}");
    }
}

/// For the copy: whoever hands a failure to [`keep`] tells it to everybody else.
fn say_only_here(failure: &str) {
    let mut said = said();
    for line in failure.lines() {
        // Writing to a String can't fail.
        let _ = writeln!(said.text, "{PROBLEM}{line}");
    }
}

fn write_copy(top: &Root) -> sys::Result<()> {
    // Not a disk of ours, or not surely ours: nothing is made on it.
    let home = top.status(Path::new(HOME))?;
    if !home.is_some_and(|home| home.is_directory() && home.mode & 0o022 == 0) {
        return Ok(());
    }
    let space = top.free_space()?;
    if space.read_only || space.available_bytes < SPARE {
        return Ok(()); // the last room is for the journal and the way back
    }
    top.create_directories(Path::new(LOGS), 0o700)?;
    let ours = said().number;
    let known = numbers(top)?;
    let number = known.last().map_or(1, |last| last.saturating_add(1));
    let boot = Root::open(Path::new("/"))
        .ok()
        .and_then(|system| clock::boot_id(&system));
    let head = format!(
        "{HEAD}{} {}\n",
        boot.as_deref().unwrap_or("?"),
        clock::unix_seconds()
    );
    let text = head + &said().text;
    if let Some(ours) = ours {
        return top.replace_file(&path_of(ours), text.as_bytes());
    }
    top.write_new_file(&path_of(number), text.as_bytes(), 0o600)?;
    said().number = Some(number);
    for old in known {
        if old.saturating_add(KEPT) <= number {
            top.remove_file(&path_of(old))?;
        }
    }
    Ok(())
}

fn path_of(number: u32) -> PathBuf {
    Path::new(LOGS).join(format!("boot-{number}.log"))
}

/// Of the copies there are, in order.
fn numbers(top: &Root) -> sys::Result<Vec<u32>> {
    let names = top.list(Path::new(LOGS))?.into_iter();
    let number = |name: &str| {
        let digits = name.strip_prefix("boot-")?.strip_suffix(".log")?;
        digits.parse().ok()
    };
    Ok(sorted(
        names.filter_map(|name| number(name.to_str()?)).collect(),
    ))
}

/// What one boot said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLog {
    /// The number of its copy on the disk; none when it is only in /run.
    pub number: Option<u32>,
    /// The kernel's random name of that boot; empty when it is not known.
    pub boot: String,
    /// Seconds since 1970 by the clock of the initramfs, which may be wrong; 0 when not known.
    pub at: i64,
    /// What it said, line by line, marks included.
    pub lines: Vec<String>,
}

impl BootLog {
    /// Reads a copy of this number, or the log of a boot that still goes on.
    #[must_use]
    pub fn read(number: Option<u32>, text: &str) -> Self {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let head = lines.first().and_then(|line| line.strip_prefix(HEAD));
        let (boot, at) = match head.and_then(|head| head.split_once(' ')) {
            Some((boot, at)) => (boot.to_owned(), at.parse().unwrap_or(0)),
            None => (String::new(), 0),
        };
        if head.is_some() {
            lines.remove(0);
        }
        Self {
            number,
            boot,
            at,
            lines,
        }
    }

    /// The last warning or error, without its mark.
    #[must_use]
    pub fn last_problem(&self) -> Option<&str> {
        let mut lines = self.lines.iter().rev();
        lines.find_map(|line| line.strip_prefix(PROBLEM))
    }
}

/// The copies on the disk, oldest first; what can't be read is left out.
#[must_use]
pub fn kept(top: &Root) -> Vec<BootLog> {
    let numbers = numbers(top).unwrap_or_default().into_iter();
    let read = |number| {
        let bytes = top.read(&path_of(number)).ok()?;
        Some(BootLog::read(
            Some(number),
            &String::from_utf8_lossy(&bytes),
        ))
    };
    numbers.filter_map(read).collect()
}

/// What this boot said: from /run, or from its copy on the disk.
#[must_use]
pub fn of_this_boot(system: &Root, top: Option<&Root>) -> Option<BootLog> {
    let boot = clock::boot_id(system).unwrap_or_default();
    if let Ok(bytes) = system.read(Path::new(BOOT_LOG)) {
        let mut here = BootLog::read(None, &String::from_utf8_lossy(&bytes));
        here.boot = boot;
        return Some(here);
    }
    let ours = |log: &BootLog| !boot.is_empty() && log.boot == boot;
    kept(top?).into_iter().rfind(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    /// The log is the process's own: all that is said is said in this one test.
    #[test]
    fn the_last_boots_are_kept_and_no_log_grows_without_bound() {
        let (folder, top) = top();
        keep(folder.path(), Some("said on a disk that is not ours"));
        assert!(!top.exists(Path::new(HOME)).unwrap());
        top.create_directory(Path::new(HOME), 0o700).unwrap();
        say(Level::Info, "a remark");
        say(Level::Warn, "a warning");
        for _ in 0..7 {
            said().number = None; // another boot
            keep(folder.path(), None);
        }
        keep(folder.path(), Some("two\nlines"));
        let logs = kept(&top);
        let numbers: Vec<_> = logs.iter().filter_map(|log| log.number).collect();
        assert_eq!(numbers, [3, 4, 5, 6, 7]);
        let last = logs.last().unwrap();
        assert_eq!(last.last_problem(), Some("lines"));
        assert!(last.at > 1_600_000_000 && last.boot.len() == 36, "{last:?}");
        let wanted = [
            "rootshift! said on a disk that is not ours",
            "rootshift: a remark",
            "rootshift! a warning",
            "rootshift! two",
            "rootshift! lines",
        ];
        assert_eq!(last.lines, wanted);

        for _ in 0..100 {
            say(Level::Info, &"x".repeat(1 << 10));
        }
        say(Level::Error, "the end");
        for _ in 0..100 {
            say(Level::Error, &"y".repeat(1 << 10));
        }
        let text = said().text.clone();
        assert!(text.len() < LIMIT + MARGIN + 2048, "{}", text.len());
        assert!(text.contains("rootshift! the end\n"));
    }

    #[test]
    fn what_is_in_run_counts_before_what_is_on_the_disk() {
        let (_folder, top) = top();
        let (_other, system) = self::top();
        let id = Path::new("proc/sys/kernel/random");
        system.create_directories(id, 0o755).unwrap();
        let id = id.join("boot_id");
        system.write_new_file(&id, b"this-one\n", 0o644).unwrap();
        assert_eq!(of_this_boot(&system, Some(&top)), None);
        top.create_directories(Path::new(LOGS), 0o700).unwrap();
        for (number, boot, line) in [(1, "this-one", "early"), (2, "another", "late")] {
            let text = format!("{HEAD}{boot} 7\n{PROBLEM}{line}\n");
            top.write_new_file(&path_of(number), text.as_bytes(), 0o600)
                .unwrap();
        }
        let found = of_this_boot(&system, Some(&top)).unwrap();
        assert_eq!((found.number, found.at), (Some(1), 7));
        assert_eq!(found.last_problem(), Some("early"));
        system
            .create_directories(Path::new("run/initramfs"), 0o700)
            .unwrap();
        let text = format!("{PROBLEM}first\n{REMARK}second\n");
        system
            .write_new_file(Path::new(BOOT_LOG), text.as_bytes(), 0o600)
            .unwrap();
        let found = of_this_boot(&system, Some(&top)).unwrap();
        assert_eq!((found.number, found.last_problem()), (None, Some("first")));
    }
}
