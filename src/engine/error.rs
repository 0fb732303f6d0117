//! What can go wrong in the engine.

use std::path::PathBuf;

use crate::{checks, documents, journal, steps, sys, tree};

/// The engine's failures. Large causes are boxed: it goes through every function, and a wide one is
/// copied piece by piece in each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A document can't be used.
    #[error(transparent)]
    Document(Box<documents::Error>),
    /// The journal can't be used.
    #[error(transparent)]
    Journal(Box<journal::Error>),
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// Deleting the old system failed.
    #[error("cannot delete the old system: {0}")]
    Tree(Box<tree::Error>),
    /// A directory of the old system was emptied and can't be removed.
    #[error(
        "{cause}, though all in it was deleted: run `rootshift finalize` again. If it says the \
         same, the disk failed once while a name was deleted: the new system is whole, and \
         `btrfs check --readonly`, run from another system, tells what is left there"
    )]
    Leftover {
        /// What the kernel said.
        cause: Box<Error>,
    },
    /// A step failed.
    #[error("step {step}: {cause}")]
    Step {
        /// Its id.
        step: String,
        /// Why.
        cause: Box<steps::Error>,
    },
    /// A step failed and taking the prepared work back failed too.
    #[error(
        "{cause}; and taking the prepared work back failed: {undo}. The old system is whole; \
         `rootshift disarm` tries again to tidy up"
    )]
    StepAndUndo {
        /// The first failure.
        cause: Box<Error>,
        /// The second one.
        undo: Box<Error>,
    },
    /// A step failed, and its recovery failed too.
    #[error("{cause}; and its recovery failed: {recovery}")]
    StepAndRecovery {
        /// Why the step failed.
        cause: Box<Error>,
        /// Why the recovery failed.
        recovery: Box<steps::Error>,
    },
    /// A person stopped the run at a checkpoint.
    #[error("stopped at the checkpoint {phase}; the next boot asks again")]
    Stopped {
        /// The phase that the checkpoint ends.
        phase: String,
    },
    /// Checks that had to pass did not.
    #[error("{}", problems.join("\n"))]
    Checks {
        /// One line each.
        problems: Vec<String>,
    },
    /// The plan no longer fits the machine.
    #[error("the plan is stale: {reason}; run `{remedy}`")]
    Stale {
        /// What changed.
        reason: String,
        /// The command that makes it fit again.
        remedy: &'static str,
    },
    /// The state does not allow it.
    #[error("{0}")]
    NotNow(String),
    /// The batch can't be resolved for this machine.
    #[error("{0}")]
    Unresolved(String),
    /// An initramfs is not as it has to be.
    #[error("{image}: {problem}")]
    Image {
        /// The image.
        image: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A program that makes a restored file count failed.
    #[error(
        "the file is put back, but `{command}` ended with {status}; mend that and run it again"
    )]
    FollowUp {
        /// The program with its arguments.
        command: String,
        /// Its exit status.
        status: i32,
    },
    /// Looking was not possible.
    #[error(transparent)]
    Check(Box<checks::Error>),
}

macro_rules! boxed {
    ($($cause:ty => $variant:ident)*) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::$variant(Box::new(cause))
            }
        }
    )*};
}

boxed! {
    documents::Error => Document
    journal::Error => Journal
    tree::Error => Tree
    checks::Error => Check
}

impl Error {
    /// Another process holds the journal.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Journal(cause) if matches!(**cause, journal::Error::Busy { .. }))
    }

    /// The step that failed, where it was one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Step { step, .. } => Some(step),
            Self::StepAndRecovery { cause, .. } | Self::StepAndUndo { cause, .. } => cause.step(),
            _ => None,
        }
    }
}
