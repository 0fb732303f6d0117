//! A journal's records in what is written to a disk.

use rootshift::journal::{Record, frame};

/// The records of a journal that a write brings.
pub fn records(data: &[u8]) -> impl Iterator<Item = Record> {
    let sectors = (0..data.len()).step_by(frame::SECTOR);
    let frames = sectors.filter_map(|at| frame::decode(data.get(at..)?).ok());
    frames.filter_map(|frame| serde_json::from_slice(frame.payload).ok())
}
