//! A disk in memory: only what was ever written, in pieces that copies share.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rootshift::sys::holes::next_data;

const PIECE: usize = 16 << 10;

/// A disk's content. A copy costs next to nothing.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    size: u64,
    pieces: BTreeMap<u64, Arc<[u8; PIECE]>>,
}

impl Disk {
    /// A disk of zeroes.
    pub fn empty(size: u64) -> Self {
        Self {
            size,
            pieces: BTreeMap::new(),
        }
    }

    /// Reads a raw image; its holes are not even looked into.
    pub fn load(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut disk = Self::empty(file.metadata()?.len());
        let mut from = 0;
        while let Some(data) = next_data(&file, from, path)? {
            for number in data.start / PIECE as u64..data.end.div_ceil(PIECE as u64) {
                disk.load_piece(&file, number)?;
            }
            from = data.end;
        }
        Ok(disk)
    }

    fn load_piece(&mut self, file: &File, number: u64) -> Result<()> {
        let at = number * PIECE as u64;
        let length = usize::try_from(self.size - at)?.min(PIECE);
        let mut piece = [0; PIECE];
        file.read_exact_at(&mut piece[..length], at)?;
        if piece != [0; PIECE] {
            self.pieces.insert(number, Arc::new(piece));
        }
        Ok(())
    }

    /// Makes the file this disk, sparse.
    pub fn store(&self, path: &Path) -> Result<()> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        let file = file.with_context(|| format!("write {}", path.display()))?;
        file.set_len(self.size)?;
        for (number, piece) in &self.pieces {
            let at = number * PIECE as u64;
            let length = usize::try_from(self.size - at)?.min(PIECE);
            file.write_all_at(&piece[..length], at)?;
        }
        Ok(())
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from an offset.
    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let inside = usize::try_from(at % PIECE as u64).unwrap_or_default();
            let part = (length - done).min(PIECE - inside);
            if let Some(piece) = self.pieces.get(&(at / PIECE as u64)) {
                data[done..done + part].copy_from_slice(&piece[inside..inside + part]);
            }
            done += part;
        }
        data
    }

    /// Writes `data` at a byte offset.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let inside = usize::try_from(at % PIECE as u64).unwrap_or_default();
            let length = rest.len().min(PIECE - inside);
            let piece = self
                .pieces
                .entry(at / PIECE as u64)
                .or_insert_with(|| Arc::new([0; PIECE]));
            Arc::make_mut(piece)[inside..inside + length].copy_from_slice(&rest[..length]);
            at += length as u64;
            rest = &rest[length..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_follow_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (image, out) = (folder.path().join("image"), folder.path().join("out"));
        let mut bytes = vec![0; 3 * PIECE + 512];
        bytes[PIECE + 1] = 7;
        std::fs::write(&image, &bytes).unwrap();
        let disk = Disk::load(&image).unwrap();
        let mut changed = disk.clone();
        changed.write(2 * PIECE as u64 - 1, &[1, 2, 3]);
        changed.write(3 * PIECE as u64, &[9; 512]);
        disk.store(&out).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), bytes);
        assert_eq!(disk.read(0, bytes.len()), bytes);
        let sparse = Disk::load(&out).unwrap();
        assert_eq!((sparse.pieces.len(), disk.pieces.len()), (1, 1));
        assert_eq!(sparse.read(0, bytes.len()), bytes);
        changed.store(&out).unwrap();
        bytes[2 * PIECE - 1..2 * PIECE + 2].copy_from_slice(&[1, 2, 3]);
        bytes[3 * PIECE..].fill(9);
        assert_eq!(std::fs::read(&out).unwrap(), bytes);
    }
}
