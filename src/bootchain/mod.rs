//! How this machine boots: which loader started it, what that loader reads, whether the new system
//! can be found by it, and how what it reads is pointed at one system or the other.
//!
//! Everything is looked at through a [`Root`](crate::sys::Root), so that a machine may be a folder.
//! Checks, steps and the engine call this room; it knows neither documents' steps nor the journal.

mod error;
mod prove;
mod switch;

pub use error::Error;
pub use prove::{NewSystem, broken_link};
pub use switch::Switch;
