//! What goes wrong: a fault of the device, or a full disk. Named so that one can be repeated.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow};

use super::store::Operation;
use crate::sweep::Phase;

/// How a device fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One read.
    Read,
    /// All reads from one on.
    Reads,
    /// One write.
    Write,
    /// All writes from one on: it can only be read any more.
    Writes,
    /// One flush.
    Flush,
    /// All flushes from one on.
    Flushes,
    /// Everything from one operation on: the cable was pulled.
    Gone,
    /// Everything from one flush on until the boot has gone on: a loose cable.
    Outage,
    /// Nothing fails, but from one flush on nothing is answered until the boot has gone on.
    Hang,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Reads,
        Self::Write,
        Self::Writes,
        Self::Flush,
        Self::Flushes,
        Self::Gone,
        Self::Outage,
        Self::Hang,
    ];

    /// As in the names of points.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reads => "reads",
            Self::Write => "write",
            Self::Writes => "writes",
            Self::Flush => "flush",
            Self::Flushes => "flushes",
            Self::Gone => "gone",
            Self::Outage => "outage",
            Self::Hang => "hang",
        }
    }

    /// Whether more than one operation fails.
    pub fn lasts(self) -> bool {
        matches!(
            self,
            Self::Reads | Self::Writes | Self::Flushes | Self::Gone | Self::Outage | Self::Hang
        )
    }

    /// Whether the device is well again as soon as the boot has gone on.
    pub fn passes(self) -> bool {
        matches!(self, Self::Outage | Self::Hang)
    }

    /// Whether operations like this fail.
    pub fn is_about(self, operation: Operation) -> bool {
        match self {
            Self::Read | Self::Reads => operation == Operation::Read,
            Self::Write | Self::Writes => operation == Operation::Write,
            Self::Flush | Self::Flushes => operation == Operation::Flush,
            Self::Gone | Self::Outage | Self::Hang => true,
        }
    }
}

/// A fault of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// How it fails.
    pub kind: Kind,
    /// At which of its operations, from 1.
    pub at: usize,
}

/// What a disk has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Full {
    /// File content, to the last block.
    Data,
    /// That, and what describes files.
    Metadata,
}

impl Full {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Data, Self::Metadata];

    /// As in the names of points.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The device fails.
    Device(Fault),
    /// The disk as it was after so many flushes is full, but for so much.
    Disk {
        /// Of what.
        full: Full,
        /// Flushes of the phase that ended.
        flush: usize,
        /// Blocks of data, or a few files' metadata each.
        left: usize,
    },
}

impl Trouble {
    /// Its kind, as in the names of points.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device(fault) => fault.kind.name(),
            Self::Disk { full, .. } => full.name(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(fault) => write!(formatter, "{}:{}", fault.kind.name(), fault.at),
            Self::Disk { full, flush, left } => {
                write!(formatter, "{}:{flush}:{left}", full.name())
            }
        }
    }
}

impl FromStr for Trouble {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(':').collect();
        let wrong =
            || anyhow!("{text}: written as writes:57, or data:12:4 (after 12 flushes, 4 free)");
        let number = |word: &str| word.parse().map_err(|_| wrong());
        match words.as_slice() {
            [name, at] => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == *name);
                let (kind, at) = (kind.ok_or_else(wrong)?, number(at)?);
                Ok(Self::Device(Fault { kind, at }))
            }
            [name, flush, left] => {
                let full = Full::ALL.into_iter().find(|full| full.name() == *name);
                Ok(Self::Disk {
                    full: full.ok_or_else(wrong)?,
                    flush: number(flush)?,
                    left: number(left)?,
                })
            }
            _ => Err(wrong()),
        }
    }
}

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    /// In which phase.
    pub phase: Phase,
    /// What.
    pub trouble: Trouble,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.phase, self.trouble)
    }
}

impl FromStr for Point {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || format!("{text}: a point is written as migrate:writes:57");
        let (phase, trouble) = text.split_once(':').with_context(wrong)?;
        Ok(Self {
            phase: phase.parse()?,
            trouble: trouble.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Point;

    #[test]
    fn a_point_is_read_as_it_is_written() {
        for text in [
            "migrate:writes:57",
            "give-up-new:gone:1",
            "finalize:data:12:4",
        ] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
        for text in [
            "migrate",
            "migrate:write",
            "migrate:nothing:1",
            "arm:data:1",
        ] {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
