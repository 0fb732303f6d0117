//! Why the boot chain could not be looked at, or not be changed.

use std::path::PathBuf;

use crate::{bootcfg, sys};

/// The room's failures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// A configuration file can't be understood.
    #[error("{}: {cause}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: bootcfg::Error,
    },
    /// Something is where rootshift's own should be.
    #[error("{}: {problem}", path.display())]
    InTheWay {
        /// What it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    pub(super) fn in_the_way(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::InTheWay {
            path: path.into(),
            problem: problem.into(),
        }
    }
}
