//! The journal's file: opened, replayed, appended to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::{self, Bad};
use super::{Error, Record};
use crate::documents::{json, parse};
use crate::sys::{self, Root};

/// The file may not grow beyond this many bytes (about 8,000 records).
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;

/// A record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Rises by one, from 1.
    pub sequence: u64,
    /// Ties it to its batch and plan.
    pub tag: u64,
    /// What it says.
    pub record: Record,
}

/// An open journal, locked against a second rootshift until it is dropped; or looked at.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    held: bool,
    end: u64,
    tag: u64,
    entries: Vec<Entry>,
    dropped: Option<u64>,
}

impl Journal {
    /// Opens and replays the journal at `path`. A tail that was cut while being written was never
    /// durable: it is dropped (see [`Journal::dropped`]) and overwritten by the next record.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a durable record does not match its checksum, its sequence number
    /// or its run; [`Error::Busy`] when another process holds it.
    pub fn open(root: &Root, path: &Path) -> Result<Self, Error> {
        Self::open_at(root, path, false)?.or_busy()
    }

    /// The same to be looked at only, also while another process holds it: a record that is being
    /// written at this moment is missing in it, and nothing can be appended then.
    ///
    /// # Errors
    /// [`Error::Damaged`], as [`Journal::open`].
    pub fn look(root: &Root, path: &Path) -> Result<Self, Error> {
        Self::open_at(root, path, false)
    }

    /// Whether this process holds it, and not another one.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    fn or_busy(self) -> Result<Self, Error> {
        if self.held {
            return Ok(self);
        }
        Err(Error::Busy { path: self.path })
    }

    /// Makes a new, empty journal. Durable with its first record.
    ///
    /// # Errors
    /// When the file exists or can't be made.
    pub fn create(root: &Root, path: &Path, tag: u64) -> Result<Self, Error> {
        let mut journal = Self::open_at(root, path, true)?.or_busy()?;
        journal.tag = tag;
        Ok(journal)
    }

    fn open_at(root: &Root, path: &Path, create: bool) -> Result<Self, Error> {
        let full = root.path().join(path);
        let mut file = root.open_append(path, create)?;
        let held = locked(&file)?;
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(|cause| Error::File {
            act: "read it",
            path: full.clone(),
            cause,
        })?;
        let replayed = replay(&bytes).map_err(|(offset, problem)| Error::Damaged {
            path: full.clone(),
            offset,
            problem,
        })?;
        let tag = replayed.entries.first().map_or(0, |entry| entry.tag);
        let dropped = (bytes.len() as u64)
            .checked_sub(replayed.end)
            .filter(|rest| *rest > 0);
        let Replayed { entries, end } = replayed;
        Ok(Self {
            file,
            path: full,
            held,
            end,
            tag,
            entries,
            dropped,
        })
    }

    /// All records, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of a cut write that were dropped when it was opened.
    #[must_use]
    pub fn dropped(&self) -> Option<u64> {
        self.dropped
    }

    /// Ties the records to one batch and plan.
    #[must_use]
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// Appends a record. Durable when it returns (`fdatasync`), but **not** what was done before
    /// it: on btrfs the journal can overtake the file system (facts crash.md 0.7), so the caller
    /// runs `syncfs` before it records something as done.
    ///
    /// # Errors
    /// When it could not be made durable; the next opening drops what was written of it.
    pub fn append(&mut self, record: Record) -> Result<(), Error> {
        if !self.held {
            let path = self.path.clone();
            return Err(Error::Busy { path });
        }
        let sequence = self.entries.last().map_or(1, |entry| entry.sequence + 1);
        let payload = json::text(&record).map_err(|cause| Error::Encode {
            path: self.path.clone(),
            cause,
        })?;
        let bytes = frame::encode(sequence, self.tag, &payload)
            .filter(|bytes| self.end + bytes.len() as u64 <= SIZE_LIMIT)
            .ok_or_else(|| Error::Full {
                path: self.path.clone(),
                size: self.end,
            })?;
        self.write(&bytes).map_err(|cause| Error::File {
            act: "append a record",
            path: self.path.clone(),
            cause,
        })?;
        self.end += bytes.len() as u64;
        self.entries.push(Entry {
            sequence,
            tag: self.tag,
            record,
        });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.dropped.take().is_some() {
            self.file.set_len(self.end)?;
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }
}

