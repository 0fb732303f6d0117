//! What can go wrong with the journal.

use std::path::PathBuf;

use crate::sys;

/// An error of the journal. In each case the file was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record that was once durable no longer matches its checksum or its place.
    #[error(
        "the journal {path} is damaged at byte {offset}: {problem}; nothing was changed. \
         Keep a copy of the file, then start again with `rootshift disarm --discard-journal`"
    )]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// Where the bad frame begins.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A record is whole, and not one of this version's.
    #[error(
        "the journal {path} was written by another version of rootshift ({problem}; this is {}); \
         nothing was changed. Use the version that armed this machine",
        env!("CARGO_PKG_VERSION")
    )]
    OtherVersion {
        /// The journal's file.
        path: PathBuf,
        /// What is not known here.
        problem: String,
    },
    /// The journal may not grow any further.
    #[error("the journal {path} is full ({size} bytes); nothing more is done")]
    Full {
        /// The journal's file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// Another rootshift has the journal open.
    #[error("another rootshift is at work on {path}; wait for it to end")]
    Busy {
        /// The journal's file.
        path: PathBuf,
    },
    /// A record could not be turned into JSON.
    #[error("cannot write a record to {path}: {cause}")]
    Encode {
        /// The journal's file.
        path: PathBuf,
        /// Why.
        cause: serde_json::Error,
    },
    /// Reading, appending or making it durable failed.
    #[error("the journal {path}: cannot {act}: {cause}")]
    File {
        /// What was tried.
        act: &'static str,
        /// The journal's file.
        path: PathBuf,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// Opening it failed.
    #[error(transparent)]
    System(#[from] sys::Error),
}
