//! How this machine boots: which loader started it, what that loader reads, whether the new system
//! can be found by it, and how what it reads is pointed at one system or the other.
//!
//! Everything is looked at through a [`Root`](crate::sys::Root), so that a machine may be a folder.
//! Checks, steps and the engine call this room; it knows neither documents' steps nor the journal.

mod chain;
mod defaults;
mod detect;
mod embedded;
mod error;
mod firmware;
mod hand_over;
mod menus;
mod named;
mod produced;
mod prove;
mod switch;

pub use chain::{chain, changed, changed_in_this_boot};
pub use defaults::defaults_doubt;
pub use detect::{Doubt, Running, doubt};
pub use error::Error;
pub use hand_over::{hand_over, is_hand_over, remove as remove_hand_over};
pub use menus::{Entry as MenuEntry, made_entries, own_entries};
pub use named::{
    Choice, boot_id, choice, chosen_subvolume, command_line, why_not_chosen, why_not_named,
};
pub use produced::{Produced, produced_by, without_device};
pub use prove::{NewSystem, broken_link, broken_menu, entry_of_ours, files_of_entry};
pub use switch::Switch;
