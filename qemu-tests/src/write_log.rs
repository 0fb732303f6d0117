//! The log of a disk's writes and flushes that QEMU's `blklogwrites` keeps (the format of
//! dm-log-writes), and disks rebuilt from it.
//!
//! An entry is added when its write has completed; the header counts the entries. Both survive
//! a SIGKILL of QEMU, because the log is an ordinary file of the host.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const KNOWN: u64 = FLUSH | FUA | DISCARD | MARK;

/// One write, flush or discard; offsets and lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where on the disk.
    pub offset: u64,
    /// How much; 0 for a bare flush.
    pub length: u64,
    flags: u64,
    /// Where in the log the data lies.
    data: u64,
}

impl Entry {
    /// Everything that completed before this entry is durable.
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    /// This write is durable by itself.
    pub fn is_fua(&self) -> bool {
        self.flags & FUA != 0
    }

    /// The range may read as anything from now on; rebuilt as zeroes.
    pub fn is_discard(&self) -> bool {
        self.flags & DISCARD != 0
    }

    /// Changes the disk.
    pub fn is_write(&self) -> bool {
        self.length > 0 && self.flags & (DISCARD | MARK) == 0
    }
}

/// An open log.
#[derive(Debug)]
pub struct WriteLog {
    file: File,
    path: PathBuf,
    entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads the header and all entries. A log that was cut off inside an entry, which a killed
    /// QEMU may leave, ends before that entry.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let header =
            read_words(&file, 0).context("the log has no header: was anything flushed?")?;
        let [magic, version, count, sector_and_seed] = header;
        ensure!(
            magic == MAGIC,
            "{}: not a write log (magic {magic:#x})",
            path.display()
        );
        ensure!(
            version == VERSION,
            "{}: write log version {version}",
            path.display()
        );
        let sector = sector_and_seed & u64::from(u32::MAX);
        ensure!(
            sector.is_power_of_two() && sector >= 512,
            "log sector size {sector}"
        );
        let end = file.seek(SeekFrom::End(0))?;
        let entries = read_entries(&file, count, sector, end);
        Ok(Self {
            file,
            path: path.to_path_buf(),
            entries,
        })
    }

    /// All entries, in the order in which they completed.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Positions of the flushes: at each, the entries before it are durable.
    pub fn flush_points(&self) -> Vec<usize> {
        let flushes = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.is_flush());
        flushes.map(|(position, _)| position).collect()
    }

    /// The first write whose data holds these bytes.
    pub fn find(&self, bytes: &[u8]) -> Result<Option<usize>> {
        for (position, entry) in self.entries.iter().enumerate() {
            let data = if entry.is_write() {
                self.data(entry)?
            } else {
                Vec::new()
            };
            if data.windows(bytes.len()).any(|window| window == bytes) {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn data(&self, entry: &Entry) -> Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(entry.length)?];
        self.file.read_exact_at(&mut data, entry.data)?;
        Ok(data)
    }

    /// What is certain to be on the disk when the power fails after the first `upto` entries:
    /// all up to the last flush, and of the rest the writes that were durable by themselves.
    pub fn durable(&self, upto: usize) -> Vec<Entry> {
        let seen = &self.entries[..upto.min(self.entries.len())];
        let flushed = seen.iter().rposition(Entry::is_flush).unwrap_or(0);
        let (before, after) = seen.split_at(flushed);
        before
            .iter()
            .chain(after.iter().filter(|entry| entry.is_fua()))
            .copied()
            .collect()
    }

    /// Makes `out`: the disk `base` (raw) with the first `upto` entries applied.
    pub fn rebuild(&self, base: &Path, upto: usize, out: &Path) -> Result<()> {
        crate::image::copy(base, out)?;
        self.apply(&self.entries[..upto.min(self.entries.len())], out)
    }

    /// Applies some entries, in this order, to the raw disk `disk`.
    pub fn apply(&self, entries: &[Entry], disk: &Path) -> Result<()> {
        let out = File::options().write(true).open(disk);
        let out = out.with_context(|| format!("open {}", disk.display()))?;
        let changes = |entry: &&Entry| entry.is_write() || entry.is_discard();
        for entry in entries.iter().filter(changes) {
            self.apply_one(entry, &out).with_context(|| {
                format!(
                    "apply {entry:?} of {} to {}",
                    self.path.display(),
                    disk.display()
                )
            })?;
        }
        Ok(())
    }

    fn apply_one(&self, entry: &Entry, mut out: &File) -> Result<()> {
        out.seek(SeekFrom::Start(entry.offset))?;
        if entry.is_discard() {
            std::io::copy(&mut std::io::repeat(0).take(entry.length), &mut out)?;
            return Ok(());
        }
        Ok(out.write_all(&self.data(entry)?)?)
    }
}

