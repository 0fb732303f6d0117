//! Room for a file, taken before it is needed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FallocateFlags, IFlags, fallocate, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use super::{Error, Result};

/// Reserves room for the first `bytes` of a new file; its size stays. On btrfs such a file is
/// written in place from then on, without the kernel's checksums: otherwise each write of a block
/// that was written before would take new room (fs/btrfs/inode.c, can_nocow_file_extent). Nothing
/// is reserved where the file system can't.
pub fn reserve(file: &File, shown: &Path, bytes: u64) -> Result<()> {
    // Only an empty file takes the flag; other file systems do not know it.
    if let Ok(flags) = ioctl_getflags(file) {
        _ = ioctl_setflags(file, flags | IFlags::NOCOW);
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Err(Errno::NOTSUP | Errno::NOSYS) => Ok(()),
        done => done.map_err(|cause| Error::call("reserve room for", shown, cause)),
    }
}
