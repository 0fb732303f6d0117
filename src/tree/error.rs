//! What can go wrong on the way through a tree.

use std::path::PathBuf;

use crate::sys;

/// The error of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error(transparent)]
    Sys(#[from] sys::Error),
    /// Something is mounted inside the tree.
    #[error("{} is a mount point of another file system; unmount it first", path.display())]
    Mount {
        /// Where.
        path: PathBuf,
    },
    /// A subvolume lies inside the tree.
    #[error("{} is a subvolume of its own", path.display())]
    NestedSubvolume {
        /// Where.
        path: PathBuf,
    },
    /// Somebody asked this process to stop.
    #[error("it was asked to stop")]
    Stopped,
    /// A directory went elsewhere while it was being walked.
    #[error("{} was moved while it was being walked", path.display())]
    Moved {
        /// The directory, relative to the tree's root.
        path: PathBuf,
    },
    /// A manifest cannot be hung into another at this place.
    #[error("a manifest cannot be grafted at {}: {problem}", path.display())]
    Graft {
        /// The place.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
    },
    /// A manifest's text does not follow its grammar.
    #[error("manifest, line {line}: {problem}")]
    Text {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    /// A directory was to be empty and is not.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        matches!(self, Self::Sys(cause) if cause.is_not_empty())
    }

    /// The file system (or the quota) is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Sys(cause) if cause.is_no_space())
    }
}
