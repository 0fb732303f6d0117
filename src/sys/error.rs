//! One error for everything the kernel or a program can refuse.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The result of a call into this room.
pub type Result<T> = std::result::Result<T, Error>;

/// What was tried, on what, and why it did not work.
///
/// One word wide: it goes through every function, and a wide one is copied piece by piece in each.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Failure>);

/// The kinds of failure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A system call on one path failed.
    #[error("cannot {act} {}: {}", path.display(), cause_text(cause))]
    Call {
        /// The act as a verb: "open", "read the flags of".
        act: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// A system call on two paths failed.
    #[error("cannot {act} {} to {}: {}", from.display(), to.display(), cause_text(cause))]
    Pair {
        /// The act as a verb: "rename", "snapshot".
        act: &'static str,
        /// The source.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// A call about the process or the machine failed.
    #[error("cannot {act}: {}", without_number(cause))]
    Process {
        /// The act as a verb: "restart the machine".
        act: &'static str,
        /// Why it failed.
        cause: io::Error,
    },
    /// A program could not be started, or broke off.
    #[error("{program}: {problem}")]
    Program {
        /// The program with its arguments.
        program: String,
        /// What went wrong.
        problem: String,
    },
    /// A program is in none of the directories where programs are looked for.
    #[error("{program} is not installed (looked in {})", super::process::DIRECTORIES.join(", "))]
    NotInstalled {
        /// The program's name.
        program: String,
    },
    /// Something was read, but it is not what it should be.
    #[error("{what} {}: {problem}", path.display())]
    Malformed {
        /// What was expected: "superblock", "text file".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Box::new(failure))
    }
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.0
    }

    /// The thing named, or a directory on the way to it, does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOENT | Errno::NOTDIR))
    }

    /// The process that a file under /proc tells of has ended.
    #[must_use]
    pub fn is_no_such_process(&self) -> bool {
        self.errno() == Some(Errno::SRCH)
    }

    /// Something is there already under that name.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    /// The file system (or the quota) is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOSPC | Errno::DQUOT))
    }

    /// The file system can only be read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.errno() == Some(Errno::ROFS)
    }

    /// The kernel forbids it: wrong user, or an immutable or append-only file.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS))
    }

    /// A directory was to be empty and is not.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        self.errno() == Some(Errno::NOTEMPTY)
    }

    /// The kernel's error number, when the kernel was the one to refuse.
    /// Whether what stands in the way may pass by itself: busy, interrupted, out of memory.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self.errno(),
            Some(Errno::AGAIN | Errno::BUSY | Errno::INTR | Errno::NOMEM | Errno::TXTBSY)
        )
    }

    pub(in crate::sys) fn errno(&self) -> Option<Errno> {
        match &*self.0 {
            Failure::Call { cause, .. }
            | Failure::Pair { cause, .. }
            | Failure::Process { cause, .. } => Errno::from_io_error(cause),
            Failure::Program { .. } | Failure::NotInstalled { .. } | Failure::Malformed { .. } => {
                None
            }
        }
    }

    pub(crate) fn call(act: &'static str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Failure::Call {
            act,
            path: path.to_path_buf(),
            cause: cause.into(),
        }
        .into()
    }

    pub(in crate::sys) fn pair(
        act: &'static str,
        from: &Path,
        to: &Path,
        cause: impl Into<io::Error>,
    ) -> Self {
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        Failure::Pair {
            act,
            from,
            to,
            cause: cause.into(),
        }
        .into()
    }

    pub(in crate::sys) fn process(act: &'static str, cause: impl Into<io::Error>) -> Self {
        Failure::Process {
            act,
            cause: cause.into(),
        }
        .into()
    }

    pub(in crate::sys) fn malformed(
        what: &'static str,
        path: &Path,
        problem: impl Into<String>,
    ) -> Self {
        Failure::Malformed {
            what,
            path: path.to_path_buf(),
            problem: problem.into(),
        }
        .into()
    }
}

/// The cause in words. What root may not do to a file is mostly that file's lock.
fn cause_text(cause: &io::Error) -> String {
    if Errno::from_io_error(cause) == Some(Errno::PERM) {
        return "Operation not permitted; if `lsattr -d` shows i or a, `chattr -ia` unlocks it"
            .into();
    }
    without_number(cause)
}

/// std's " (os error 2)" tells people nothing.
pub(in crate::sys) fn without_number(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_act_path_and_cause_without_a_number() {
        let error = Error::call("open", Path::new("/a/b"), Errno::NOENT);
        assert_eq!(
            error.to_string(),
            "cannot open /a/b: No such file or directory"
        );
        let error = Error::pair("rename", Path::new("/x"), Path::new("/y"), Errno::EXIST);
        assert_eq!(error.to_string(), "cannot rename /x to /y: File exists");
    }

    #[test]
    fn kinds_are_told_apart() {
        let error = |errno| Error::call("open", Path::new("/a"), errno);
        assert!(error(Errno::NOENT).is_not_found());
        assert!(error(Errno::NOTDIR).is_not_found());
        assert!(error(Errno::EXIST).is_already_there());
        assert!(error(Errno::NOSPC).is_no_space());
        assert!(!error(Errno::IO).is_not_found());
        let missing = Failure::NotInstalled {
            program: "e2fsck".into(),
        };
        assert!(!Error::from(missing).is_not_found());
    }
}
