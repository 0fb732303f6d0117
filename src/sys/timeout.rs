//! Programs: their output is read along, their time can be limited.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};

use super::error::{Failure, cause_text};
use super::process::{Output, bare_command, find_program, named, status_number, tail};
use super::{Error, Result, Root};

/// More standard output than this is an error: an answer is never cut off unnoticed.
const ANSWER_LIMIT: usize = 16 << 20;
/// Between two looks: short while the program talks, longer when it thinks.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);
/// A killed program is given up when it can't die: it waits for a device that does not answer.
const LAST_WAIT: Duration = Duration::from_secs(1);
const PIECE: usize = 4 << 10;
/// The size of a pipe, after which the clock is looked at again.
const PIECES_AT_ONCE: usize = 16;

/// Runs a program that is installed in `root`, without a shell and without a chroot, for at most
/// `limit`; then it and the processes it has started are killed.
///
/// `program` is a name, looked for where [`find_program`] looks, or a path inside `root`. No
/// standard input, no environment but PATH and LC_ALL=C. That it failed is in the [`Output`]; an
/// error means that it could not be run, or did not end in time.
pub fn run_within(
    root: &Root,
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> Result<Output> {
    let installed = if program.starts_with('/') {
        let there = root.resolved_status(Path::new(program))?;
        there
            .filter(|file| file.is_file())
            .map(|_| Path::new(program).to_path_buf())
    } else {
        find_program(root, program)?
    };
    let installed = installed.ok_or_else(|| Failure::NotInstalled {
        program: program.to_owned(),
    })?;
    let command = bare_command(&root.shown(&installed), arguments);
    run(command, &named(program, arguments), false, Some(limit))
}

/// Runs a command to its end, or for as long as `limit` says. `inherit_output` lets it talk to
/// whom this process talks to. Only one with a limit gets a process group of its own, which a ^C
/// at the terminal does not reach.
pub(in crate::sys) fn run(
    mut command: Command,
    name: &str,
    inherit_output: bool,
    limit: Option<Duration>,
) -> Result<Output> {
    let broken = |problem: String| {
        let program = name.to_owned();
        Error::from(Failure::Program { program, problem })
    };
    let failed = |cause: std::io::Error| broken(format!("cannot be run: {}", cause_text(&cause)));
    if !inherit_output {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    if limit.is_some() {
        command.process_group(0);
    }
    let mut child = command.spawn().map_err(failed)?;
    let ended = watch(&mut child, limit);
    if limit.is_some() && !matches!(ended, Ok(Some(_))) {
        kill(&mut child);
    }
    let (status, stdout, stderr) = ended.map_err(failed)?.ok_or_else(|| {
        let seconds = limit.unwrap_or_default().as_secs();
        broken(format!("was still running after {seconds} s: killed"))
    })?;
    Ok(Output {
        status: status_number(status),
        signal: status.signal(),
        stdout,
        stderr_tail: tail(&stderr),
    })
}

type Ended = (ExitStatus, Vec<u8>, Vec<u8>);

/// Reads along until it ends; `None` when it does not in time. What the program leaves running may
/// hold its output open, so that the end of the program counts and not the end of the output.
fn watch(child: &mut Child, limit: Option<Duration>) -> std::io::Result<Option<Ended>> {
    let start = Instant::now();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let both = [
        stdout.as_ref().map(AsFd::as_fd),
        stderr.as_ref().map(AsFd::as_fd),
    ];
    for pipe in both.into_iter().flatten() {
        rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK)?;
    }
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let mut pause = SHORTEST;
    loop {
        let ended = child.try_wait()?;
        let mut heard = 0;
        if let Some(pipe) = &mut stdout {
            heard += drain(pipe, &mut said)?;
        }
        if let Some(pipe) = &mut stderr {
            heard += drain(pipe, &mut complained)?;
        }
        if said.len().max(complained.len()) > ANSWER_LIMIT {
            return Err(std::io::Error::other("it says more than 16 MiB"));
        }
        pause = if heard > 0 {
            SHORTEST
        } else {
            (pause * 2).min(LONGEST)
        };
        match ended {
            Some(status) if heard == 0 => return Ok(Some((status, said, complained))),
            Some(_) => {}
            None if limit.is_some_and(|limit| start.elapsed() >= limit) => return Ok(None),
            None => sleep(pause),
        }
    }
}

/// What is there by now, a pipe's content at most. Returns how much.
fn drain(pipe: &mut dyn Read, into: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut piece = [0; PIECE];
    let mut all = 0;
    for _ in 0..PIECES_AT_ONCE {
        match pipe.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                into.extend_from_slice(piece.get(..length).unwrap_or_default());
                all += length;
            }
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => break,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(all)
}

/// Nothing more can be done when this fails.
fn kill(child: &mut Child) {
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let start = Instant::now();
    while start.elapsed() < LAST_WAIT && matches!(child.try_wait(), Ok(None)) {
        sleep(SHORTEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn run(program: &str, arguments: &[&str], limit: Duration) -> Result<Output> {
        run_within(
            &Root::open(Path::new("/")).unwrap(),
            program,
            arguments,
            limit,
        )
    }

    #[test]
    fn what_it_says_and_how_it_ends_is_told() {
        let output = run("sh", &["-c", "echo yes; echo no >&2; exit 3"], SECOND * 60).unwrap();
        assert_eq!(
            (output.status, output.stdout.as_slice()),
            (3, &b"yes\n"[..])
        );
        assert_eq!(output.stderr_tail, "no");
        let long = run("seq", &["1", "200000"], SECOND * 60).unwrap();
        assert!(long.stdout.ends_with(b"\n200000\n"));
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_its_children() {
        let start = Instant::now();
        let error = run("sh", &["-c", "sleep 61.5 & sleep 62"], SECOND / 5).unwrap_err();
        assert!(error.to_string().contains("still running"), "{error}");
        assert!(start.elapsed() < SECOND * 30);
        let left = run("pgrep", &["-f", "sleep 61.5"], SECOND * 60).unwrap();
        assert_eq!(left.status, 1, "{}", String::from_utf8_lossy(&left.stdout));
    }

    #[test]
    fn one_that_talks_without_end_is_stopped() {
        let error = run("yes", &[], SECOND * 60).unwrap_err();
        assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let start = Instant::now();
        let output = run("sh", &["-c", "sleep 7 & echo done"], SECOND * 60).unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(start.elapsed() < SECOND * 6);
    }

    #[test]
    fn a_program_is_looked_for_inside_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        let error = run_within(&root, "sh", &[], SECOND).unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
        let error = run_within(&root, "/bin/sh", &[], SECOND).unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
        let script = b"#!/bin/sh\necho from inside\n";
        root.create_directory(Path::new("bin"), 0o755).unwrap();
        root.write_new_file(Path::new("bin/tool"), script, 0o755)
            .unwrap();
        for program in ["tool", "/bin/tool"] {
            let output = run_within(&root, program, &[], SECOND * 60).unwrap();
            assert_eq!(output.stdout, b"from inside\n");
        }
    }
}
