//! The superblock of an ext4, read only (fs/ext4/ext4.h).

use std::path::Path;

use super::block::{open, read_at, uuid_text};
use super::{Error, Result};

const PLACE: u64 = 1024;
const SIZE: usize = 1024;
const MAGIC: u16 = 0xef53;
/// Of `s_log_block_size`: 64 KiB.
const LARGEST: u32 = 6;
/// Of `s_state`: the kernel has seen an error in it.
const HAS_ERRORS: u16 = 2;

/// What an ext4 says about itself. Counts of what is free are not here: a mounted one writes them
/// late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// 8-4-4-4-12, lower case.
    pub uuid: String,
    /// Smallest piece of data in bytes.
    pub block_size: u64,
    /// All inodes, used or not.
    pub inodes: u64,
    /// The kernel has seen an error in it, and nobody has mended it.
    pub has_errors: bool,
    /// Features that one has to know to read it.
    pub incompatible: u32,
    /// Features that one has to know to write it.
    pub read_only_compatible: u32,
}

/// The superblock of the ext4 (or ext2, ext3) on a device; `None` when there is none.
pub fn superblock(device: &Path) -> Result<Option<Superblock>> {
    let file = open(device)?;
    let block = read_at(&file, device, PLACE, SIZE)?;
    if half(&block, 0x38) != Some(MAGIC) {
        return Ok(None);
    }
    let parsed = parse(&block);
    let broken = || Error::malformed("ext4 superblock", device, "its numbers make no sense");
    parsed.map(Some).ok_or_else(broken)
}

fn parse(block: &[u8]) -> Option<Superblock> {
    let uuid: [u8; 16] = block.get(0x68..0x78)?.try_into().ok()?;
    Some(Superblock {
        uuid: uuid_text(uuid),
        block_size: 1024_u64 << word(block, 0x18).filter(|log| *log <= LARGEST)?,
        inodes: word(block, 0)?.into(),
        has_errors: half(block, 0x3a)? & HAS_ERRORS != 0,
        incompatible: word(block, 0x60)?,
        read_only_compatible: word(block, 0x64)?,
    })
}

fn half(block: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(block.get(at..at + 2)?.try_into().ok()?))
}

fn word(block: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(block.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with a superblock in which these bytes are set.
    fn image(bytes: &[(usize, &[u8])]) -> tempfile::NamedTempFile {
        let mut content = vec![0; 8192];
        for (at, bytes) in bytes {
            content[1024 + at..1024 + at + bytes.len()].copy_from_slice(bytes);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn numbers_are_where_the_kernel_has_them() {
        let uuid: [u8; 16] = core::array::from_fn(|place| u8::try_from(place).unwrap());
        let one = image(&[
            (0x38, &[0x53, 0xef]),
            (0, &[0, 0, 1, 0]),
            (0x18, &[2]),
            (0x3a, &[3]),
            (0x60, &[0xc2, 0x02]),
            (0x64, &[0x6b, 0x04]),
            (0x68, &uuid),
        ]);
        let wanted = Superblock {
            uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f".into(),
            block_size: 4096,
            inodes: 65536,
            has_errors: true,
            incompatible: 0x2c2,
            read_only_compatible: 0x46b,
        };
        assert_eq!(superblock(one.path()).unwrap(), Some(wanted));
    }

    #[test]
    fn what_is_no_ext4_has_none() {
        assert_eq!(superblock(image(&[]).path()).unwrap(), None);
        let short = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(superblock(short.path()).unwrap(), None);
        let absurd = image(&[(0x38, &[0x53, 0xef]), (0x18, &[200])]);
        assert!(superblock(absurd.path()).is_err());
    }
}
