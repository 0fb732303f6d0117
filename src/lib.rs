//! rootshift moves an installed Debian or Ubuntu system onto a btrfs subvolume layout before its
//! root file system is mounted.
//!
//! The rooms, top to bottom; a room imports only rooms below it (held by `tests/rooms.rs`):
//! `modes`, `engine`, `steps` and `checks`, `bootchain`, then `tree`, `bootcfg`, `journal` and `report`, then
//! `documents` and `cli`, then `sys`, then `fault`.

pub mod bootcfg;
pub mod bootchain;
pub mod checks;
pub mod cli;
pub mod documents;
pub mod engine;
pub mod fault;
pub mod journal;
pub mod modes;
pub mod report;
pub mod steps;
pub mod sys;
pub mod tree;
