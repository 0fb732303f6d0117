//! Signs of life: what a worker tells the process that watches over it, a line each on its
//! standard output. Without such a process nothing is said.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

static WATCHED: AtomicBool = AtomicBool::new(false);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign<'a> {
    /// It is getting on.
    Alive,
    /// It is here, in words: "in step X".
    At(&'a str),
    /// It waits for a person, for at most so many seconds.
    Waiting(u64),
    /// It writes the record that another root follows from: until the next sign of a root nobody
    /// knows which one the journal names.
    Undecided,
    /// It ends, and does not know which root the journal names: why, in words.
    Failed(&'a str),
    /// Mount options of the root that the journal names now.
    Root(&'a str),
    /// The kernel command line names the root, whatever was told before.
    AsGiven,
}

/// From now on signs are given.
pub fn begin() {
    WATCHED.store(true, Ordering::Relaxed);
}

/// Gives a sign, if somebody watches. Failing to is nobody's failure.
pub fn give(sign: Sign) {
    if WATCHED.load(Ordering::Relaxed) {
        let _ = std::io::stdout().write_all(line(sign).as_bytes());
    }
}

fn line(sign: Sign) -> String {
    let (word, rest) = match sign {
        Sign::Alive => ("alive", ""),
        Sign::Undecided => ("undecided", ""),
        Sign::AsGiven => ("as-given", ""),
        Sign::At(place) => ("at", place),
        Sign::Failed(why) => ("failed", why),
        Sign::Root(flags) => ("root", flags),
        Sign::Waiting(seconds) => return format!("waiting {seconds}\n"),
    };
    let rest = rest.replace(['\n', '\r'], " ");
    format!("{word} {rest}\n")
}

/// Reads a line; one that makes no sense still tells that somebody is alive.
#[must_use]
pub fn read(line: &str) -> Sign<'_> {
    match line.split_once(' ') {
        Some(("at", place)) => Sign::At(place),
        Some(("failed", why)) => Sign::Failed(why),
        Some(("root", flags)) => Sign::Root(flags),
        Some(("waiting", seconds)) => seconds.parse().map_or(Sign::Alive, Sign::Waiting),
        None if line == "undecided" => Sign::Undecided,
        None if line == "as-given" => Sign::AsGiven,
        _ => Sign::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sign, line, read};

    #[test]
    fn what_is_told_is_heard() {
        for sign in [
            Sign::Alive,
            Sign::At("in step snapshots/make @"),
            Sign::Waiting(30),
            Sign::Undecided,
            Sign::Failed("mount /dev/vda2: Input/output error"),
            Sign::Root("subvol=@,compress=zstd:1"),
            Sign::AsGiven,
        ] {
            let line = line(sign);
            assert!(line.ends_with('\n'), "{line}");
            assert_eq!(read(line.trim_end()), sign);
        }
    }

    #[test]
    fn a_name_is_one_line_and_noise_is_a_sign_of_life() {
        let told = line(Sign::At("in step a\nroot subvol=/evil"));
        assert_eq!(told, "at in step a root subvol=/evil\n");
        for noise in ["", "waiting for", "waiting -1", "root", "\u{fffd}"] {
            assert_eq!(read(noise), Sign::Alive, "{noise}");
        }
    }
}
