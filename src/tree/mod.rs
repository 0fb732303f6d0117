//! Whole trees of files: walk, manifest, compare, remove.
//!
//! Over [`crate::sys::Root`] only. No symlink is followed, no other mount is entered, and depth
//! costs neither stack nor descriptors.

pub mod compare;
pub mod error;
pub mod manifest;
pub mod remove;
pub mod walk;

pub use error::Error;
pub use manifest::Manifest;
