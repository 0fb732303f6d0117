//! Hashes of what is in a file, and of where it is not.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::sys::{self, holes::next_data};

/// XXH3-128 of a file's content, read in pieces of `piece`'s length.
pub(super) fn hash(file: &File, size: u64, piece: &mut [u8], shown: &Path) -> sys::Result<u128> {
    read_and_hash(file, size, piece).map_err(|cause| sys::Error::call("read", shown, cause))
}

fn read_and_hash(file: &File, size: u64, piece: &mut [u8]) -> io::Result<u128> {
    let first = if size == 0 {
        0
    } else {
        read_at(file, piece, 0)?
    };
    let mut offset = u64::try_from(first).unwrap_or(u64::MAX);
    let data = piece.get(..first).unwrap_or_default();
    if offset >= size {
        // The usual small file: one read, one call.
        return Ok(xxh3_128(data));
    }
    let mut hasher = Xxh3::new();
    hasher.update(data);
    loop {
        let count = read_at(file, piece, offset)?;
        if count == 0 {
            return Ok(hasher.digest128());
        }
        hasher.update(piece.get(..count).unwrap_or_default());
        offset = offset.saturating_add(u64::try_from(count).unwrap_or(0));
    }
}

fn read_at(file: &File, piece: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(piece, offset) {
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// XXH3-64 of where the data lies; `None` when there is no hole.
pub(super) fn holes(file: &File, size: u64, shown: &Path) -> sys::Result<Option<u64>> {
    let mut hasher = Xxh3::new();
    let mut offset = 0;
    let mut data = 0_u64;
    while offset < size {
        let Some(segment) = next_data(file, offset, shown)? else {
            break;
        };
        hasher.update(&segment.start.to_le_bytes());
        hasher.update(&segment.end.to_le_bytes());
        data = data.saturating_add(segment.end.saturating_sub(segment.start));
        // A file that shrinks meanwhile must not hold us here.
        offset = segment.end.max(offset.saturating_add(1));
    }
    Ok((data < size).then(|| hasher.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_hash_of_the_whole() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let opened = File::open(file.path()).unwrap();
        let size = u64::try_from(content.len()).unwrap();
        let path = file.path();
        let whole = xxh3_128(&content);
        assert_eq!(
            hash(&opened, size, &mut vec![0; 1 << 20], path).unwrap(),
            whole
        );
        assert_eq!(
            hash(&opened, size, &mut vec![0; 1000], path).unwrap(),
            whole
        );
        // A file that grew since it was looked at is read to its end.
        assert_eq!(hash(&opened, 10, &mut [0; 8], path).unwrap(), whole);
    }

    #[test]
    fn holes_tell_two_files_of_equal_content_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (full, sparse) = (folder.path().join("full"), folder.path().join("sparse"));
        std::fs::write(&full, vec![0; 1 << 20]).unwrap();
        File::create(&sparse).unwrap().set_len(1 << 20).unwrap();
        let map = |path: &Path| holes(&File::open(path).unwrap(), 1 << 20, path).unwrap();
        assert_eq!(map(&full), None);
        assert!(map(&sparse).is_some());
    }
}
