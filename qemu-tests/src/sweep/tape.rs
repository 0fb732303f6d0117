//! What was written to a disk and when it was flushed, and the disk at each instant of it.
//!
//! Between two flushes a volatile cache keeps any subset of the writes; their order in the log
//! says nothing but what lies on top of what.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use super::chance::Chance;
use super::disk::Disk;

const SECTOR: usize = 512;
/// The primary superblock of a btrfs: torn, nothing mounts the file system (facts crash.md 0.9).
const SUPERBLOCK: Range<u64> = 64 << 10..68 << 10;

/// What of the writes after the last flush a cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// None of them.
    Nothing,
    /// The subset of this number.
    Subset(usize),
    /// All, the one that was under way only in part: 0 is one that chance chooses, any other number
    /// is the sectors that there are of the last one.
    Torn(usize),
}

/// An instant: after so many flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instant {
    /// Flushes that ended.
    pub flush: usize,
    /// Writes since.
    pub left: Left,
}

impl fmt::Display for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.flush)?;
        match self.left {
            Left::Nothing => Ok(()),
            Left::Subset(number) => write!(formatter, ":r{number}"),
            Left::Torn(number) => write!(formatter, ":t{number}"),
        }
    }
}

impl FromStr for Instant {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (flush, left) = text.split_once(':').unwrap_or((text, ""));
        let number = || left.get(1..).unwrap_or_default().parse();
        let left = match left.chars().next() {
            None => Ok(Left::Nothing),
            Some('r') => number().map(Left::Subset),
            Some('t') => number().map(Left::Torn),
            Some(_) => "".parse().map(Left::Subset),
        };
        let wrong = || format!("{text}: an instant is written as 7, 7:r1 or 7:t1");
        Ok(Self {
            flush: flush.parse().with_context(wrong)?,
            left: left.with_context(wrong)?,
        })
    }
}

/// One write.
#[derive(Debug, Clone)]
struct Write {
    offset: u64,
    data: Vec<u8>,
}

impl Write {
    fn onto(&self, disk: &mut Disk, length: usize) {
        disk.write(self.offset, &self.data[..length]);
    }

    fn is_of_superblock(&self) -> bool {
        SUPERBLOCK.contains(&self.offset)
    }
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Tape {
    /// The disk after each flush, from before the first one on.
    durable: Vec<Disk>,
    /// The writes after each of them.
    writes: Vec<Vec<Write>>,
}

impl Tape {
    /// Nothing was written yet.
    pub fn new(base: Disk) -> Self {
        Self {
            durable: vec![base],
            writes: vec![Vec::new()],
        }
    }

    /// Records a write; a discard is one of zeroes.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let data = data.to_vec();
        if let Some(writes) = self.writes.last_mut() {
            writes.push(Write { offset, data });
        }
    }

    /// Records a flush.
    pub fn flush(&mut self) {
        let all = self.end();
        self.durable.push(all);
        self.writes.push(Vec::new());
    }

    /// The disk after all of it.
    pub fn end(&self) -> Disk {
        let mut disk = self.durable.last().cloned().unwrap_or_default();
        for write in self.writes.last().into_iter().flatten() {
            write.onto(&mut disk, write.data.len());
        }
        disk
    }

    /// How many flushes there are.
    pub fn flushes(&self) -> usize {
        self.durable.len() - 1
    }

    /// Every flush, and for each up to so many subsets of what was written after it, and one torn
    /// write. Flushes that nothing was written before are the same instant.
    pub fn instants(&self, subsets: usize, seed: u64, name: &str) -> Vec<Instant> {
        let mut instants = Vec::new();
        for (flush, writes) in self.writes.iter().enumerate() {
            let at = |left| Instant { flush, left };
            if flush == 0 || !self.writes[flush - 1].is_empty() {
                instants.push(at(Left::Nothing));
            }
            let mut seen = HashSet::new();
            for number in 0..subsets {
                let chosen = self.chosen(flush, number, seed, name);
                let some = chosen.contains(&true) && chosen.contains(&false);
                if some && seen.insert(chosen) {
                    instants.push(at(Left::Subset(number)));
                }
            }
            if subsets > 0 && writes.iter().any(|write| write.data.len() > SECTOR) {
                instants.push(at(Left::Torn(0)));
            }
        }
        instants
    }

    /// After each flush the last write, torn at each of its sectors.
    pub fn torn_everywhere(&self) -> Vec<Instant> {
        let each = |(flush, _)| {
            let sectors = self.last_long(flush).map_or(1, |(_, sectors)| sectors);
            let at = move |number| Instant {
                flush,
                left: Left::Torn(number),
            };
            (1..sectors).map(at)
        };
        self.writes.iter().enumerate().flat_map(each).collect()
    }

    /// The last write after a flush that has more than one sector, and how many.
    fn last_long(&self, flush: usize) -> Option<(usize, usize)> {
        let sectors = self.writes[flush]
            .iter()
            .map(|write| write.data.len() / SECTOR);
        sectors.enumerate().rfind(|(_, count)| *count > 1)
    }

