//! The journal's file: opened, replayed, appended to.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::{self, Bad};
use super::{Error, Record};
use crate::documents::{json, parse};
use crate::sys::{self, Root};

/// The file may not grow beyond this many bytes (about 8,000 records).
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;

/// So much of it is left to records that a way on or back depends on, however much is said besides.
const FOR_DECISIONS: u64 = 64 * 1024;

/// Room that a new journal takes at once (about 500 records): a disk that is full later does not
/// keep a migration from saying where it stands, nor `finalize` from making room.
const RESERVED: u64 = 256 * 1024;

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

/// An open journal, locked against a second rootshift until it is dropped.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// The file system can only be read: nothing is appended.
    read_only: bool,
    path: PathBuf,
    end: u64,
    tag: u64,
    entries: Vec<Entry>,
    dropped: Option<u64>,
}

impl Journal {
    /// Opens and replays the journal at `path`. A tail that was cut while being written was never
    /// durable: it is dropped (see [`Journal::dropped`]) and overwritten by the next record. Where
    /// the file system can only be read it is read.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a durable record does not match its checksum, its sequence number
    /// or its run; [`Error::Busy`] when another process holds it.
    pub fn open(root: &Root, path: &Path) -> Result<Self, Error> {
        Self::open_at(root, path, false)
    }

    /// Replays the journal at `path` for somebody who only reads, whoever holds it: a record that
    /// is being written is not there yet.
    ///
    /// # Errors
    /// [`Error::Damaged`], and when the file can't be read.
    pub fn look(root: &Root, path: &Path) -> Result<Self, Error> {
        Self::replayed(root.open_read(path)?, true, root.path().join(path))
    }

    /// Makes a new, empty journal with room for all of a migration's records, as far as the file
    /// system can reserve it. Durable with its first record.
    ///
    /// # Errors
    /// When the file exists or can't be made.
    pub fn create(root: &Root, path: &Path, tag: u64) -> Result<Self, Error> {
        let mut journal = Self::open_at(root, path, true)?;
        journal.tag = tag;
        sys::room::reserve(&journal.file, &journal.path, RESERVED)?;
        Ok(journal)
    }

    fn open_at(root: &Root, path: &Path, create: bool) -> Result<Self, Error> {
        let full = root.path().join(path);
        let (file, read_only) = match root.open_append(path, create) {
            Err(cause) if cause.is_read_only() => (root.open_read(path)?, true),
            opened => (opened?, false),
        };
        if !locked(&file)? {
            return Err(Error::Busy { path: full });
        }
        Self::replayed(file, read_only, full)
    }

    fn replayed(mut file: File, read_only: bool, full: PathBuf) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(|cause| Error::File {
            act: "read it",
            path: full.clone(),
            cause,
        })?;
        let Glance {
            entries,
            end,
            problem,
        } = Glance::at(&full, &bytes);
        if let Some(problem) = problem {
            return Err(problem);
        }
        let tag = entries.first().map_or(0, |entry| entry.tag);
        let dropped = (bytes.len() as u64)
            .checked_sub(end)
            .filter(|rest| *rest > 0);
        Ok(Self {
            file,
            read_only,
            path: full,
            end,
            tag,
            entries,
            dropped,
        })
    }

    /// Whether another process holds the journal at this moment. Takes nothing away from it.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn is_held(root: &Root, path: &Path) -> Result<bool, Error> {
        Ok(!locked(&root.open_read(path)?)?)
    }

    /// Holds a journal that may not be usable, for as long as what is returned lives; `None` when
    /// there is none.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process holds it.
    pub fn hold(root: &Root, path: &Path) -> Result<Option<Held>, Error> {
        if !root.exists(path)? {
            return Ok(None);
        }
        let file = root.open_read(path)?;
        if locked(&file)? {
            return Ok(Some(Held { _file: file }));
        }
        let path = root.path().join(path);
        Err(Error::Busy { path })
    }

    /// Takes a tail that was cut while being written off the file, as the next record would.
    /// Durable when it returns. Says how many bytes that were.
    ///
    /// # Errors
    /// When that can't be done; the next opening drops it all the same.
    pub fn drop_tail(&mut self) -> Result<Option<u64>, Error> {
        let Some(rest) = self.dropped else {
            return Ok(None);
        };
        let cut = self.cut_tail().and_then(|()| self.file.sync_all());
        cut.map_err(|cause| Error::File {
            act: "take an unfinished record off it",
            path: self.path.clone(),
            cause,
        })?;
        Ok(Some(rest))
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
        let sequence = self.entries.last().map_or(1, |entry| entry.sequence + 1);
        let payload = json::text(&record).map_err(|cause| Error::Encode {
            path: self.path.clone(),
            cause,
        })?;
        let bytes = frame::encode(sequence, self.tag, &payload)
            .filter(|bytes| self.end + bytes.len() as u64 <= SIZE_LIMIT - left_free_by(&record))
            .ok_or_else(|| Error::Full {
                path: self.path.clone(),
                size: self.end,
            })?;
        if let Err(cause) = self.write(&bytes) {
            // Part of it may be there: a shorter record must not be followed by its end.
            self.dropped = Some(bytes.len() as u64);
            return Err(Error::File {
                act: "append a record",
                path: self.path.clone(),
                cause,
            });
        }
        self.end += bytes.len() as u64;
        self.entries.push(Entry {
            sequence,
            tag: self.tag,
            record,
        });
        Ok(())
    }

    fn cut_tail(&mut self) -> std::io::Result<()> {
        if self.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        if self.dropped.is_some() {
            self.file.set_len(self.end)?;
            self.dropped = None;
            // What was reserved went with it; without it there may be room all the same.
            _ = sys::room::reserve(&self.file, &self.path, RESERVED);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.cut_tail()?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }
}

