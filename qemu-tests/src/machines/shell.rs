//! Commands in a machine.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};

use super::violation::{Kind, Violation};
use crate::run::{tail, tool};

/// Seconds; a command takes a fraction of one, but on a machine that has much else to do.
const LIMIT: &str = "600";

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Of an output.
    pub fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(137),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The end of all that it said.
    pub fn said(&self) -> String {
        let failed = |line: &&str| line.starts_with("FAIL");
        let blockers: Vec<&str> = self.stdout.lines().filter(failed).collect();
        let said = match blockers.is_empty() {
            true => self.stdout.clone(),
            false => blockers.join("\n") + "\n",
        };
        tail(&(said + &self.stderr), 8)
    }

    /// The end of it where it went well, and all of it where it did not.
    pub fn gist(&self) -> String {
        match self.code {
            0 => self
                .stdout
                .lines()
                .next_back()
                .unwrap_or_default()
                .to_owned(),
            _ => self.said().replace('\n', " / "),
        }
    }

    /// What a page for a console says, as one line.
    pub fn line(&self) -> String {
        let all = format!("{} {}", self.stdout, self.stderr);
        all.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A command in a chroot, with a limit.
pub fn inside(root: &Path, words: &[&str]) -> Command {
    let mut command = tool("timeout");
    command
        .args(["--signal=KILL", LIMIT, "chroot"])
        .arg(root)
        .args(words)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}

/// The program itself: it may end as documented, and in no other way.
pub fn program(root: &Path, words: &[&str], mask: bool) -> Result<Ran> {
    let all = [&["/run/tools/program"], words].concat();
    let line = all.join(" ");
    let with_mask = [
        &[
            "/run/tools/busybox",
            "sh",
            "-c",
            "umask 000; exec \"$@\"",
            "sh",
        ],
        &all[..],
    ];
    let with_mask = with_mask.concat();
    let mut command = inside(root, if mask { &with_mask } else { &all });
    let ran = Ran::of(command.output().with_context(|| format!("start {line}"))?);
    let panicked = ran.stderr.contains("panicked at");
    if panicked || !(0..=4).contains(&ran.code) {
        let what = format!(
            "`{}` ended with {}: {}",
            words.join(" "),
            ran.code,
            ran.said()
        );
        return Err(Violation::error(Kind::Crashed, what));
    }
    Ok(ran)
}
