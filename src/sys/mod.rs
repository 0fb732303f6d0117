//! The only room that talks to the kernel: paths, mounts, btrfs, block devices, processes, power.
//!
//! Everything `unsafe`, and everything from rustix, nix and libc, stays here. Each file wraps one
//! family of calls and hands out plain types and one error, [`Error`]. Calls that change a file
//! system say whether the change is durable when they return; unless they say so it is not, and
//! [`Root::sync_filesystem`] makes it so.

pub mod attributes;
pub mod block;
pub mod btrfs;
pub mod clock;
pub mod console;
pub mod directory;
pub mod error;
pub mod ext4;
pub mod file_system_context;
pub mod holes;
pub mod mount;
pub mod network;
pub mod power;
pub mod process;
mod read_only;
pub mod room;
pub mod root;
pub mod signal;
pub mod socket;
mod sort;
mod spawn;
pub mod status;
pub mod supervise;
#[cfg(all(panic = "abort", target_env = "musl"))]
mod unwind;
pub mod usage;
pub mod watchdog;

pub use directory::Directory;
pub use error::{Error, Result};
pub use read_only::ReadOnly;
pub use root::Root;
pub use sort::sorted;
pub use status::{FileKind, FreeSpace, InodeFlags, Status, Time};
pub use usage::Usage;
