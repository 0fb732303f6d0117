//! Batches, viScripts, layouts and plans: their types and their strict parsing.
//!
//! Documents are data. Nothing in them is ever given to a shell, and every path in them is
//! resolved inside the target root.

pub mod action;
pub mod batch;
pub mod carry;
pub mod check;
mod error;
pub mod expand;
pub mod fence;
pub mod json;
pub mod layout;
pub mod library;
pub mod lint;
pub mod mount_options;
pub mod order;
pub mod origin;
pub mod parse;
mod place;
pub mod plan;
mod reader;
mod record;
pub mod restore;
pub mod size;
pub mod step;
pub mod template;
pub mod viscript;

pub use action::Action;
pub use batch::Batch;
pub use check::CheckSpec;
pub use error::Error;
pub use layout::Layout;
pub use origin::Origin;
pub use plan::Plan;
pub use step::StepSpec;
pub use viscript::ViScript;
