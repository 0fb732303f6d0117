//! What a command ends with when it can't go on.

use std::path::PathBuf;

use crate::cli::Exit;
use crate::documents::lint::{Problem, Severity};
use crate::{documents, engine, sys};

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
    /// Nothing is mounted while another kernel believes to own the disk.
    #[error(
        "{} holds a hibernated system: nothing is looked at. Start that system and shut it down",
        device.display()
    )]
    Hibernated {
        /// The swap device.
        device: PathBuf,
    },
    /// Something went wrong at boot, and then the journal could not be read either.
    #[error("{first}; and when looking once more: {second}")]
    Twice {
        /// What went wrong.
        first: Box<Error>,
        /// Why it is not known which root the journal names.
        second: Box<Error>,
    },
    /// Something went wrong at boot, and the journal could not be told.
    #[error("{0}")]
    Unnoted(String),
    /// A document can't be used.
    #[error(transparent)]
    Document(Box<documents::Error>),
    /// `lint` finds errors in documents that were to be acted on.
    #[error("{}", in_words(.0))]
    Incoherent(Vec<Problem>),
    /// The engine could not go on.
    #[error(transparent)]
    Engine(Box<engine::Error>),
    /// The kernel or a file said no.
    #[error(transparent)]
    System(#[from] sys::Error),
}

impl From<documents::Error> for Error {
    fn from(cause: documents::Error) -> Self {
        Self::Document(Box::new(cause))
    }
}

impl From<engine::Error> for Error {
    fn from(cause: engine::Error) -> Self {
        Self::Engine(Box::new(cause))
    }
}

impl Error {
    /// What the exit status says of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Document(_) | Self::Incoherent(_) => Exit::Usage,
            Self::NothingArmed => Exit::NotNow,
            Self::NotBtrfs => Exit::NotWell,
            Self::NotRoot
            | Self::Hibernated { .. }
            | Self::Twice { .. }
            | Self::Unnoted(_)
            | Self::System(_) => Exit::Failure,
            Self::Engine(cause) => exit_of_engine(cause),
        }
    }
}

/// As `rootshift lint` says it.
fn in_words(problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    let errors = errors.count();
    let each: Vec<String> = problems.iter().map(Problem::render).collect();
    format!(
        "the documents can't be acted on ({errors} errors); nothing was changed\n{}",
        each.join("\n\n")
    )
}

fn exit_of_engine(error: &engine::Error) -> Exit {
    use engine::Error as Engine;
    match error {
        Engine::Document(_) | Engine::Unresolved(_) => Exit::Usage,
        Engine::NotNow(_) => Exit::NotNow,
        busy if busy.is_busy() => Exit::NotNow,
        Engine::Checks { .. } | Engine::Stale { .. } => Exit::NotWell,
        _ => Exit::Failure,
    }
}
