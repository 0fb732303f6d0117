//! The proof that no file was lost or changed: manifests taken inside the guest, kept on a disk
//! of their own ("notes") across boots and power cuts, and compared inside the guest.

mod notes;
mod sections;
mod verdict;
pub mod volatile;

pub use notes::{NOTES_SIZE, read, write};
pub use sections::{Section, View, record};
pub use verdict::{SectionVerdict, Verdict, compare};
