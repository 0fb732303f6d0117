//! What can go wrong in a step.

use std::path::PathBuf;

use crate::{bootcfg, bootchain, sys};

/// A step's failure. What it changed by then is in the prepared tree only, unless the step runs
/// after the commit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// A configuration file can't be rewritten.
    #[error("cannot rewrite {path}: {cause}")]
    BootConfiguration {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: bootcfg::Error,
    },
    /// Something that rootshift did not make is in the way.
    #[error("{path}: {problem}")]
    InTheWay {
        /// What.
        path: PathBuf,
        /// Why it can't go on.
        problem: String,
    },
    /// The effect is not what it should be.
    #[error("{path} is not as it should be: {problem}")]
    NotVerified {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl From<bootchain::Error> for Error {
    fn from(cause: bootchain::Error) -> Self {
        match cause {
            bootchain::Error::System(cause) => Self::System(cause),
            bootchain::Error::Configuration { path, cause } => {
                Self::BootConfiguration { path, cause }
            }
            bootchain::Error::InTheWay { path, problem } => Self::InTheWay { path, problem },
        }
    }
}

impl Error {
    /// Whether what stands in the way may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::System(cause) if cause.may_pass())
    }

    pub(super) fn in_the_way(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::InTheWay {
            path: path.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn not_verified(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::NotVerified {
            path: path.into(),
            problem: problem.into(),
        }
    }
}
