//! Block devices, read only: what lies on them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Error, Result, Root};

/// Where the primary btrfs superblock lies, and how large it is (linux/btrfs_tree.h).
const SUPERBLOCK: u64 = 64 << 10;
const SUPERBLOCK_SIZE: usize = 4096;
const BTRFS_MAGIC: &[u8] = b"_BHRfS_M";
/// Offsets within the superblock: fsid, its own place, magic, checksum type.
const FSID: usize = 0x20;
const PLACE: usize = 0x30;
const MAGIC: usize = 0x40;
const CHECKSUM_TYPE: usize = 0xc4;
/// That of the device's own item, which begins with its number.
const DEVICE_NUMBER: usize = 0xc9;
/// How many devices the file system has.
const DEVICES: usize = 0x88;
const CRC32C: u16 = 0;

/// Page sizes of Linux machines; the signature lies at the end of a page.
const PAGE_SIZES: [u64; 5] = [4096, 8192, 16384, 32768, 65536];
const SIGNATURE_SIZE: u64 = 10;
/// Names of the signatures of hibernated systems (util-linux, libblkid/src/superblocks/swap.c).
const SIGNATURES: [&str; 4] = ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"];
/// TuxOnIce puts its own at the start of the page (same source).
const TUXONICE: &[u8] = b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c";

/// The UUID of the btrfs on a device, 8-4-4-4-12 in lower case; `None` when there is no valid
/// btrfs superblock (wrong magic, wrong place, or a crc32c that does not fit).
pub fn btrfs_uuid(device: &Path) -> Result<Option<String>> {
    let file = open(device)?;
    let block = read_at(&file, device, SUPERBLOCK, SUPERBLOCK_SIZE)?;
    Ok(superblock_uuid(&block))
}

fn superblock_uuid(block: &[u8]) -> Option<String> {
    let place = u64::from_le_bytes(block.get(PLACE..PLACE + 8)?.try_into().ok()?);
    if block.get(MAGIC..MAGIC + 8)? != BTRFS_MAGIC || place != SUPERBLOCK {
        return None;
    }
    let kind = block.get(CHECKSUM_TYPE..CHECKSUM_TYPE + 2)?;
    // The other kinds (xxhash, sha256, blake2) are left to the kernel to check.
    if u16::from_le_bytes(kind.try_into().ok()?) == CRC32C {
        let stored = u32::from_le_bytes(block.get(..4)?.try_into().ok()?);
        if stored != crc32c(block.get(FSID..SUPERBLOCK_SIZE)?) {
            return None;
        }
    }
    let fsid: [u8; 16] = block.get(FSID..FSID + 16)?.try_into().ok()?;
    Some(uuid_text(fsid))
}

/// The number that a device has in its btrfs, which a copy of it has as well, and how many devices
/// that btrfs has. `None` where there is no superblock.
pub fn btrfs_device_number(device: &Path) -> Result<Option<(u64, u64)>> {
    let file = open(device)?;
    let block = read_at(&file, device, SUPERBLOCK, SUPERBLOCK_SIZE)?;
    let number = |at: usize| {
        let bytes = block.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    Ok(number(DEVICE_NUMBER).zip(number(DEVICES)))
}

/// A UUID as people write it: 8-4-4-4-12, lower case.
#[must_use]
pub fn uuid_text(uuid: [u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let ends = [8, 12, 16, 20, 32];
    let starts = [0, 8, 12, 16, 20];
    let groups: Vec<&str> = starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| digits.get(*start..end))
        .collect();
    groups.join("-")
}

/// Castagnoli's CRC, bit by bit: it is used on one block.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc >>= 1;
            if low == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

/// The kind of hibernation image in a swap partition; `None` when there is none.
pub fn hibernation_image(device: &Path) -> Result<Option<&'static str>> {
    hibernation_image_at(device, 0)
}

