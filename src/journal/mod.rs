//! The journal: what was begun and what is durably done. Nothing else is state.
//!
//! [`frame`] turns payloads into checked bytes and back (pure), [`record`] names what can be
//! recorded, [`store`] keeps the file.

mod error;
pub mod frame;
pub mod record;
pub mod store;

pub use error::Error;
pub use record::Record;
pub use store::{Entry, Glance, Journal};
