//! How a run ended and what was seen of it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Line;
use super::qmp::Facts;
use super::watch::{Stop, Watched};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The guest switched itself off.
    PoweredOff,
    /// The guest asked for a reboot, and reboots end the run.
    Reset,
    /// The harness cut the power.
    Killed,
    /// The time limit was reached.
    Timeout,
    /// The kernel gave up; the line says why.
    Panic(String),
    /// A boot loader or initramfs waits at its prompt.
    Prompt(String),
    /// QEMU itself failed; what it said.
    QemuFailed(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("powered off"),
            Self::Reset => f.write_str("rebooted"),
            Self::Killed => f.write_str("power cut"),
            Self::Timeout => f.write_str("TIMEOUT"),
            Self::Panic(line) => write!(f, "GUEST PANIC: {line}"),
            Self::Prompt(line) => write!(f, "STUCK at a prompt: {line}"),
            Self::QemuFailed(said) => write!(f, "QEMU FAILED: {said}"),
        }
    }
}

/// What the task of one boot printed, and its exit code when it reached its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskRun {
    /// The guest's boot id: proof that the words come from inside.
    pub boot_id: String,
    /// All lines between begin and end.
    pub output: String,
    /// None when the boot ended first.
    pub exit: Option<i32>,
}

/// One run of a machine.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The machine's name.
    pub name: String,
    /// Directory with `console.log`, `agent.log` and `qemu.log`.
    pub home: PathBuf,
    /// How it ended.
    pub end: End,
    /// Resets within the run.
    pub resets: u32,
    /// The console.
    pub console: Vec<Line>,
    /// The task, once for each boot that reached it.
    pub tasks: Vec<TaskRun>,
    /// From power on to the end.
    pub elapsed: Duration,
}

impl Outcome {
    pub(super) fn gather(name: &str, home: &Path, watched: Watched, facts: Facts) -> Result<Self> {
        let agent = fs::read(home.join("agent.log")).context("read what the task printed")?;
        let said = fs::read_to_string(home.join("qemu.log")).unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            home: home.to_path_buf(),
            end: end(watched.stop, &facts, &said),
            resets: facts.resets,
            console: watched.lines,
            tasks: task_runs(&String::from_utf8_lossy(&agent)),
            elapsed: watched.elapsed,
        })
    }

    /// The first console line that contains `text`.
    pub fn line(&self, text: &str) -> Option<&Line> {
        self.console.iter().find(|line| line.text.contains(text))
    }

    /// An error unless the run ended like this; the error quotes the end of the console.
    pub fn expect(&self, end: &End) -> Result<&Self> {
        if self.end == *end {
            return Ok(self);
        }
        let last = self.console.iter().rev().take(15).rev();
        let lines: Vec<_> = last
            .map(|l| format!("  {:8.3} {}", l.at.as_secs_f64(), l.text))
            .collect();
        bail!(
            "{}: {} after {:.1} s, expected: {end}\n{}\n  all of it: {}",
            self.name,
            self.end,
            self.elapsed.as_secs_f64(),
            lines.join("\n"),
            self.home.join("console.log").display()
        )
    }

    /// The output of the only task, which must have ended with `code` inside the guest.
    pub fn task(&self, code: i32) -> Result<&TaskRun> {
        let [task] = self.tasks.as_slice() else {
            bail!(
                "{}: the task ran {} times, expected once",
                self.name,
                self.tasks.len()
            );
        };
        if task.exit == Some(code) {
            return Ok(task);
        }
        let end = task.exit.map_or("no exit code".to_owned(), |code| {
            format!("exit code {code}")
        });
        bail!(
            "{}: the task in the guest ended with {end}\n{}",
            self.name,
            crate::run::tail(&task.output, 30)
        )
    }
}

fn end(stop: Stop, facts: &Facts, said: &str) -> End {
    match (stop, facts.shutdown.as_deref()) {
        (Stop::Killed, _) => End::Killed,
        (Stop::Timeout, _) => End::Timeout,
        (Stop::Dead(line), _) if line.contains("Kernel panic") => End::Panic(line),
        (Stop::Dead(line), _) => End::Prompt(line),
        (Stop::Exited(status), _) if !status.success() => {
            End::QemuFailed(format!("{status}: {}", crate::run::tail(said, 5)))
        }
        (Stop::Exited(_), Some("guest-shutdown")) => End::PoweredOff,
        (Stop::Exited(_), Some("guest-reset")) => End::Reset,
        (Stop::Exited(_), reason) => End::QemuFailed(format!("shutdown reason {reason:?}")),
    }
}

fn task_runs(text: &str) -> Vec<TaskRun> {
    let mut runs: Vec<TaskRun> = Vec::new();
    for line in text.lines().map(|line| line.trim_end_matches('\r')) {
        // UEFI firmware speaks on every port, and leaves its line open.
        if let Some((_, boot_id)) = line.split_once("task-begin: ") {
            runs.push(TaskRun {
                boot_id: boot_id.to_owned(),
                ..TaskRun::default()
            });
        } else if let Some(run) = runs.last_mut() {
            match line.strip_prefix("task-exit: ") {
                Some(code) => run.exit = code.parse().ok(),
                None => run.output.push_str(&format!("{line}\n")),
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_boot_has_its_own_task_run() {
        let runs = task_runs("task-begin: a\none\r\ntwo\ntask-exit: 100\ntask-begin: b\nthr");
        assert_eq!(runs[0].output, "one\ntwo\n");
        assert_eq!((runs[0].exit, runs[1].exit), (Some(100), None));
        assert_eq!(runs[1].boot_id, "b");
        let after_firmware =
            task_runs("\u{1b}[2JWelcome to GRUB!\n\u{1b}[40mtask-begin: a\none\ntask-exit: 0");
        assert_eq!(after_firmware[0].output, "one\n");
    }

    #[test]
    fn the_reds_are_different() {
        let facts = Facts::default();
        let panic = "Kernel panic - not syncing: VFS".to_owned();
        assert_eq!(
            end(Stop::Dead(panic.clone()), &facts, ""),
            End::Panic(panic)
        );
        assert_eq!(end(Stop::Timeout, &facts, ""), End::Timeout);
        let prompt = "grub rescue>".to_owned();
        assert_eq!(
            end(Stop::Dead(prompt.clone()), &facts, ""),
            End::Prompt(prompt)
        );
    }
}
