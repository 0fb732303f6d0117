//! What a command ends with when it can't go on.

use crate::cli::Exit;
use crate::{documents, engine, journal, sys};

/// A command's failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not run by root.
    #[error("this needs root's rights; run it with sudo")]
    NotRoot,
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The root file system is not one that this can be done with.
    #[error("the root file system is not btrfs: not supported yet; nothing was changed")]
    NotBtrfs,
    /// Nothing was ever armed here.
    #[error("nothing was armed on this machine; run `rootshift check`, then `rootshift arm`")]
    NothingArmed,
    /// A document can't be used.
    #[error(transparent)]
    Document(#[from] documents::Error),
    /// The engine could not go on.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
}

impl Error {
    /// What the exit status says of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        use engine::Error as Engine;
        match self {
            Self::Usage(_) | Self::Document(documents::Error::System(_)) => Exit::Usage,
            Self::Document(_) | Self::Engine(Engine::Document(_) | Engine::Unresolved(_)) => {
                Exit::Usage
            }
            Self::NothingArmed | Self::Engine(Engine::NotNow(_)) => Exit::NotNow,
            Self::Engine(Engine::Journal(journal::Error::Busy { .. })) => Exit::NotNow,
            Self::NotBtrfs | Self::Engine(Engine::Checks { .. } | Engine::Stale { .. }) => {
                Exit::NotWell
            }
            Self::NotRoot | Self::System(_) | Self::Engine(_) => Exit::Failure,
        }
    }
}
