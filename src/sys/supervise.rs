//! A second process of this program that does the work, and the first one that watches over it.

use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitStatus, getpid, getppid, kill_process, set_child_subreaper,
    set_parent_process_death_signal,
};

use super::error::Failure;
use super::{Error, Result, spawn};

/// A process that can't die (it waits for a device that does not answer) is given up after this.
const LAST_WAIT: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(1);
const SHORTEST: Duration = Duration::from_micros(50);
/// A line is never longer: what is, is no sign of ours.
const LINE_LIMIT: usize = 16 << 10;

/// How the worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// What was heard of the worker.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line on its standard output.
    Line(String),
    /// Nothing yet.
    Nothing,
    /// It has ended, and all its lines were heard.
    Ended(End),
}

/// Makes this process the one that outlives its worker: the kernel takes it last when memory runs
/// out, and what the worker leaves running becomes its child.
pub fn take_charge() {
    let _ = set_child_subreaper(Some(getpid()));
    out_of_memory_score("-1000");
}

/// Makes this process the worker: it ends with the process that started it, and the kernel may
/// take it when memory runs out.
pub fn be_worker() {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid() == Some(Pid::INIT) {
        std::process::exit(1); // it was killed before the kernel knew that
    }
    out_of_memory_score("0");
}

fn out_of_memory_score(score: &str) {
    let file = File::options().write(true).open("/proc/self/oom_score_adj");
    let _ = file.and_then(|mut file| file.write_all(score.as_bytes()));
}

/// Kills everything that this process started or took over, for at most a second.
pub fn end_all_children() {
    let begun = Instant::now();
    while let Ok(ended) = spawn::wait_for_any()
        && begun.elapsed() < Duration::from_secs(1)
    {
        if ended.is_some() {
            continue;
        }
        // proc(5): the children of a thread; this program waits in its first thread alone.
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        for pid in children.split_whitespace() {
            let pid = pid.parse().ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        thread::sleep(SHORT);
    }
}

/// The worker, as the process that started it sees it.
#[derive(Debug)]
pub struct Worker {
    pid: Pid,
    output: PipeReader,
    heard: Vec<u8>,
    end: Option<End>,
}

impl Worker {
    /// Starts this program anew, with this process' arguments and some more.
    pub fn start(more: &[&str]) -> Result<Self> {
        let start = || {
            let (output, input) = io::pipe()?;
            let pid = spawn::start_self(more, &input)?;
            Ok((pid, output))
        };
        let (pid, output) = start().map_err(|cause: io::Error| cannot("start a worker", cause))?;
        Ok(Self {
            pid,
            output,
            heard: Vec::new(),
            end: None,
        })
    }

    /// The next line, or the end. Returns after about `time` when there is neither.
    pub fn listen(&mut self, time: Duration) -> Result<Heard> {
        let listen = || cannot("watch the worker", io::ErrorKind::Other.into());
        if !self.has_line() && self.end.is_none() && !self.read(time) {
            let status = spawn::wait_now(self.pid).map_err(|_| listen())?;
            self.end = status.map(end_of);
            while self.end.is_some() && self.read(Duration::ZERO) {}
        }
        Ok(match (self.line(), self.end) {
            (Some(line), _) => Heard::Line(line),
            (None, Some(end)) => Heard::Ended(end),
            (None, None) => Heard::Nothing,
        })
    }

    /// Ends it. False when it can't die: then it is left behind.
    #[must_use]
    pub fn kill(&mut self) -> bool {
        let _ = kill_process(self.pid, Signal::KILL);
        let begun = Instant::now();
        while begun.elapsed() < LAST_WAIT {
            if !matches!(spawn::wait_now(self.pid), Ok(None)) {
                return true;
            }
            thread::sleep(SHORT);
        }
        false
    }

    fn has_line(&self) -> bool {
        self.heard.contains(&b'\n')
    }

    fn line(&mut self) -> Option<String> {
        let end = self.heard.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.heard.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Whether something was read.
    fn read(&mut self, time: Duration) -> bool {
        let limit = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let mut waiting = [PollFd::new(&self.output, PollFlags::IN)];
        if !matches!(poll(&mut waiting, Some(&limit)), Ok(1..)) {
            return false;
        }
        let mut bytes = [0; 1024];
        let count = self.output.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            thread::sleep(SHORTEST); // closed: its end is near
        }
        if self.heard.len() > LINE_LIMIT {
            self.heard.clear();
        }
        self.heard
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        count > 0
    }
}

fn end_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => End::Status(status),
        (None, signal) => End::Signal(signal.unwrap_or(0)),
    }
}

fn cannot(act: &'static str, cause: io::Error) -> Error {
    Failure::Process { act, cause }.into()
}
