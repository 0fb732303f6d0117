//! The harness: real Debian images, virtual machines, power cuts, and the work behind `cargo xtask`.
//!
//! Each module is usable by itself: `setup` installs what a fresh machine lacks, `image` builds
//! disks, `task` composes what a guest shall do, `machine` runs a guest to a named end,
//! `write_log` and `power_cut` rebuild the disk as a power cut leaves it.
//!
//! `proof` alone is built for the guest: nothing that changes in the rest makes its program anew.

#[cfg(feature = "harness")]
pub mod bench;
#[cfg(feature = "harness")]
pub mod demo;
#[cfg(feature = "documents")]
pub mod documents;
#[cfg(feature = "harness")]
pub mod expectations;
#[cfg(feature = "harness")]
pub mod faults;
#[cfg(feature = "harness")]
pub mod image;
#[cfg(feature = "harness")]
pub mod machine;
#[cfg(feature = "harness")]
pub mod machines;
#[cfg(feature = "harness")]
pub mod package;
#[cfg(feature = "harness")]
pub mod power_cut;
pub mod proof;
#[cfg(feature = "harness")]
pub mod run;
#[cfg(feature = "harness")]
pub mod scenario;
#[cfg(feature = "harness")]
pub mod setup;
#[cfg(feature = "harness")]
pub mod sweep;
#[cfg(feature = "harness")]
pub mod task;
#[cfg(feature = "harness")]
pub mod testing;
#[cfg(feature = "harness")]
pub mod workers;
#[cfg(feature = "harness")]
pub mod workspace;
#[cfg(feature = "harness")]
pub mod write_log;
