//! The harness: real Debian images, virtual machines, power cuts, and the work behind `cargo xtask`.
//!
//! Each module is usable by itself: `setup` installs what a fresh machine lacks, `image` builds
//! disks, `task` composes what a guest shall do, `machine` runs a guest to a named end,
//! `write_log` and `power_cut` rebuild the disk as a power cut leaves it.

pub mod bench;
pub mod demo;
#[cfg(feature = "documents")]
pub mod documents;
pub mod expectations;
pub mod faults;
pub mod image;
pub mod machine;
pub mod package;
pub mod power_cut;
pub mod proof;
pub mod run;
pub mod scenario;
pub mod setup;
pub mod sweep;
pub mod task;
pub mod testing;
pub mod workers;
pub mod workspace;
pub mod write_log;
