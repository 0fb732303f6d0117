//! Programs, and this process itself.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::error::Failure;
use super::spawn::{self, Streams, Written};
use super::{Error, Result, Root};

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

/// Runs a program of the running system to its end, without a shell.
///
/// It gets no standard input and no environment but PATH and LC_ALL=C. That it failed is in the
/// [`Output`]; an error means that it could not be run.
pub fn run(program: &str, arguments: &[&str], inherit_output: bool) -> Result<Output> {
    let system = Root::open(Path::new("/"))?;
    let written = match inherit_output {
        true => None,
        false => Some(memory(program, arguments)?),
    };
    run_installed(&system, program, arguments, written, None)
}

/// As [`run`], for at most `limit`: then it is killed with the programs that it started, which is
/// an error. The program is one of `root`'s, by name or by a path inside it; it is not confined
/// to it.
pub fn run_within(
    root: &Root,
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> Result<Output> {
    let written = Some(memory(program, arguments)?);
    run_installed(root, program, arguments, written, Some((limit, false)))
}

/// As [`run_within`], but all that the program prints goes to standard error at once.
pub fn run_told_within(
    root: &Root,
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> Result<Output> {
    run_installed(root, program, arguments, None, Some((limit, true)))
}

fn run_installed(
    root: &Root,
    program: &str,
    arguments: &[&str],
    written: Option<Written>,
    limit: Option<(Duration, bool)>,
) -> Result<Output> {
    let installed = installed(root, program)?.ok_or_else(|| Failure::NotInstalled {
        program: program.to_owned(),
    })?;
    let path = root.shown(&installed);
    let directories = format!("PATH={}", DIRECTORIES.join(":"));
    let environment = [directories.as_str(), "LC_ALL=C"];
    let streams = match (&written, limit) {
        (Some(written), _) => Streams::Kept(written),
        (None, Some((_, true))) => Streams::ToStandardError,
        (None, _) => Streams::Inherited,
    };
    let time = limit.map(|(time, _)| time);
    let cannot = |cause| cannot_run(program, arguments, &cause);
    let ended = spawn::run(&path, arguments, &environment, &streams, time).map_err(cannot)?;
    let status = ended.ok_or_else(|| {
        let seconds = time.unwrap_or_default().as_secs();
        failed(
            program,
            arguments,
            format!("was still running after {seconds} s: killed"),
        )
    })?;
    let (stdout, stderr) = written
        .map(Written::read)
        .transpose()
        .map_err(cannot)?
        .unwrap_or_default();
    let signal = status.terminating_signal();
    Ok(Output {
        status: status
            .exit_status()
            .unwrap_or_else(|| 128_i32.saturating_add(signal.unwrap_or(0))),
        signal,
        stdout,
        stderr_tail: tail(&stderr),
    })
}

fn installed(root: &Root, program: &str) -> Result<Option<PathBuf>> {
    if !program.starts_with('/') {
        return find_program(root, program);
    }
    let status = root.resolved_status(Path::new(program))?;
    let is_file = status.is_some_and(|status| status.is_file());
    Ok(is_file.then(|| PathBuf::from(program)))
}

fn memory(program: &str, arguments: &[&str]) -> Result<Written> {
    Written::nothing_yet().map_err(|cause| cannot_run(program, arguments, &cause))
}

fn cannot_run(program: &str, arguments: &[&str], cause: &io::Error) -> Error {
    let problem = format!("cannot be run: {}", super::error::without_number(cause));
    failed(program, arguments, problem)
}

fn failed(program: &str, arguments: &[&str], problem: String) -> Error {
    let program = format!("{program} {}", arguments.join(" "));
    let program = program.trim_end().to_owned();
    Failure::Program { program, problem }.into()
}

fn tail(bytes: &[u8]) -> String {
    let end = bytes
        .get(bytes.len().saturating_sub(TAIL)..)
        .unwrap_or_default();
    String::from_utf8_lossy(end).trim_end().to_owned()
}

/// Becomes another program, with the arguments and the environment of this one. Returns only when
/// that can't be: why.
#[must_use]
pub fn become_program(path: &str) -> Error {
    let text = |text: &OsStr| CString::new(text.as_bytes()).unwrap_or_default();
    let arguments: Vec<CString> = std::env::args_os()
        .map(|argument| text(&argument))
        .collect();
    match nix::unistd::execv(&text(OsStr::new(path)), &arguments) {
        Ok(never) => match never {},
        Err(cause) => Error::call("run", Path::new(path), cause),
    }
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
    fn more_than_a_pipe_holds_is_kept_from_both_streams() {
        let script =
            "head -c 300000 /dev/zero; echo the end; head -c 300000 /dev/zero >&2; echo !>&2";
        let output = run("sh", &["-c", script], false).unwrap();
        assert_eq!(output.stdout.len(), 300_000 + "the end\n".len());
        assert!(output.stdout.ends_with(b"the end\n"));
        assert!(output.stderr_tail.ends_with("\0!"));
    }

    #[test]
    fn a_program_gets_no_input_no_open_files_and_the_usual_signals() {
        assert_eq!(run("cat", &[], false).unwrap().stdout, b"");
        // Nothing of ours but its standard output and standard error.
        let files = run("ls", &["-l", "/proc/self/fd"], false).unwrap().stdout;
        let files = String::from_utf8(files).unwrap();
        assert_eq!(files.matches("/memfd:").count(), 2, "{files}");
        let output = run("sh", &["-c", "kill -s PIPE $$"], false).unwrap();
        assert_eq!(output.signal, Some(13));
    }

    #[test]
    fn what_cannot_be_executed_is_an_error_with_a_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool");
        std::fs::write(&path, "neither a script nor a program").unwrap();
        let root = Root::open(folder.path()).unwrap();
        let second = Duration::from_secs(1);
        let error = run_within(&root, "/tool", &[], second).unwrap_err();
        assert!(error.to_string().contains("Permission denied"), "{error}");
        let error = run_within(&root, "/tool", &["with\0nul"], second).unwrap_err();
        assert!(error.to_string().contains("cannot be run"), "{error}");
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

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let system = Root::open(Path::new("/")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        let script = format!("(sleep 1; touch {}) & sleep 100", late.display());
        let begun = std::time::Instant::now();
        let limit = Duration::from_millis(300);
        let error = run_within(&system, "sh", &["-c", &script], limit).unwrap_err();
        assert!(error.to_string().contains("killed"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!late.exists(), "the child went on");
    }

    #[test]
    fn a_program_in_time_tells_its_status_and_what_it_said() {
        let system = Root::open(Path::new("/")).unwrap();
        let minute = Duration::from_secs(60);
        for program in ["sh", "/bin/sh"] {
            let said = ["-c", "echo out; echo err >&2; exit 7"];
            let output = run_within(&system, program, &said, minute).unwrap();
            assert_eq!(
                (output.status, output.stdout.as_slice()),
                (7, &b"out\n"[..])
            );
            assert_eq!(output.stderr_tail, "err");
        }
        assert!(
            run_told_within(&system, "true", &[], minute)
                .unwrap()
                .success()
        );
    }

    #[test]
    fn endless_output_is_an_error_and_the_end() {
        let system = Root::open(Path::new("/")).unwrap();
        let error = run_within(&system, "yes", &[], Duration::from_secs(60)).unwrap_err();
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }

    #[test]
    fn a_program_that_leaves_another_behind_has_ended() {
        let system = Root::open(Path::new("/")).unwrap();
        let begun = std::time::Instant::now();
        let said = ["-c", "sleep 100 & echo done"];
        let output = run_within(&system, "sh", &said, Duration::from_secs(60)).unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
