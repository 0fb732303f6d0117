//! Edits the text files that decide what boots: fstab, grub.cfg, /etc/default/grub and the kernel
//! command line.
//!
//! Text in, text out: nothing here reads, writes or runs anything, so nothing here is durable; the
//! caller writes and syncs. Every edit keeps each byte that it has no reason to change, and every
//! edit is idempotent: an edited text edited again stays as it is.

pub mod cmdline;
mod cursor;
mod edit;
pub mod error;
pub mod fstab;
pub mod grub_config;
pub mod grub_defaults;
mod grub_script;
pub mod mount_line;
mod mount_options;

pub use error::Error;
