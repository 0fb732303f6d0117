//! The GRUB that a BIOS finds: boot.img in a disk's first sector leads to core.img behind it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use crate::sys::Root;

const SECTOR: usize = 512;
/// Where boot.img keeps the sector that core.img begins at (grub-core/boot/i386/pc/boot.S).
const KERNEL_SECTOR: usize = 0x5c;
/// core.img's first sector ends with its block list, read backwards: start, length, segment
/// (grub-core/boot/i386/pc/diskboot.S).
const FIRST_BLOCKS: usize = SECTOR - BLOCKS_SIZE;
const BLOCKS_SIZE: usize = 12;
/// No core.img is longer, in bytes.
const LIMIT: usize = 4 << 20;
/// What grub-install changes in the file's text when it writes it to the disk: a length of the
/// Reed-Solomon code and the like.
const TOLERATED: usize = 16;
/// The one that grub-install wrote for this system.
pub(super) const OWN_CORE: &str = "boot/grub/i386-pc/core.img";

/// A core.img behind a boot.img.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// The disk, as `dev/sda`.
    pub disk: PathBuf,
    /// All of it but its first sector.
    pub payload: Vec<u8>,
}

impl Core {
    /// Whether it is this file, but for what depends on the place on the disk.
    #[must_use]
    pub fn is(&self, file: &[u8]) -> bool {
        let Some(file) = file.get(SECTOR..).filter(|file| !file.is_empty()) else {
            return false;
        };
        let differing = file.iter().zip(&self.payload);
        file.len() <= self.payload.len()
            && differing.filter(|(one, other)| one != other).count() <= TOLERATED
    }
}

/// Every disk that a BIOS could start GRUB from. None on a machine with EFI.
///
/// # Errors
/// When the list of disks can't be read; a disk that can't be read has none.
pub fn cores(system: &Root) -> Result<Vec<Core>, Error> {
    if system.exists(Path::new("sys/firmware/efi"))? || !system.exists(Path::new(OWN_CORE))? {
        return Ok(Vec::new());
    }
    let all = Path::new("sys/class/block");
    let mut names = match system.list(all) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        names => names?,
    };
    names.sort();
    let mut cores = Vec::new();
    for name in names {
        let is_part = system.exists(&all.join(&name).join("partition"))?;
        let name = name.to_string_lossy().replace('!', "/");
        let virtual_one = ["loop", "ram", "zram", "dm-", "md", "sr", "fd"];
        if is_part || virtual_one.iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        let disk = Path::new("dev").join(name);
        let payload = system.open_read(&disk).ok().and_then(|file| payload(&file));
        cores.extend(payload.map(|payload| Core { disk, payload }));
    }
    Ok(cores)
}

/// core.img as boot.img would load it.
fn payload(disk: &File) -> Option<Vec<u8>> {
    let first = sectors(disk, 0, 1)?;
    let is_grub = first.ends_with(&[0x55, 0xaa]) && first.windows(5).any(|part| part == b"GRUB ");
    if !is_grub {
        return None;
    }
    let head = sectors(disk, number(&first, KERNEL_SECTOR, 8)?, 1)?;
    let mut payload = Vec::new();
    let mut at = FIRST_BLOCKS;
    loop {
        let length = usize::try_from(number(&head, at + 8, 2)?).ok()?;
        if length == 0 {
            break;
        }
        payload.extend(sectors(disk, number(&head, at, 8)?, length)?);
        if payload.len() > LIMIT {
            return None;
        }
        at = at.checked_sub(BLOCKS_SIZE)?;
    }
    (!payload.is_empty()).then_some(payload)
}

fn sectors(disk: &File, start: u64, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count.checked_mul(SECTOR)?];
    let offset = start.checked_mul(SECTOR as u64)?;
    disk.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?.iter().rev();
    Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::{OWN_CORE, cores};
    use crate::sys::Root;
    use std::fs;

    /// A disk with this core.img, in two pieces, as grub-install lays it.
    fn disk(core: &[u8]) -> Vec<u8> {
        let mut disk = vec![0; 64 << 10];
        disk[0x180..0x185].copy_from_slice(b"GRUB ");
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[0x5c] = 7;
        let (first, rest) = core.split_at(512);
        disk[7 * 512..7 * 512 + 256].copy_from_slice(&first[..256]);
        let mut place = |entry: usize, start: u8, sectors: u8| {
            let at = 8 * 512 - 12 * (entry + 1);
            disk[at] = start;
            disk[at + 8] = sectors;
        };
        place(0, 8, 2);
        place(1, 20, 40);
        let (one, two) = rest.split_at(1024);
        disk[8 * 512..10 * 512].copy_from_slice(one);
        disk[20 * 512..20 * 512 + two.len()].copy_from_slice(two);
        disk
    }

    #[test]
    fn a_disk_tells_whose_grub_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["dev", "boot/grub/i386-pc", "sys/class/block/vda"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["vda1/partition", "vdb", "loop0"] {
            fs::create_dir_all(at("sys/class/block").join(path)).unwrap();
        }
        let core: Vec<u8> = (0..9000_u32).map(|byte| (byte * 7 % 251) as u8).collect();
        let mut written = core.clone();
        written[600..604].copy_from_slice(&[1, 2, 3, 4]);
        fs::write(at(OWN_CORE), &core).unwrap();
        for (name, bytes) in [
            ("vda", disk(&written)),
            ("vda1", disk(&core)),
            ("vdb", vec![0; 4096]),
        ] {
            fs::write(at("dev").join(name), bytes).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        let found = cores(&root).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].disk.to_str(), Some("dev/vda"));
        assert!(found[0].is(&core));
        let mut other = core.clone();
        other[4000..4100].fill(0);
        assert!(!found[0].is(&other));
        assert!(!found[0].is(&[]));
        fs::create_dir_all(at("sys/firmware/efi")).unwrap();
        assert_eq!(cores(&root).unwrap(), []);
    }
}
