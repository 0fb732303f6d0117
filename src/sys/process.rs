//! Programs, and this process itself.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::error::Failure;
use super::{Error, Result, Root, timeout};

/// Where programs are looked for, in this order.
pub const DIRECTORIES: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// How much of standard error is kept.
const TAIL: usize = 4 << 10;
/// Anybody's execute permission.
const EXECUTABLE: u32 = 0o111;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 and the signal's number when a signal ended it.
    pub status: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All of its standard output; empty when inherited.
    pub stdout: Vec<u8>,
    /// The end of its standard error; empty when inherited.
    pub stderr_tail: String,
}

impl Output {
    /// Did it exit with status 0?
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == 0 && self.signal.is_none()
    }
}

/// The path inside `root` under which a program is installed; `None` when it is not.
pub fn find_program(root: &Root, name: &str) -> Result<Option<PathBuf>> {
    if name.is_empty() || name.contains('/') {
        return Ok(None);
    }
    for directory in DIRECTORIES {
        let path = Path::new(directory).join(name);
        let status = root.resolved_status(&path)?;
        if status.is_some_and(|status| status.is_file() && status.mode & EXECUTABLE != 0) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// What a program is started with: nothing but PATH and LC_ALL=C, and no standard input.
pub(in crate::sys) fn bare_command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).env_clear();
    command
        .env("PATH", DIRECTORIES.join(":"))
        .env("LC_ALL", "C");
    command
}

/// Runs a program of the running system to its end, without a shell.
///
/// It gets no standard input and no environment but PATH and LC_ALL=C. That it failed is in the
/// [`Output`]; an error means that it could not be run.
pub fn run(program: &str, arguments: &[&str], inherit_output: bool) -> Result<Output> {
    let path = find_program(&Root::open(Path::new("/"))?, program)?.ok_or_else(|| {
        Failure::NotInstalled {
            program: program.to_owned(),
        }
    })?;
    timeout::run(
        bare_command(&path, arguments),
        &named(program, arguments),
        inherit_output,
        None,
    )
}

/// As messages name it.
pub(in crate::sys) fn named(program: &str, arguments: &[&str]) -> String {
    let text = format!("{program} {}", arguments.join(" "));
    text.trim_end().to_owned()
}

/// The exit status; 128 and the signal's number when a signal ended it.
pub(in crate::sys) fn status_number(status: ExitStatus) -> i32 {
    let signal = status.signal().unwrap_or(0);
    status
        .code()
        .unwrap_or_else(|| 128_i32.saturating_add(signal))
}

pub(in crate::sys) fn tail(bytes: &[u8]) -> String {
    let end = bytes
        .get(bytes.len().saturating_sub(TAIL)..)
        .unwrap_or_default();
    String::from_utf8_lossy(end).trim_end().to_owned()
}

/// Is the effective user root?
#[must_use]
pub fn effective_user_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Takes the lock on an open file, which this process holds until the file is closed; `false`
/// when another holds it. The kernel drops it when the holder dies, however that comes.
pub fn lock_exclusive(file: &File) -> Result<bool> {
    match retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(cause) => Err(Error::process("lock the file", cause)),
    }
}

/// Lets everybody else go first, at the processor and at the disk. For this thread and the
/// threads and programs it starts from now on.
pub fn lower_priority() -> Result<()> {
    rustix::process::setpriority_process(None, 19)
        .map_err(|cause| Error::process("lower the priority", cause))?;
    idle_disk_priority()
}

/// There is no wrapper for ioprio_set(2) in libc, rustix or nix.
#[allow(unsafe_code)]
fn idle_disk_priority() -> Result<()> {
    // linux/ioprio.h
    const WHO_PROCESS: libc::c_long = 1;
    const THIS_THREAD: libc::c_long = 0;
    const CLASS_IDLE: libc::c_long = 3;
    const CLASS_SHIFT: u32 = 13;
    let priority = CLASS_IDLE << CLASS_SHIFT;
    // SAFETY: ioprio_set takes three integers, reads no memory of ours and writes none.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, THIS_THREAD, priority) };
    if done == 0 {
        return Ok(());
    }
    Err(Error::process(
        "lower the disk priority",
        std::io::Error::last_os_error(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_status_is_a_result_and_a_missing_program_an_error() {
        let output = run("ls", &["/no/such/place"], false).unwrap();
        assert!(!output.success());
        assert!(
            output.stderr_tail.contains("No such file"),
            "{}",
            output.stderr_tail
        );
        let error = run("no-such-program", &[], false).unwrap_err();
        assert!(
            matches!(error.failure(), Failure::NotInstalled { .. }),
            "{error}"
        );
    }

    #[test]
    fn the_environment_is_bare_and_arguments_are_no_shell_text() {
        let output = run("env", &[], false).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split('=').next())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "PATH"]);
        let output = run("echo", &["$(id); *"], false).unwrap();
        assert_eq!(output.stdout, b"$(id); *\n");
    }

    #[test]
    fn a_killed_program_tells_its_signal() {
        let output = run("sh", &["-c", "kill -9 $$"], false).unwrap();
        assert_eq!((output.status, output.signal), (137, Some(9)));
        assert!(!output.success());
    }

    #[test]
    fn programs_are_found_in_order_and_only_when_executable() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        root.create_directories(Path::new("usr/sbin"), 0o755)
            .unwrap();
        root.create_directories(Path::new("bin"), 0o755).unwrap();
        root.write_new_file(Path::new("usr/sbin/tool"), b"", 0o644)
            .unwrap();
        assert_eq!(find_program(&root, "tool").unwrap(), None);
        root.write_new_file(Path::new("bin/tool"), b"", 0o755)
            .unwrap();
        assert_eq!(
            find_program(&root, "tool").unwrap(),
            Some("/bin/tool".into())
        );
        assert_eq!(find_program(&root, "../bin/tool").unwrap(), None);
    }

    #[test]
    fn a_lock_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        assert!(lock_exclusive(&first).unwrap());
        assert!(!lock_exclusive(&second).unwrap());
        drop(first);
        assert!(lock_exclusive(&second).unwrap());
    }
}