/// What a record may not take of the last room. What a validation has proved comes before what is
/// only said, and after what leads from one system to the other.
fn left_free_by(record: &Record) -> u64 {
    match record {
        Record::Armed { .. }
        | Record::Renewed { .. }
        | Record::Failed { .. }
        | Record::Undone { .. }
        | Record::Trial { .. }
        | Record::RollbackRequested { .. }
        | Record::RollbackBegun { .. }
        | Record::RolledBack { .. }
        | Record::Disarmed
        | Record::FinalizeBegun
        | Record::Finalized { .. } => 0,
        Record::Checked { .. }
        | Record::Validated { .. }
        | Record::RehearsalBegun { .. }
        | Record::Rehearsed { .. }
        | Record::RehearsalFailed { .. } => FOR_DECISIONS,
        Record::Started { .. }
        | Record::Attempt { .. }
        | Record::Begun { .. }
        | Record::Done { .. }
        | Record::Tolerated { .. }
        | Record::Discarded { .. }
        | Record::Checkpoint { .. }
        | Record::ReturnedTo { .. }
        | Record::Inventory { .. }
        | Record::Committed
        | Record::NotValidated { .. }
        | Record::Refused { .. } => 2 * FOR_DECISIONS,
    }
}

/// A journal's lock alone.
#[derive(Debug)]
pub struct Held {
    _file: File,
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

/// What a journal's bytes say, to somebody who does not hold it.
#[derive(Debug)]
pub struct Glance {
    /// The records up to the first bad one, oldest first.
    pub entries: Vec<Entry>,
    /// Where they end. What follows without a problem is a cut write.
    pub end: u64,
    /// What is wrong with the first bad one.
    pub problem: Option<Error>,
}

impl Glance {
    /// Reads frames until the bytes end, the last one turns out to be cut, or one is bad.
    #[must_use]
    pub fn at(path: &Path, bytes: &[u8]) -> Self {
        let mut glance = Self {
            entries: Vec::new(),
            end: 0,
            problem: None,
        };
        while let Ok(at) = usize::try_from(glance.end)
            && let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty())
        {
            match next_entry(rest, glance.entries.last()) {
                Ok((entry, size)) => {
                    glance.entries.push(entry);
                    glance.end += size as u64;
                }
                Err(Bad::Torn) => break,
                Err(bad) => {
                    glance.problem = problem(bad, path, glance.end, glance.entries.len());
                    break;
                }
            }
        }
        glance
    }
}

fn problem(bad: Bad, path: &Path, offset: u64, before: usize) -> Option<Error> {
    let path = path.to_owned();
    match bad {
        Bad::Torn => None,
        Bad::Damaged(problem) => Some(Error::Damaged {
            path,
            offset,
            problem,
        }),
        Bad::OtherVersion => Some(Error::OtherVersion {
            path,
            problem: format!("record {} is not known", before + 1),
        }),
    }
}

