//! What will later be deleted, renamed or guarded, known by what it is and not by its name.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// One thing on one file system, as it was at the commit.
///
/// Subvolume, inode and the transaction that made it together are never given again, whoever
/// renames, deletes and makes what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// What it is to rootshift.
    pub role: Role,
    /// Where its file system is mounted in the old system.
    #[serde(default = "root_filesystem", skip_serializing_if = "is_root")]
    pub filesystem: String,
    /// Its path from the top level then.
    pub path: String,
    /// The UUID of the subvolume that it is, or in which it lies; zero for the top level of old
    /// file systems.
    pub subvolume: String,
    /// That subvolume's id.
    pub id: u64,
    /// Its inode in it; 256 is the root of the subvolume.
    pub inode: u64,
    /// The transaction that made it.
    pub born: u64,
    /// Its owner.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owner: u32,
    /// What is in it was not changed after this transaction by anybody who takes part.
    pub generation: u64,
}

/// What an object is to rootshift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An entry of a flat old system's top level.
    OldEntry,
    /// The subvolume that is the old system's root.
    OldSubvolume,
    /// A subvolume nested in the old system.
    Nested,
    /// A subvolume of the new system.
    NewSubvolume,
    /// rootshift's own directory of what belongs to another subvolume.
    Trash,
    /// rootshift's own subvolume.
    Home,
    /// A subvolume that was prepared and has no place in the new system.
    Staged,
}

impl Object {
    /// Its path from the top level then.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }
}

fn root_filesystem() -> String {
    "/".into()
}

fn is_root(place: &str) -> bool {
    place == "/"
}

fn is_zero(owner: &u32) -> bool {
    *owner == 0
}