/// The same for a swap file whose first page is this page of the device (`resume_offset=`).
/// Every page size is tried, since the image may be another kernel's.
pub fn hibernation_image_at(device: &Path, page: u64) -> Result<Option<&'static str>> {
    let file = open(device)?;
    for size in PAGE_SIZES {
        let Some(start) = page.checked_mul(size) else {
            continue;
        };
        if read_at(&file, device, start, TUXONICE.len())? == TUXONICE {
            return Ok(Some("TUXONICE"));
        }
        let signature = start.saturating_add(size - SIGNATURE_SIZE);
        let found = read_at(&file, device, signature, 10)?;
        if let Some(name) = SIGNATURES
            .iter()
            .find(|name| found.starts_with(name.as_bytes()))
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The block devices that can hold something, as /dev/NAME, sorted. Left out: RAM disks,
/// floppies, loops without a file, and all without a medium. From /sys inside `root`.
pub fn block_devices(root: &Root) -> Result<Vec<PathBuf>> {
    let all = Path::new("/sys/class/block");
    let mut devices = Vec::new();
    for name in root.list(all)? {
        if holds_something(root, &all.join(&name), &name)? {
            // In /sys a slash in a name is written as an exclamation mark (cciss!c0d0).
            devices.push(Path::new("/dev").join(name.to_string_lossy().replace('!', "/")));
        }
    }
    Ok(devices)
}

/// The devices that hold the btrfs of this UUID, of those that a root can be on. Left out: loops,
/// which show a file; what another device is made of (a disk of a mirror, a path to a disk).
pub fn btrfs_devices(root: &Root, uuid: &str) -> Result<Vec<PathBuf>> {
    let mut devices = block_devices(root)?;
    devices.retain(|device| {
        let name = device.strip_prefix("/dev").unwrap_or(device);
        let name = name.to_string_lossy().replace('/', "!");
        let holders = Path::new("/sys/class/block").join(&name).join("holders");
        let held = || root.list(&holders).is_ok_and(|holders| !holders.is_empty());
        let holds = || matches!(btrfs_uuid(device), Ok(Some(found)) if found == uuid);
        !name.starts_with("loop") && holds() && !held()
    });
    Ok(devices)
}

fn holds_something(root: &Root, directory: &Path, name: &OsStr) -> Result<bool> {
    let name = name.to_string_lossy();
    let floppy = name
        .strip_prefix("fd")
        .is_some_and(|rest| rest.starts_with(char::is_numeric));
    if floppy || name.starts_with("ram") {
        return Ok(false);
    }
    let partition = root
        .resolved_status(&directory.join("partition"))?
        .is_some();
    let loop_device = name.starts_with("loop") && !partition;
    if loop_device
        && root
            .resolved_status(&directory.join("loop/backing_file"))?
            .is_none()
    {
        return Ok(false);
    }
    match root.read_text(&directory.join("size")) {
        Ok(sectors) => Ok(sectors
            .trim()
            .parse::<u64>()
            .is_ok_and(|sectors| sectors > 0)),
        // Pulled out since it was listed.
        Err(error) if error.is_not_found() || error.errno() == Some(Errno::NODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn open(device: &Path) -> Result<File> {
    File::open(device).map_err(|cause| Error::call("open", device, cause))
}

/// As many bytes as there are, at most `length`.
pub(super) fn read_at(file: &File, shown: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let place = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(rest, place) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            // Beyond the last offset there is (EINVAL), hence nothing.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => break,
            Err(cause) => return Err(Error::call("read", shown, cause)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // Check value of CRC-32C in RFC 3720, appendix B.4: 32 bytes of zeroes.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    fn swap_with(signature: &[u8], offset: usize) -> tempfile::NamedTempFile {
        let mut content = vec![0; 160 << 10];
        content[offset..offset + signature.len()].copy_from_slice(signature);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn hibernation_is_seen_at_every_page_size() {
        for size in [4096, 8192, 16384, 32768, 65536] {
            for signature in SIGNATURES {
                let swap = swap_with(signature.as_bytes(), size - 10);
                assert_eq!(hibernation_image(swap.path()).unwrap(), Some(signature));
            }
        }
        let swap = swap_with(TUXONICE, 0);
        assert_eq!(hibernation_image(swap.path()).unwrap(), Some("TUXONICE"));
        let idle = swap_with(b"SWAPSPACE2", 4086);
        assert_eq!(hibernation_image(idle.path()).unwrap(), None);
    }

    #[test]
    fn hibernation_in_a_swap_file_is_looked_for_at_its_offset() {
        let disk = swap_with(b"S1SUSPEND", 8 * 4096 + 4086);
        assert_eq!(hibernation_image(disk.path()).unwrap(), None);
        assert_eq!(
            hibernation_image_at(disk.path(), 8).unwrap(),
            Some("S1SUSPEND")
        );
        assert_eq!(hibernation_image_at(disk.path(), 6).unwrap(), None);
        assert_eq!(
            hibernation_image_at(disk.path(), u64::MAX / 5000).unwrap(),
            None
        );
    }

    #[test]
    fn what_is_no_btrfs_has_no_uuid() {
        let short = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(btrfs_uuid(short.path()).unwrap(), None);
        let magic_only = swap_with(BTRFS_MAGIC, 65536 + 64);
        assert_eq!(btrfs_uuid(magic_only.path()).unwrap(), None);
    }

    /// Where devices have names that a test may take.
    struct Memory(PathBuf);

    impl Drop for Memory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn of_the_devices_with_a_uuid_those_of_another_device_do_not_count() {
        let folder = format!("rootshift-block-{}", std::process::id());
        let memory = Memory(Path::new("/dev/shm").join(&folder));
        std::fs::create_dir(&memory.0).unwrap();
        let system = tempfile::tempdir().unwrap();
        let block = system.path().join("sys/class/block");
        let mut superblock = vec![0; 128 << 10];
        superblock[65536 + PLACE..][..8].copy_from_slice(&SUPERBLOCK.to_le_bytes());
        superblock[65536 + MAGIC..][..8].copy_from_slice(BTRFS_MAGIC);
        superblock[65536 + CHECKSUM_TYPE] = 1; // left to the kernel to check
        let uuid = uuid_text([0; 16]);
        let found = |names: &[(&str, Option<&str>)]| {
            let _ = std::fs::remove_dir_all(&block);
            for (name, holder) in names {
                std::fs::write(memory.0.join(name), &superblock).unwrap();
                let device = block.join(format!("shm!{folder}!{name}"));
                let holder = holder.map_or("holders".into(), |holder| format!("holders/{holder}"));
                std::fs::create_dir_all(device.join(holder)).unwrap();
                std::fs::write(device.join("size"), "256\n").unwrap();
            }
            let root = Root::open(system.path()).unwrap();
            btrfs_devices(&root, &uuid).unwrap()
        };
        let at = |name: &str| memory.0.join(name);
        assert_eq!(found(&[("a", None)]), [at("a")]);
        assert_eq!(found(&[("a", None), ("b", None)]), [at("a"), at("b")]);
        let mirror = [("a", Some("md0")), ("b", Some("md0")), ("md0", None)];
        assert_eq!(found(&mirror), [at("md0")]);
        let root = Root::open(system.path()).unwrap();
        assert!(btrfs_devices(&root, "another").unwrap().is_empty());
    }

    #[test]
    fn a_uuid_has_five_groups() {
        let uuid = core::array::from_fn(|place| u8::try_from(place).unwrap());
        assert_eq!(uuid_text(uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn devices_that_hold_nothing_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        let sizes = [
            ("sda", "100"),
            ("sda1", "50"),
            ("ram0", "8"),
            ("fd0", "8"),
            ("sr0", "0"),
        ];
        let more = [
            ("loop0", "9"),
            ("loop1", "9"),
            ("loop1p1", "4"),
            ("cciss!c0d0", "7"),
        ];
        for (name, sectors) in sizes.into_iter().chain(more) {
            let directory = Path::new("sys/class/block").join(name);
            root.create_directories(&directory, 0o755).unwrap();
            let text = format!("{sectors}\n");
            root.write_new_file(&directory.join("size"), text.as_bytes(), 0o444)
                .unwrap();
        }
        let block = Path::new("sys/class/block");
        root.create_directory(&block.join("loop1/loop"), 0o755)
            .unwrap();
        root.write_new_file(&block.join("loop1/loop/backing_file"), b"/x\n", 0o444)
            .unwrap();
        root.write_new_file(&block.join("loop1p1/partition"), b"1\n", 0o444)
            .unwrap();
        let expected = [
            "/dev/cciss/c0d0",
            "/dev/loop1",
            "/dev/loop1p1",
            "/dev/sda",
            "/dev/sda1",
        ];
        assert_eq!(block_devices(&root).unwrap(), expected.map(PathBuf::from));
    }
}
