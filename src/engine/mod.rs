//! The state machine: what the journal says, what follows from it, and the only writer of it.

pub mod arming;
pub mod boot;
pub mod bootable;
mod circumstances;
pub mod conversions;
pub mod departure;
mod device_names;
mod error;
pub mod examine;
pub mod finalize;
mod fits;
pub mod home;
pub mod initramfs;
pub mod look;
pub mod migrate;
pub mod occasion;
pub mod others;
mod phase;
pub mod preflight;
pub mod recover;
pub mod rehearsal;
pub mod renew;
pub mod report;
pub mod resolve;
pub mod restore;
pub mod rollback;
pub mod run;
pub mod schedule;
pub mod standing;
pub mod state;
mod step;
pub mod survey;
pub mod templates;
pub mod validate;

pub use error::Error;
pub use state::{Stage, State};
