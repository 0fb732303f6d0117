//! Watches a running guest until its end.

use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::console::PROMPTS;
use super::{Line, Machine};

/// Why the harness stopped watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// QEMU ended by itself.
    Exited(ExitStatus),
    /// The harness cut the power.
    Killed,
    /// The limit was reached.
    Timeout,
    /// A line after which nothing comes any more.
    Dead(String),
}

/// All that was seen.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stop: Stop,
    pub(super) lines: Vec<Line>,
    pub(super) elapsed: Duration,
}

/// After such a line nothing comes any more: the guest waits for somebody who isn't there.
fn is_dead(line: &str) -> bool {
    line.contains("Kernel panic - not syncing") || PROMPTS.iter().any(|text| line.starts_with(text))
}

pub(super) fn until_end(
    machine: &Machine,
    child: &mut Child,
    console: &Receiver<Line>,
    start: Instant,
) -> Result<Watched> {
    let mut lines = Vec::new();
    let mut deadline = start + machine.limit;
    let mut at_deadline = Stop::Timeout;
    let stop = loop {
        let wait = deadline.saturating_duration_since(Instant::now());
        match console.recv_timeout(wait) {
            Ok(line) => {
                let kill = machine
                    .kill
                    .as_ref()
                    .filter(|kill| line.text.contains(&kill.line));
                let dead = is_dead(&line.text);
                if let Some(kill) = kill.filter(|_| at_deadline == Stop::Timeout) {
                    (deadline, at_deadline) = (Instant::now() + kill.delay, Stop::Killed);
                } else if dead && at_deadline == Stop::Timeout {
                    // A second for the lines that explain it.
                    deadline = Instant::now() + Duration::from_secs(1);
                    at_deadline = Stop::Dead(line.text.clone());
                }
                lines.push(line);
            }
            Err(RecvTimeoutError::Timeout) => break at_deadline,
            Err(RecvTimeoutError::Disconnected) => {
                break Stop::Exited(child.wait().context("wait for qemu")?);
            }
        }
    };
    if !matches!(stop, Stop::Exited(_)) {
        child.kill().context("kill qemu")?;
        child.wait().context("wait for qemu")?;
    }
    let elapsed = start.elapsed();
    lines.extend(console.iter());
    Ok(Watched {
        stop,
        lines,
        elapsed,
    })
}