/// The record that the bytes begin with, and its size.
fn next_entry(bytes: &[u8], last: Option<&Entry>) -> Result<(Entry, usize), Bad> {
    let frame = frame::decode(bytes)?;
    let expected = last.map_or(1, |entry| entry.sequence + 1);
    if frame.sequence != expected {
        return Err(Bad::Damaged(format!(
            "record {} stands where {expected} belongs",
            frame.sequence
        )));
    }
    if last.is_some_and(|last| last.tag != frame.tag) {
        let problem = format!("record {expected} belongs to another run");
        return Err(Bad::Damaged(problem));
    }
    // Its checksum is right: it makes sense to whoever wrote it.
    let record = parse::document("record", frame.payload).map_err(|_| Bad::OtherVersion)?;
    let entry = Entry {
        sequence: frame.sequence,
        tag: frame.tag,
        record,
    };
    Ok((entry, frame.size))
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
    fn what_a_failed_append_left_behind_is_cut_off() {
        let (folder, root) = folder();
        let records = written(&root);
        let file = folder.path().join(NAME);
        let whole = std::fs::read(&file).unwrap();
        let mut journal = Journal::open(&root, Path::new(NAME)).unwrap();
        let writable = journal.file.try_clone().unwrap();
        // The kernel took all of it in, and then could not make it durable.
        std::fs::write(&file, [whole.clone(), vec![7; 2048]].concat()).unwrap();
        journal.file = std::fs::File::open(&file).unwrap();
        assert!(journal.append(Record::Disarmed).is_err());
        journal.file = writable;
        journal.append(Record::Committed).unwrap();
        drop(journal);
        let all = [records, vec![Record::Committed]].concat();
        assert_eq!(replayed(&root), all);
    }

    #[test]
    fn who_only_looks_needs_no_lock_and_writes_nothing() {
        let (_folder, root) = folder();
        let records = written(&root);
        let _held = Journal::open(&root, Path::new(NAME)).unwrap();
        let mut looked = Journal::look(&root, Path::new(NAME)).unwrap();
        assert_eq!(looked.entries().len(), records.len());
        let refused = looked.append(Record::Committed).unwrap_err();
        assert!(refused.to_string().contains("read-only"), "{refused}");
        assert_eq!(replayed_by_looking(&root), records);
    }

    fn replayed_by_looking(root: &Root) -> Vec<Record> {
        let journal = Journal::look(root, Path::new(NAME)).unwrap();
        let entries = journal.entries().iter();
        entries.map(|entry| entry.record.clone()).collect()
    }

    #[test]
    fn two_at_once_are_told_apart() {
        let (_folder, root) = folder();
        written(&root);
        assert!(!Journal::is_held(&root, Path::new(NAME)).unwrap());
        let _held = Journal::open(&root, Path::new(NAME)).unwrap();
        assert!(Journal::is_held(&root, Path::new(NAME)).unwrap());
        assert!(matches!(
            Journal::open(&root, Path::new(NAME)),
            Err(Error::Busy { .. })
        ));
    }

    #[test]
    fn a_record_of_another_version_is_no_damage_and_what_came_before_it_is_read() {
        let (folder, root) = folder();
        let records = written(&root);
        let file = folder.path().join(NAME);
        let mut bytes = std::fs::read(&file).unwrap();
        let later = super::frame::encode(5, 42, br#"{"begun-in-the-future":{}}"#).unwrap();
        bytes.extend_from_slice(&later);
        std::fs::write(&file, &bytes).unwrap();
        let refused = Journal::open(&root, Path::new(NAME)).unwrap_err();
        assert!(matches!(refused, Error::OtherVersion { .. }), "{refused}");
        assert!(refused.to_string().contains("record 5"), "{refused}");
        let glance = super::Glance::at(&file, &bytes);
        assert_eq!(glance.entries.len(), records.len());
        assert!(matches!(glance.problem, Some(Error::OtherVersion { .. })));
    }

    #[test]
    fn a_cut_tail_is_taken_off_once() {
        let (folder, root) = folder();
        let records = written(&root);
        let file = folder.path().join(NAME);
        let whole = std::fs::read(&file).unwrap();
        let begun = super::frame::encode(5, 42, br#""disarmed""#).unwrap();
        std::fs::write(&file, [&whole[..], &begun[..300]].concat()).unwrap();
        let mut journal = Journal::open(&root, Path::new(NAME)).unwrap();
        assert_eq!(journal.drop_tail().unwrap(), Some(300));
        assert_eq!(journal.drop_tail().unwrap(), None);
        assert!(Journal::is_held(&root, Path::new(NAME)).unwrap());
        drop(journal);
        assert!(!Journal::is_held(&root, Path::new(NAME)).unwrap());
        assert_eq!(std::fs::read(&file).unwrap(), whole);
        assert_eq!(replayed(&root), records);
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

    #[test]
    fn a_full_journal_has_room_for_what_decides() {
        let (_folder, root) = folder();
        let mut journal = Journal::create(&root, Path::new(NAME), 42).unwrap();
        journal.append(records().remove(0)).unwrap();
        let long = Record::NotValidated {
            problems: vec!["x".repeat(60_000)],
        };
        while journal.append(long.clone()).is_ok() {}
        let small = Record::Refused { reason: "r".into() };
        while journal.append(small.clone()).is_ok() {}
        let reason = || "r".to_owned();
        let deciding = [
            Record::Trial { number: 4 },
            Record::RollbackRequested { reason: reason() },
            Record::RollbackBegun { reason: reason() },
            Record::Undone { step: "s".into() },
            Record::RolledBack { kept: vec![] },
            Record::Disarmed,
            Record::FinalizeBegun,
            Record::Finalized { entries: 1 },
        ];
        for _ in 0..10 {
            for record in &deciding {
                journal.append(record.clone()).unwrap();
            }
        }
        let refused = journal.append(small).unwrap_err();
        assert!(matches!(refused, Error::Full { .. }), "{refused}");
        drop(journal);
        assert_eq!(replayed(&root).last(), deciding.last());
    }
}
