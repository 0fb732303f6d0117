//! The console: lines with the time since power on.

use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// One line of the console, without escape sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Since power on.
    pub at: Duration,
    /// The text.
    pub text: String,
}

/// A prompt is never followed by a line break; these are taken as lines.
pub(super) const PROMPTS: &[&str] = &["grub rescue>", "grub>", "(initramfs)", "Shell>"];

/// Reads in a thread of its own until the guest is gone; writes `log` as it goes.
pub(super) fn follow(
    output: impl Read + Send + 'static,
    start: Instant,
    log: &Path,
) -> Result<Receiver<Line>> {
    let log = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || read(output, start, BufWriter::new(log), &sender));
    Ok(receiver)
}

fn read(mut output: impl Read, start: Instant, mut log: BufWriter<File>, sender: &Sender<Line>) {
    let mut splitter = Splitter::default();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        for text in splitter.push(&buffer[..count]) {
            let line = Line {
                at: start.elapsed(),
                text,
            };
            // A full disk or a gone receiver must not stop the guest.
            _ = writeln!(log, "[{:8.3}] {}", line.at.as_secs_f64(), line.text);
            _ = sender.send(line);
        }
        _ = log.flush();
    }
}

/// Bytes in, whole lines out.
#[derive(Default)]
struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.push(clean(&line));
        }
        let begun = clean(&self.rest);
        if PROMPTS.iter().any(|prompt| begun.starts_with(prompt)) {
            self.rest.clear();
            lines.push(begun);
        }
        lines.retain(|line| !line.is_empty());
        lines
    }
}

/// Text without control characters and terminal sequences (`ESC [ … letter`, `ESC c`).
fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut kept = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            if letters.next() == Some('[') {
                letters.by_ref().find(|c| c.is_ascii_alphabetic());
            }
        } else if !letter.is_control() || letter == '\t' {
            kept.push(letter);
        }
    }
    kept.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut splitter = Splitter::default();
        assert!(splitter.push(b"rootshift: [ 3/").is_empty());
        assert_eq!(
            splitter.push(b"12] go\r\n\r\nnext\n"),
            ["rootshift: [ 3/12] go", "next"]
        );
    }

    #[test]
    fn a_prompt_counts_without_a_line_break() {
        let mut splitter = Splitter::default();
        assert_eq!(
            splitter
                .push(b"error: no such device.\ngrub rescue> ")
                .len(),
            2
        );
    }

    #[test]
    fn terminal_sequences_are_dropped() {
        assert_eq!(
            clean(b"[\x1b[0;32m  OK  \x1b[0m] Reached\r\n"),
            "[  OK  ] Reached"
        );
        assert_eq!(clean(b"\x1bc\x1b[?7l\x1b[2JSeaBIOS"), "SeaBIOS");
    }
}
