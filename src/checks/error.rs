//! Why a check could not look.

use crate::{bootcfg, bootchain, sys, tree};

/// Could not look: not the same as looked, and it is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// A configuration file can't be understood.
    #[error(transparent)]
    BootConfiguration(#[from] bootcfg::Error),
    /// The boot chain could not be followed.
    #[error(transparent)]
    BootChain(#[from] bootchain::Error),
    /// The file system could not be walked.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The root file system's top level is not mounted.
    #[error("the top level of the root file system could not be looked at")]
    NoTopLevel,
    /// Another file system of the layout is not there.
    #[error("the file system of {0} is missing")]
    Missing(String),
    /// Something that only a running system has, asked for in the initramfs.
    #[error("{0} can only be looked at in a running system")]
    NoRunningSystem(&'static str),
    /// A file of the kernel's does not say what it always says.
    #[error("{0}")]
    Malformed(String),
}
