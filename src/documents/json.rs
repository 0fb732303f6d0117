//! JSON out. One writer for all types: each further one would be compiled for every type again.

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
