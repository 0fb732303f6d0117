//! btrfs: subvolumes, what changed in them, and space.
//!
//! No change is durable when its call returns; [`crate::sys::Root::sync_filesystem`] makes it so.

mod call;
mod handle;
mod inode;
mod list;
mod names;
mod qgroup;
mod search;
mod space;
mod statistics;
mod subvolume;

pub use handle::open_inode;
pub use inode::{Inode, changes_since, directories_of, has_data_since, inode, path_of};
pub use list::{
    Subvolume, TOO_DEEP, TOP_LEVEL, default_subvolume, first_change_since,
    first_change_since_except, list_subvolumes, quotas_enabled,
};
pub use names::{Changed, changed_since, directory_of, names_of};
pub use qgroup::remove_qgroup;
pub use space::{Filesystem, Space, filesystem, space};
pub use statistics::{DeviceErrors, ERROR_KINDS, device_errors};
pub use subvolume::{
    ROOT_INODE, SubvolumeInfo, create_subvolume, delete_subvolume, delete_subvolume_of_id,
    is_subvolume, require_writable, set_read_only, snapshot, snapshot_as, subvolume_info, unlock,
    unlocked,
};
