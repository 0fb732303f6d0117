//! The journal: what was begun and what is durably done. Nothing else is state.
//!
//! [`frame`] turns payloads into checked bytes and back (pure), [`record`] and
//! [`object`] name what can be recorded, [`store`] keeps the file.

mod crc32;
mod error;
pub mod frame;
pub mod object;
pub mod record;
pub mod store;

pub use error::Error;
pub use object::{Object, Role};
pub use record::Record;
pub use store::{Entry, Glance, Journal};
