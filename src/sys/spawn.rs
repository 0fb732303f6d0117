//! One program, started and waited for, for as long as it may take.
//!
//! std's `Command` can do much more, in 25 KiB of the shipped binary.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal as Kill, WaitOptions, WaitStatus, kill_process_group, waitpid};

/// More output than this is an error: an answer is never cut off unnoticed.
const OUTPUT_LIMIT: u64 = 16 << 20;
/// Between two looks at a program with a limit: short at first.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);
/// A killed program is given up when it can't die: it waits for a device that does not answer.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Where what a program writes goes.
pub(super) enum Streams<'a> {
    /// Where this process writes to.
    Inherited,
    /// All of it to this process' standard error.
    ToStandardError,
    /// Here.
    Kept(&'a Written),
}

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

    fn len(&self) -> io::Result<u64> {
        Ok(self
            .stdout
            .metadata()?
            .len()
            .max(self.stderr.metadata()?.len()))
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

/// Runs it without standard input, in an environment of `NAME=value`s. With a limit it has a
/// process group of its own, which is killed when it has not ended by then: `None`.
pub(super) fn run(
    path: &Path,
    arguments: &[&str],
    environment: &[&str],
    streams: &Streams,
    limit: Option<Duration>,
) -> io::Result<Option<WaitStatus>> {
    let mut command = vec![CString::new(path.as_os_str().as_bytes())?];
    command.extend(texts(arguments)?);
    let nothing = File::open("/dev/null")?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(nothing.as_raw_fd(), 0)?;
    match streams {
        Streams::Inherited => {}
        Streams::ToStandardError => files.add_dup2(2, 1)?,
        Streams::Kept(written) => {
            files.add_dup2(written.stdout.as_raw_fd(), 1)?;
            files.add_dup2(written.stderr.as_raw_fd(), 2)?;
        }
    }
    let attributes = attributes(limit.is_some())?;
    let child = posix_spawn(path, &files, &attributes, &command, &texts(environment)?)?;
    let child = Pid::from_raw(child.as_raw()).ok_or(io::ErrorKind::NotFound)?;
    match limit {
        Some(limit) => wait_within(child, streams, limit),
        None => wait(child, WaitOptions::empty()),
    }
}

/// Starts this program anew: the arguments of this process and `more`, its environment, and
/// `output` as standard output.
pub(super) fn start_self(more: &[&str], output: &dyn AsRawFd) -> io::Result<Pid> {
    let mut command = Vec::new();
    for argument in std::env::args_os() {
        command.push(CString::new(argument.into_vec())?);
    }
    command.extend(texts(more)?);
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os() {
        let mut pair = name.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        environment.push(CString::new(pair)?);
    }
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(output.as_raw_fd(), 1)?;
    let (itself, attributes) = (Path::new("/proc/self/exe"), attributes(false)?);
    let child = posix_spawn(itself, &files, &attributes, &command, &environment)?;
    Pid::from_raw(child.as_raw()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// How this child ended; none while it runs.
pub(super) fn wait_now(child: Pid) -> io::Result<Option<WaitStatus>> {
    wait(child, WaitOptions::NOHANG)
}

/// How any child ended; none while all run. An error when there is none.
pub(super) fn wait_for_any() -> io::Result<Option<WaitStatus>> {
    let ended = retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG))?;
    Ok(ended.map(|(_, status)| status))
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

fn wait(child: Pid, how: WaitOptions) -> io::Result<Option<WaitStatus>> {
    let ended = retry_on_intr(|| waitpid(Some(child), how))?;
    Ok(ended.map(|(_, status)| status))
}

/// What a program leaves running may hold its output open, so that its end counts and not that of
/// the output.
fn wait_within(child: Pid, streams: &Streams, limit: Duration) -> io::Result<Option<WaitStatus>> {
    let begun = Instant::now();
    let mut pause = SHORTEST;
    while begun.elapsed() < limit {
        if let Some(status) = wait(child, WaitOptions::NOHANG)? {
            return Ok(Some(status));
        }
        if let Streams::Kept(written) = streams
            && written.len()? > OUTPUT_LIMIT
        {
            kill(child);
            return Err(io::Error::other("it says more than 16 MiB"));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
    kill(child);
    Ok(None)
}

/// Nothing more can be done when this fails: it may have ended in this moment.
fn kill(child: Pid) {
    let _ = kill_process_group(child, Kill::KILL);
    let begun = Instant::now();
    while begun.elapsed() < LAST_WAIT && matches!(wait(child, WaitOptions::NOHANG), Ok(None)) {
        thread::sleep(SHORTEST);
    }
}