/// Entries up to the first that is not whole. A slot that was reserved but not yet written holds
/// zeroes, and nothing behind it can be placed.
fn read_entries(file: &File, count: u64, sector: u64, end: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut position = sector;
    for _ in 0..count {
        let Ok([start, sectors, flags, mark]) = read_words(file, position) else {
            break;
        };
        let (data, length) = (position + sector, sectors * sector);
        let in_log = if flags & DISCARD == 0 { length } else { 0 };
        let empty = sectors == 0 && flags == 0 && mark == 0;
        if empty || flags & !KNOWN != 0 || data + in_log > end {
            break;
        }
        entries.push(Entry {
            offset: start * sector,
            length,
            flags,
            data,
        });
        position = data + in_log;
    }
    entries
}

fn read_words(file: &File, at: u64) -> Result<[u64; 4]> {
    let mut bytes = [0; 32];
    file.read_exact_at(&mut bytes, at)?;
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log made by hand after the description in the kernel's Documentation, log-writes.rst.
    fn log(entries: &[(u64, u64, u64, u8)], count: u64) -> Vec<u8> {
        let sector = |words: [u64; 4]| {
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.resize(512, 0);
            bytes
        };
        let mut log = sector([MAGIC, VERSION, count, 512]);
        for (start, sectors, flags, fill) in entries {
            log.extend(sector([*start, *sectors, *flags, 0]));
            if flags & DISCARD == 0 {
                log.extend(vec![*fill; usize::try_from(sectors * 512).unwrap()]);
            }
        }
        log
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        log: WriteLog,
        base: PathBuf,
        out: PathBuf,
    }

    fn fixture(bytes: &[u8]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let [path, base, out] = ["log", "base", "out"].map(|name| folder.path().join(name));
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(&base, vec![b'.'; 4 * 512]).unwrap();
        Fixture {
            log: WriteLog::open(&path).unwrap(),
            base,
            out,
            _folder: folder,
        }
    }

    impl Fixture {
        /// The first byte of each sector of the rebuilt disk.
        fn rebuilt(&self, entries: &[Entry]) -> String {
            std::fs::copy(&self.base, &self.out).unwrap();
            self.log.apply(entries, &self.out).unwrap();
            let disk = std::fs::read(&self.out).unwrap();
            disk.chunks(512)
                .map(|sector| char::from(sector[0]))
                .collect()
        }
    }

    const RUN: &[(u64, u64, u64, u8)] = &[
        (0, 1, 0, b'a'),
        (0, 0, FLUSH, 0),
        (1, 2, 0, b'b'),
        (3, 1, FUA, b'c'),
        (0, 1, 0, b'd'),
    ];

    #[test]
    fn a_power_cut_keeps_what_was_flushed_and_what_was_forced() {
        let fixture = fixture(&log(RUN, 5));
        assert_eq!(fixture.log.flush_points(), [1]);
        assert_eq!(fixture.rebuilt(&fixture.log.durable(5)), "a..c");
        assert_eq!(fixture.rebuilt(&fixture.log.durable(3)), "a...");
        assert_eq!(fixture.rebuilt(&fixture.log.durable(1)), "....");
    }

    #[test]
    fn a_write_is_found_by_its_bytes() {
        let fixture = fixture(&log(RUN, 5));
        assert_eq!(fixture.log.find(b"cc").unwrap(), Some(3));
        assert_eq!(fixture.log.find(b"ab").unwrap(), None);
    }

    #[test]
    fn a_prefix_is_applied_in_order() {
        let fixture = fixture(&log(RUN, 5));
        fixture.log.rebuild(&fixture.base, 5, &fixture.out).unwrap();
        let disk = std::fs::read(&fixture.out).unwrap();
        assert_eq!([disk[0], disk[512], disk[1024], disk[1536]], *b"dbbc");
        assert_eq!(disk.len(), 4 * 512);
    }

    #[test]
    fn a_discard_has_no_data_in_the_log() {
        let fixture = fixture(&log(&[(1, 2, DISCARD, 0), (3, 1, 0, b'x')], 2));
        assert_eq!(fixture.rebuilt(fixture.log.entries()), ".\0\0x");
    }

    #[test]
    fn the_header_decides_how_many_entries_count() {
        assert_eq!(fixture(&log(RUN, 2)).log.entries().len(), 2);
    }

    #[test]
    fn a_log_cut_inside_an_entry_ends_before_it() {
        let whole = log(RUN, 5);
        assert_eq!(fixture(&whole[..whole.len() - 1]).log.entries().len(), 4);
    }

    #[test]
    fn an_unwritten_slot_ends_the_log() {
        let mut run = RUN.to_vec();
        run[2] = (0, 0, 0, 0);
        assert_eq!(fixture(&log(&run, 5)).log.entries().len(), 2);
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, [7; 1024]).unwrap();
        assert!(
            WriteLog::open(&path)
                .unwrap_err()
                .to_string()
                .contains("not a write log")
        );
    }
}
