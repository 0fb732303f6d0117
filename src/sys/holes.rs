//! Where a sparse file has data.

use std::fs::File;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{Error, Result};

/// A stretch of a file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

/// The first stretch of data at or after `offset`; `None` when only a hole follows.
///
/// Moves the descriptor's position.
pub fn next_data(file: &File, offset: u64, shown: &Path) -> Result<Option<Segment>> {
    let failed = |cause| Error::call("look for holes in", shown, cause);
    let start = match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    let end = seek(file, SeekFrom::Hole(start)).map_err(failed)?;
    Ok(Some(Segment { start, end }))
}
