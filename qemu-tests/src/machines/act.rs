//! What can happen to a machine, one word each.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `rootshift check`.
    Check,
    /// `rootshift plan`.
    Plan,
    /// `rootshift status`.
    Status,
    /// `rootshift arm --yes`.
    Arm,
    /// `rootshift disarm`.
    Disarm,
    /// `rootshift disarm --discard-journal`.
    Discard,
    /// A restart.
    Boot,
    /// A restart that is cut off at a fault point, and the one after it.
    CutBoot(u8),
    /// `rootshift validate`.
    Validate,
    /// `rootshift rollback --yes`.
    Rollback,
    /// `rootshift finalize --yes`.
    Finalize,
    /// The same, cut off at a fault point; and a restart.
    CutFinalize(u8),
    /// `rootshift recover --yes`.
    Recover,
    /// `update-grub`.
    UpdateGrub,
    /// `grub-install`.
    GrubInstall,
    /// A kernel is installed, with the package's hook.
    Kernel,
    /// A kernel is installed, without it.
    BareKernel,
    /// The owner works on it: files in all places.
    Work,
    /// Somebody sees to what lies at the top level: locks it, keeps it, makes room.
    Tend(u8),
    /// The hostile user does one of his tricks.
    Trick(u8),
}

const WORDS: [(&str, Act); 15] = [
    ("check", Act::Check),
    ("plan", Act::Plan),
    ("status", Act::Status),
    ("arm", Act::Arm),
    ("disarm", Act::Disarm),
    ("discard", Act::Discard),
    ("boot", Act::Boot),
    ("validate", Act::Validate),
    ("rollback", Act::Rollback),
    ("finalize", Act::Finalize),
    ("recover", Act::Recover),
    ("update-grub", Act::UpdateGrub),
    ("grub-install", Act::GrubInstall),
    ("kernel", Act::Kernel),
    ("bare-kernel", Act::BareKernel),
];

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work => formatter.write_str("work"),
            Self::CutBoot(number) => write!(formatter, "cut-boot{number}"),
            Self::CutFinalize(number) => write!(formatter, "cut-finalize{number}"),
            Self::Tend(number) => write!(formatter, "tend{number}"),
            Self::Trick(number) => write!(formatter, "trick{number}"),
            plain => {
                let known = WORDS.iter().find(|(_, act)| act == plain);
                formatter.write_str(known.map_or("?", |(word, _)| word))
            }
        }
    }
}

impl FromStr for Act {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        if word == "work" {
            return Ok(Self::Work);
        }
        if let Some((_, act)) = WORDS.iter().find(|(known, _)| *known == word) {
            return Ok(*act);
        }
        let at = word
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(word.len());
        let (name, number) = word.split_at(at);
        let number = number.parse::<u8>();
        Ok(match (name, number) {
            ("cut-boot", Ok(number)) => Self::CutBoot(number),
            ("cut-finalize", Ok(number)) => Self::CutFinalize(number),
            ("tend", Ok(number)) => Self::Tend(number),
            ("trick", Ok(number)) => Self::Trick(number),
            _ => bail!("{word}: nothing of that name can happen to a machine"),
        })
    }
}
