//! What goes to standard output. A closed pipe is nobody's failure.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::documents::json::{self, is_control, visible};

/// Clears a terminal's line from the cursor on (ECMA-48, EL).
pub const CLEAR_TO_END: &str = "\x1b[K";

/// Whether a line of progress stands on the terminal, to be cleared before anything else is said.
static LINE_IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Says whether a line of progress stands on the terminal; returns whether one stood there.
pub fn set_line_is_open(is_open: bool) -> bool {
    LINE_IS_OPEN.swap(is_open, Ordering::Relaxed)
}

fn clear_open_line() {
    if set_line_is_open(false) {
        let _ = write!(std::io::stderr(), "\r{CLEAR_TO_END}");
    }
}

const GOOD: &str = "\x1b[32mok  \x1b[0m";
const BAD: &str = "\x1b[31mFAIL\x1b[0m";

/// Prints a line. Control characters in it, as names of files may have, are printed escaped.
pub fn line(text: &str) {
    clear_open_line();
    let mark = [GOOD, BAD].into_iter().find(|mark| text.starts_with(mark));
    let mark = mark.unwrap_or_default();
    let text = text.get(mark.len()..).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{mark}{}", visible(text, &['\n', '\t']));
}

/// Prints a line on standard error, as [`line`].
pub fn error(text: &str) {
    clear_open_line();
    let text = visible(text, &['\n', '\t']);
    let _ = writeln!(std::io::stderr(), "rootshift: {text}");
}

/// The text in at most so many columns, its end cut off where that is too few. Control characters
/// are made harmless: names from documents can't move the cursor.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let harmless = |c: char| if is_control(c) { '?' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(harmless).collect();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.map(harmless).chain(['…']).take(width).collect()
}

/// Prints a value as JSON.
pub fn json(value: &Value) {
    match json::text(value) {
        Ok(text) => compact_json(&text),
        Err(cause) => error(&format!("cannot print JSON: {cause}")),
    }
}

/// The same for what is JSON already, on one line.
pub fn compact_json(text: &[u8]) {
    let text = json::indented(text);
    line(String::from_utf8_lossy(&text).trim_end());
}

/// A mark before a line: in colour on a terminal.
#[must_use]
pub fn mark(good: bool) -> &'static str {
    match (good, std::io::stdout().is_terminal()) {
        (true, true) => GOOD,
        (false, true) => BAD,
        (true, false) => "ok  ",
        (false, false) => "FAIL",
    }
}

/// Asks on the terminal; without one the answer is no.
#[must_use]
pub fn confirmed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        error(&format!(
            "{question} There is no terminal to ask on: give --yes"
        ));
        return false;
    }
    clear_open_line();
    let mut out = std::io::stdout();
    let _ = write!(out, "{question} [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
