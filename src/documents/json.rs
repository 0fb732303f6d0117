//! JSON out. One writer for all types: each further one would be compiled for every type again.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// The value as compact JSON.
///
/// # Errors
/// When it has no JSON form; rootshift's own types all have one.
pub fn text(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value)
}

/// A tree of JSON, of whatever kind.
///
/// # Errors
/// When it is no JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// The value as a tree of JSON.
///
/// # Errors
/// When it has no JSON form; rootshift's own types all have one.
pub fn tree(value: &impl Serialize) -> Result<Value, serde_json::Error> {
    parse(&text(value)?)
}

/// Whether a terminal would do something else than show it: control characters, and those that
/// turn the direction of writing around.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as it can be shown to a terminal: control characters are written as in JSON, but for
/// those in `kept`.
#[must_use]
pub fn visible(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) && !kept.contains(&c) {
            // Writing to a String can't fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}