    /// Which of the writes after a flush are kept: any with even odds, few, most, one, all but one.
    fn chosen(&self, flush: usize, number: usize, seed: u64, name: &str) -> Vec<bool> {
        let count = self.writes[flush].len();
        let mut chance = Chance::of(seed, &format!("{name}:{flush}:r{number}"));
        let one = chance.below(count);
        let odds = chance.below(5);
        let mut keep = |index: usize| match odds {
            0 => index == one,
            1 => index != one,
            2 => chance.below(4) == 0,
            3 => chance.below(4) != 0,
            _ => chance.below(2) == 0,
        };
        (0..count).map(&mut keep).collect()
    }

    /// The disk as a cut at this instant leaves it.
    pub fn disk_at(&self, instant: Instant, seed: u64, name: &str) -> Result<Disk> {
        let missing = || format!("{name}:{instant}: there are {} flushes", self.flushes());
        let mut disk = self
            .durable
            .get(instant.flush)
            .with_context(missing)?
            .clone();
        let writes = &self.writes[instant.flush];
        match instant.left {
            Left::Nothing => {}
            Left::Subset(number) => {
                let chosen = self.chosen(instant.flush, number, seed, name);
                let kept = writes.iter().zip(chosen).filter(|(_, kept)| *kept);
                kept.for_each(|(write, _)| write.onto(&mut disk, write.data.len()));
            }
            Left::Torn(number) => {
                let torn = self.torn(instant.flush, number, seed, name);
                for (index, write) in writes.iter().enumerate() {
                    let whole = write.data.len();
                    let part = torn.filter(|(torn, _)| *torn == index);
                    write.onto(&mut disk, part.map_or(whole, |(_, length)| length));
                }
            }
        }
        Ok(disk)
    }

    /// Which write is torn, and after how many bytes.
    fn torn(&self, flush: usize, number: usize, seed: u64, name: &str) -> Option<(usize, usize)> {
        if number > 0 {
            let (index, sectors) = self.last_long(flush)?;
            return (number < sectors).then_some((index, number * SECTOR));
        }
        let mut chance = Chance::of(seed, &format!("{name}:{flush}:t{number}"));
        let long = self.writes[flush]
            .iter()
            .enumerate()
            .filter(|(_, write)| write.data.len() > SECTOR);
        let long: Vec<_> = long.collect();
        let (index, write) = long.get(chance.below(long.len()))?;
        let sectors = write.data.len() / SECTOR;
        Some((*index, (1 + chance.below(sectors - 1)) * SECTOR))
    }

    /// Whether the instant leaves the primary superblock torn: outside of what is promised.
    pub fn tears_superblock(&self, instant: Instant, seed: u64, name: &str) -> bool {
        let Left::Torn(number) = instant.left else {
            return false;
        };
        let torn = self.torn(instant.flush, number, seed, name);
        torn.is_some_and(|(index, _)| self.writes[instant.flush][index].is_of_superblock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let mut tape = Tape::new(Disk::empty(16 << 10));
        for (offset, fill) in [(0, 1), (4096, 2), (0, 3)] {
            tape.write(offset, &[fill; 1024]);
        }
        tape.flush();
        tape.flush();
        tape.write(8192, &[4; 1024]);
        tape
    }

    /// The first byte of each sector of the first 16.
    fn sectors(disk: &Disk) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        disk.store(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let firsts = bytes.chunks(SECTOR).map(|sector| sector[0]);
        firsts.collect()
    }

    #[test]
    fn an_instant_is_read_as_it_is_written() {
        for text in ["0", "7:r3", "12:t0"] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
        }
        for text in ["", "x", "1:q2", "1:r"] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    #[test]
    fn flushes_without_writes_between_are_one_instant() {
        let plain: Vec<usize> = tape()
            .instants(0, 1, "x")
            .iter()
            .map(|instant| instant.flush)
            .collect();
        assert_eq!(plain, [0, 1]);
    }

    #[test]
    fn subsets_are_neither_all_nor_nothing_and_differ() {
        let tape = tape();
        let subsets: Vec<Instant> = tape
            .instants(50, 1, "x")
            .into_iter()
            .filter(|instant| matches!(instant.left, Left::Subset(_)))
            .collect();
        assert_eq!(subsets.len(), 6, "2^3 - 2 of the three writes: {subsets:?}");
        assert!(subsets.iter().all(|instant| instant.flush == 0));
    }

    #[test]
    fn a_torn_write_ends_at_a_sector() {
        let tape = tape();
        let instant = "2:t0".parse().unwrap();
        let (write, length) = tape.torn(2, 0, 1, "x").unwrap();
        assert_eq!((write, length), (0, 512));
        assert!(!tape.tears_superblock(instant, 1, "x"));
        let found = sectors(&tape.disk_at(instant, 1, "x").unwrap());
        assert_eq!(found[..2], [3, 3], "what was flushed is there");
        assert_eq!(found[16..18], [4, 0], "half of the write");
        assert_eq!(sectors(&tape.end())[16..18], [4, 4]);
        let all = tape.torn_everywhere();
        assert!(all.contains(&"2:t1".parse().unwrap()), "{all:?}");
        assert!(!all.contains(&"2:t2".parse().unwrap()), "that is all of it");
        assert_eq!(tape.torn(2, 1, 1, "x"), Some((0, 512)));
        assert_eq!(tape.torn(2, 2, 1, "x"), None);
    }
}
