//! Whole trees of files: walk, manifest, compare, remove.
//!
//! Over [`crate::sys`] only. No symlink is followed, no other mount is entered, and depth costs
//! neither stack nor descriptors.

pub mod compare;
mod content;
pub mod error;
mod links;
pub mod manifest;
pub mod remove;
mod text;
pub mod walk;

pub use error::Error;
pub use manifest::Manifest;

#[cfg(test)]
mod tests;
