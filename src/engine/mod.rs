//! The state machine: what the journal says, what follows from it, and the only writer of it.

pub mod arming;
pub mod boot;
mod circumstances;
mod error;
pub mod finalize;
pub mod home;
pub mod initramfs;
pub mod migrate;
pub mod preflight;
pub mod report;
pub mod resolve;
pub mod restore;
pub mod rollback;
pub mod state;
pub mod survey;
pub mod validate;

pub use error::Error;
pub use state::{Stage, State};
