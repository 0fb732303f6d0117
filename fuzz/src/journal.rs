//! The journal: its frames, and what its records amount to.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rootshift::documents::{json, parse};
use rootshift::engine::State;
use rootshift::journal::{Error, Journal, Record, frame};
use rootshift::sys::Root;
use tempfile::TempDir;

const TAGS: [u64; 2] = [42, 43];

/// What a small run leaves, with a record of more than one sector.
fn written() -> Vec<Record> {
    let (step, run) = (|| "copy/one".to_owned(), "run".to_owned());
    vec![
        Record::Started {
            batch_id: run.clone(),
            plan: "0".repeat(32),
            program: "0.1.0".into(),
        },
        Record::Armed { images: Vec::new() },
        Record::Attempt { number: 1 },
        Record::Begun { step: step() },
        Record::Failed {
            step: step(),
            error: "no space left on device; ".repeat(40),
        },
        Record::Begun { step: step() },
        Record::Committed,
    ]
}

/// Two journals of different runs, as frames.
fn journals() -> &'static [Vec<Vec<u8>>; 2] {
    static JOURNALS: OnceLock<[Vec<Vec<u8>>; 2]> = OnceLock::new();
    JOURNALS.get_or_init(|| {
        TAGS.map(|tag| {
            let frames = written().into_iter().zip(1..).map(|(record, sequence)| {
                frame::encode(sequence, tag, &json::text(&record).unwrap()).unwrap()
            });
            frames.collect()
        })
    })
}

/// A folder of its own, in memory where there is such a place; it goes with the value.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

/// The data spoils a journal, as a small program of operations on its bytes. Whatever comes out of
/// it was written, from the first record on, in order; or the journal is refused and untouched.
pub fn journal(data: &[u8]) {
    let [ours, other] = journals();
    let bytes = spoilt(&ours.concat(), &other.concat(), data);
    let folder = folder();
    let name = Path::new("journal");
    let file = folder.path().join(name);
    fs::write(&file, &bytes).unwrap();
    let root = Root::open(folder.path()).unwrap();
    match Journal::open(&root, name) {
        Ok(mut journal) => {
            let records: Vec<Record> = journal
                .entries()
                .iter()
                .map(|entry| entry.record.clone())
                .collect();
            assert!(written().starts_with(&records), "{records:?}");
            let tag = journal.entries().first().map(|entry| entry.tag);
            assert!(tag.is_none_or(|tag| TAGS.contains(&tag)));
            assert!(journal.entries().iter().all(|entry| Some(entry.tag) == tag));
            assert_none_follows(ours, &bytes, records.len());
            let _ = State::after(&records);
            // What was dropped is overwritten by the next record, and does not come back.
            journal.append(Record::Disarmed).unwrap();
            drop(journal);
            let journal = Journal::open(&root, name).unwrap();
            let again: Vec<&Record> = journal
                .entries()
                .iter()
                .map(|entry| &entry.record)
                .collect();
            let wanted: Vec<&Record> = records.iter().chain([&Record::Disarmed]).collect();
            assert_eq!(again, wanted);
            assert_eq!(journal.dropped(), None);
        }
        Err(Error::Damaged {
            offset, problem, ..
        }) => {
            assert!(offset <= bytes.len() as u64 && !problem.is_empty());
            assert!(!problem.contains(char::is_control), "{problem:?}");
            assert_eq!(
                fs::read(&file).unwrap(),
                bytes,
                "a damaged journal was changed"
            );
        }
        Err(error) => panic!("{error}"),
    }
}

/// Where a record after the bad one stands whole in its place, the bad one was durable: the journal
/// is damaged, not cut.
fn assert_none_follows(frames: &[Vec<u8>], bytes: &[u8], read: usize) {
    let mut start = 0;
    for (index, frame) in frames.iter().enumerate() {
        let stands = bytes.get(start..start + frame.len()) == Some(frame);
        assert!(!stands || index <= read, "record {} was dropped", index + 1);
        start += frame.len();
    }
}

/// Four bytes an operation: which, where (two bytes), and with what.
fn spoilt(ours: &[u8], other: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = ours.to_vec();
    // Enough of them could forge a checksum, which no accident does.
    for operation in data.chunks_exact(4).take(8) {
        let [what, low, high, value] = *operation else {
            continue;
        };
        let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
        let sector = at / frame::SECTOR * frame::SECTOR;
        let end = (sector + frame::SECTOR).min(bytes.len());
        match what % 8 {
            0 => bytes.truncate(at),
            1 => bytes[at..].fill(0),
            2 => bytes.extend(std::iter::repeat_n(0, usize::from(value) * 16)),
            3 => bytes[sector..end].fill(0),
            4 => bytes.extend_from_within(sector..end),
            5 => {
                bytes.drain(sector..end);
            }
            6 => {
                let from = usize::from(value) * frame::SECTOR % other.len();
                let splice = &other[from..(from + frame::SECTOR).min(other.len())];
                bytes.splice(sector..end, splice.iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= value;
                }
            }
        }
    }
    bytes
}

/// A record a line, in an order that no run has: the state after them is some state, or none.
pub fn records(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let records: Vec<Record> = lines
        .filter_map(|line| parse::document("record", line).ok())
        .collect();
    for record in &records {
        let text = json::text(record).unwrap();
        assert_eq!(&parse::document::<Record>("record", &text).unwrap(), record);
    }
    let _ = State::after(&records);
}
