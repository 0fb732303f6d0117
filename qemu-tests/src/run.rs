//! Other programs: run to the end, with an error that names the command and quotes what it said.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// A command with the system directories on its path, whatever shell the caller came from.
pub fn tool(program: impl AsRef<OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    // With a PATH of its own std forks the whole process (a fifth of a generated machine's time)
    // where it would spawn.
    if !path.split(':').any(|place| place == "/usr/sbin") {
        command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    }
    command
}

/// Runs to the end; the error holds the command line and the end of what it printed.
pub fn run(command: &mut Command) -> Result<()> {
    capture(command).map(drop)
}

/// Runs to the end and returns what it printed, without the last line break.
pub fn output(command: &mut Command) -> Result<String> {
    let out = capture(command)?;
    Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
}

/// Runs with the caller's own standard output and error: for long work people watch.
pub fn show(command: &mut Command) -> Result<()> {
    let line = describe(command);
    let status = command
        .status()
        .with_context(|| format!("start `{line}`"))?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{line}` ended with {status}")
    }
}

/// True when the program can be started at all.
pub fn exists(program: &str) -> bool {
    tool("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", program])
        .status()
        .is_ok_and(|s| s.success())
}

/// True when this process may mount, attach loop devices and chroot.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn capture(command: &mut Command) -> Result<Output> {
    let line = describe(command);
    let out = command
        .output()
        .with_context(|| format!("start `{line}`"))?;
    if out.status.success() {
        return Ok(out);
    }
    let said = [out.stdout.as_slice(), out.stderr.as_slice()].concat();
    bail!(
        "`{line}` ended with {}\n{}",
        out.status,
        tail(&String::from_utf8_lossy(&said), 12)
    )
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// The last `count` lines of a text.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_quotes_what_the_program_said() {
        let error = run(tool("sh").args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no such luck") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn tail_keeps_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
