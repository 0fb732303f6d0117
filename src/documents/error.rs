//! What can be wrong with a document.

use std::path::PathBuf;

use crate::sys;

/// A document that can't be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not the JSON that its kind asks for.
    #[error("{file}:{line}:{column}: {at}{problem}{hint}")]
    Parse {
        /// The file's name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Where in the document, as `phases[1].viScripts[0]: `; empty at its top.
        at: String,
        /// What is wrong.
        problem: String,
        /// The remedy, where one is known.
        hint: String,
    },
    /// It is well formed and makes no sense.
    #[error("{file}: {at}: {problem}")]
    Sense {
        /// The file's name.
        file: String,
        /// Where in the document.
        at: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// There is no such file.
    #[error("no {kind} named {name}; looked in {}", searched.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NotFound {
        /// `batch` or `viScript`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// Somebody else than root could have written it.
    #[error("{file} is not safe to act on: {problem}")]
    Unguarded {
        /// The file's name.
        file: String,
        /// Why, and what to do.
        problem: String,
    },
    /// It could not be read.
    #[error(transparent)]
    System(#[from] sys::Error),
}
