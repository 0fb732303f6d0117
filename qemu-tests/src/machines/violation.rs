//! What must never happen, when it happened.

use std::fmt;

/// The kinds of violation. A machine is made smaller as long as the kind stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `check`, or a command that refused, changed something on the disk.
    Changed,
    /// A command died, or could not look at the machine at all.
    Crashed,
    /// "Ready" was said and nothing was armed or committed.
    NotCommitted,
    /// What the firmware would start does not come up.
    Unbootable,
    /// A line of fstab that worked before does not any more.
    Fstab,
    /// A file is missing, or is another one.
    Files,
    /// Something of somebody else's can be changed by an unprivileged user.
    Privilege,
    /// What a command promised did not happen.
    FalsePromise,
    /// No command and no boot leads anywhere.
    DeadEnd,
    /// `btrfs check` found something.
    Filesystem,
    /// The harness itself failed.
    Harness,
}

impl Kind {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Crashed => "crashed",
            Self::NotCommitted => "not-committed",
            Self::Unbootable => "unbootable",
            Self::Fstab => "fstab",
            Self::Files => "files",
            Self::Privilege => "privilege",
            Self::FalsePromise => "false-promise",
            Self::DeadEnd => "dead-end",
            Self::Filesystem => "filesystem",
            Self::Harness => "harness",
        }
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub kind: Kind,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// An error that is one.
    pub fn error(kind: Kind, what: impl Into<String>) -> anyhow::Error {
        let what = what.into();
        anyhow::Error::new(Self { kind, what })
    }

    /// The one in an error; any other error is the harness's own.
    pub fn of(error: anyhow::Error) -> Self {
        let told = format!("{error:#}");
        match error.downcast::<Self>() {
            Ok(violation) => violation,
            Err(_) => Self {
                kind: Kind::Harness,
                what: told,
            },
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.name(), self.what)
    }
}

impl std::error::Error for Violation {}
