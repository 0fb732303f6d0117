//! One program, started and waited for.
//!
//! std's `Command` can do much more, in 25 KiB of the shipped binary.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

/// Between two looks at a program with a limit.
const PAUSE: Duration = Duration::from_millis(10);
/// A killed program is given up when it can't die: it waits for a device that does not answer.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What a program writes, kept in memory: a pipe would have to be emptied while it runs.
pub(super) struct Written {
    stdout: File,
    stderr: File,
}

impl Written {
    pub(super) fn nothing_yet() -> io::Result<Self> {
        Ok(Self {
            stdout: memory()?,
            stderr: memory()?,
        })
    }

    /// All of its standard output, and of its standard error.
    pub(super) fn read(mut self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        Ok((from_start(&mut self.stdout)?, from_start(&mut self.stderr)?))
    }
}

fn memory() -> io::Result<File> {
    // Linux has NOEXEC_SEAL from 6.3 on, and asks for it where vm.memfd_noexec is 2.
    let create = |more| memfd_create(c"output", MemfdFlags::CLOEXEC | more);
    let file = create(MemfdFlags::NOEXEC_SEAL).or_else(|_| create(MemfdFlags::empty()));
    Ok(file?.into())
}

fn from_start(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Starts it without standard input, in an environment of `NAME=value`s; its process id. What it
/// writes goes where this process writes to, unless it is to be kept. In a group of its own it can
/// be killed with all that it starts.
pub(super) fn start(
    path: &Path,
    arguments: &[&str],
    environment: &[String],
    keep: Option<&Written>,
    own_group: bool,
) -> io::Result<Pid> {
    let mut command = vec![CString::new(path.as_os_str().as_bytes())?];
    command.extend(texts(arguments)?);
    let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
    let nothing = File::open("/dev/null")?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(nothing.as_raw_fd(), 0)?;
    if let Some(written) = keep {
        files.add_dup2(written.stdout.as_raw_fd(), 1)?;
        files.add_dup2(written.stderr.as_raw_fd(), 2)?;
    }
    let attributes = attributes(own_group)?;
    let child = posix_spawn(path, &files, &attributes, &command, &texts(&environment)?)?;
    Pid::from_raw(child.as_raw()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn texts(texts: &[&str]) -> io::Result<Vec<CString>> {
    texts.iter().map(|text| Ok(CString::new(*text)?)).collect()
}

/// Rust's startup code ignores SIGPIPE, and ignored signals are inherited.
fn attributes(own_group: bool) -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    if own_group {
        flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
        attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    }
    attributes.set_flags(flags)?;
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    Ok(attributes)
}

/// Waits for its end.
pub(super) fn wait(child: Pid) -> io::Result<WaitStatus> {
    let ended = look_at(child, WaitOptions::empty())?;
    ended.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Waits for its end for so long; then kills its group, and there is none.
pub(super) fn wait_within(child: Pid, limit: Duration) -> io::Result<Option<WaitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(ended) = look_at(child, WaitOptions::NOHANG)? {
            return Ok(Some(ended));
        }
        std::thread::sleep(PAUSE);
    }
    // It may have ended in this moment: then there is nothing to kill.
    let _ = rustix::process::kill_process_group(child, rustix::process::Signal::KILL);
    let killed = Instant::now();
    while killed.elapsed() < LAST_WAIT && look_at(child, WaitOptions::NOHANG)?.is_none() {
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

fn look_at(child: Pid, options: WaitOptions) -> io::Result<Option<WaitStatus>> {
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(child), options))?;
    Ok(ended.map(|(_, status)| status))
}