/// A child of this process holds a copy of the lock between fork and exec: that passes.
fn locked(file: &File) -> Result<bool, sys::Error> {
    for _ in 0..10 {
        if sys::process::lock_exclusive(file)? {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    Ok(false)
}

struct Replayed {
    entries: Vec<Entry>,
    end: u64,
}

/// Reads frames until the bytes end or the last one turns out to be cut.
fn replay(bytes: &[u8]) -> Result<Replayed, (u64, String)> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let damaged = |problem: String| (at as u64, problem);
        let frame = match frame::decode(rest) {
            Ok(frame) => frame,
            Err(Bad::Torn) => break,
            Err(Bad::Damaged(problem)) => return Err(damaged(problem)),
        };
        let expected = entries.last().map_or(1, |entry| entry.sequence + 1);
        if frame.sequence != expected {
            return Err(damaged(format!(
                "record {} stands where {expected} belongs",
                frame.sequence
            )));
        }
        if entries.first().is_some_and(|first| first.tag != frame.tag) {
            return Err(damaged(format!("record {expected} belongs to another run")));
        }
        let record = parse::document("record", frame.payload)
            .map_err(|cause| damaged(format!("record {expected} makes no sense: {cause}")))?;
        entries.push(Entry {
            sequence: frame.sequence,
            tag: frame.tag,
            record,
        });
        at += frame.size;
    }
    Ok(Replayed {
        entries,
        end: at as u64,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Error, Journal, Record};
    use crate::sys::Root;

    const NAME: &str = "journal";

    fn folder() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    fn records() -> Vec<Record> {
        vec![
            Record::Started {
                batch_id: "b".into(),
                plan: "p".into(),
                program: "0".into(),
            },
            Record::Attempt { number: 1 },
            Record::Begun { step: "s".into() },
            Record::Failed {
                step: "s".into(),
                error: "x".repeat(1200),
            },
        ]
    }

    fn written(root: &Root) -> Vec<Record> {
        let mut journal = Journal::create(root, Path::new(NAME), 42).unwrap();
        for record in records() {
            journal.append(record).unwrap();
        }
        records()
    }

    fn replayed(root: &Root) -> Vec<Record> {
        let journal = Journal::open(root, Path::new(NAME)).unwrap();
        journal
            .entries()
            .iter()
            .map(|entry| entry.record.clone())
            .collect()
    }

    #[test]
    fn what_was_appended_is_replayed() {
        let (_folder, root) = folder();
        let records = written(&root);
        assert_eq!(replayed(&root), records);
    }

    #[test]
    fn a_tail_cut_at_any_byte_is_dropped_and_then_overwritten() {
        let (folder, root) = folder();
        let records = written(&root);
        let file = folder.path().join(NAME);
        let whole = std::fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&file, &whole[..cut]).unwrap();
            let kept = replayed(&root);
            assert_eq!(kept, records[..kept.len()], "cut at {cut}");
            let mut journal = Journal::open(&root, Path::new(NAME)).unwrap();
            journal.append(Record::Disarmed).unwrap();
            drop(journal);
            assert_eq!(
                replayed(&root).last(),
                Some(&Record::Disarmed),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_in_any_record_is_refused_and_named() {
        let (folder, root) = folder();
        written(&root);
        let file = folder.path().join(NAME);
        let whole = std::fs::read(&file).unwrap();
        for byte in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            std::fs::write(&file, &bytes).unwrap();
            let refused = Journal::open(&root, Path::new(NAME));
            assert!(matches!(refused, Err(Error::Damaged { .. })), "byte {byte}");
            assert_eq!(
                std::fs::read(&file).unwrap(),
                bytes,
                "byte {byte}: the file was changed"
            );
        }
    }

    #[test]
    fn two_at_once_are_told_apart() {
        let (_folder, root) = folder();
        written(&root);
        let _held = Journal::open(&root, Path::new(NAME)).unwrap();
        assert!(matches!(
            Journal::open(&root, Path::new(NAME)),
            Err(Error::Busy { .. })
        ));
    }

    #[test]
    fn what_another_holds_can_be_looked_at_and_not_be_appended_to() {
        let (folder, root) = folder();
        let records = written(&root);
        let path = Path::new(NAME);
        assert!(Journal::look(&root, path).unwrap().is_held());
        let held = Journal::open(&root, path).unwrap();
        let mut looked = Journal::look(&root, path).unwrap();
        assert!(!looked.is_held());
        let seen: Vec<Record> = looked.entries().iter().map(|e| e.record.clone()).collect();
        assert_eq!(seen, records);
        let before = std::fs::read(folder.path().join(NAME)).unwrap();
        let refused = looked.append(Record::Disarmed);
        assert!(matches!(refused, Err(Error::Busy { .. })));
        drop(held);
        assert_eq!(std::fs::read(folder.path().join(NAME)).unwrap(), before);
    }

    #[test]
    fn a_record_of_another_run_is_refused() {
        let (folder, root) = folder();
        written(&root);
        let file = folder.path().join(NAME);
        let mut bytes = std::fs::read(&file).unwrap();
        let foreign = super::frame::encode(5, 43, br#""disarmed""#).unwrap();
        bytes.extend_from_slice(&foreign);
        std::fs::write(&file, bytes).unwrap();
        let refused = Journal::open(&root, Path::new(NAME));
        assert!(refused.is_err_and(|error| error.to_string().contains("another run")));
    }
}
