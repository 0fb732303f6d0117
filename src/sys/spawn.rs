//! One program, started and waited for.
//!
//! std's `Command` can do much more, in 25 KiB of the shipped binary.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

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

/// Runs it to its end without standard input, in an environment of `NAME=value`s. What it writes
/// goes where this process writes to, unless it is to be kept.
pub(super) fn run(
    path: &Path,
    arguments: &[&str],
    environment: &[&str],
    keep: Option<&Written>,
) -> io::Result<WaitStatus> {
    let mut command = vec![CString::new(path.as_os_str().as_bytes())?];
    command.extend(texts(arguments)?);
    let nothing = File::open("/dev/null")?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(nothing.as_raw_fd(), 0)?;
    if let Some(written) = keep {
        files.add_dup2(written.stdout.as_raw_fd(), 1)?;
        files.add_dup2(written.stderr.as_raw_fd(), 2)?;
    }
    let child = posix_spawn(path, &files, &signals()?, &command, &texts(environment)?)?;
    wait(child.as_raw())
}

fn texts(texts: &[&str]) -> io::Result<Vec<CString>> {
    texts.iter().map(|text| Ok(CString::new(*text)?)).collect()
}

/// Rust's startup code ignores SIGPIPE, and ignored signals are inherited.
fn signals() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    Ok(attributes)
}

fn wait(child: i32) -> io::Result<WaitStatus> {
    let ended = rustix::io::retry_on_intr(|| waitpid(Pid::from_raw(child), WaitOptions::empty()))?;
    match ended {
        Some((_, status)) => Ok(status),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}
