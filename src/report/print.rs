//! What goes to standard output. A closed pipe is nobody's failure.

use std::io::{BufRead, IsTerminal, Write};

use serde_json::Value;

/// Prints a line.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line on standard error.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr(), "rootshift: {text}");
}

/// Prints a value as JSON.
pub fn json(value: &Value) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(cause) => error(&format!("cannot print JSON: {cause}")),
    }
}

/// A mark before a line: in colour on a terminal.
#[must_use]
pub fn mark(good: bool) -> &'static str {
    match (good, std::io::stdout().is_terminal()) {
        (true, true) => "\x1b[32mok  \x1b[0m",
        (false, true) => "\x1b[31mFAIL\x1b[0m",
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
    let mut out = std::io::stdout();
    let _ = write!(out, "{question} [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
