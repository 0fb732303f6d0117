//! How much room and time a conversion or a copy takes.

use super::source::Source;
use crate::documents::Origin;

const MEGABYTE: u64 = 1 << 20;

/// Upper estimates, with what they are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forecast {
    pub bytes: u64,
    pub seconds: u64,
    pub seconds_on_slow_disk: u64,
    pub basis: &'static str,
    pub not_kept: &'static [&'static str],
}

impl Forecast {
    pub(super) fn of(origin: &Origin, source: &Source) -> Self {
        match origin {
            Origin::Convert { .. } => of_conversion(source),
            Origin::Copy { .. } => of_copy(source),
        }
    }
}

/// Room, measured with btrfs-convert 6.2 on 1 and 2 GiB: 71 MiB do for a file system of a few large
/// files and 58 do not; a small file (its content is put into the tree) takes up to 5.7 KiB, and
/// checksums a thousandth of what is used. Time: facts crash.md 2.7.
fn of_conversion(source: &Source) -> Forecast {
    let milliseconds = source.inodes / 10 + (source.size >> 30) * 120;
    Forecast {
        bytes: 96 * MEGABYTE + source.inodes * 6144 + source.used / 512,
        seconds: seconds(source.used, 400, milliseconds),
        seconds_on_slow_disk: seconds(source.used, 100, milliseconds),
        basis: "room: 96 MiB, 6 KiB for each file (as if all were small) and 1/512 of what is used, \
                free in large pieces; time: all that is used is read at 400 or 100 MB/s, with \
                0.1 ms for each file and 0.12 s for each GiB of size, as btrfs-convert 6.2 took",
        not_kept: &[
            "inode numbers, and the sizes and link counts of directories",
            "times before 1970 and after 2106",
            "room that is set aside for files (fallocate): it becomes holes; btrfs-convert before \
             6.9, as Debian 12 has it, leaves there what lay on the disk",
            "attributes larger than a tree block (16 KiB)",
            "one copy of the metadata is made, not two (`btrfs balance start -mconvert=dup` later)",
        ],
    }
}

/// Measured with `cp -a` from ext4 to a fresh btrfs, which keeps two copies of its metadata.
fn of_copy(source: &Source) -> Forecast {
    let milliseconds = source.inodes * 3 / 10;
    Forecast {
        bytes: 256 * MEGABYTE + source.used + source.inodes * 2048 + source.used / 512,
        seconds: seconds(source.used, 150, milliseconds),
        seconds_on_slow_disk: seconds(source.used, 50, milliseconds),
        basis: "room: what is used, 2 KiB for each file, 1/512 for checksums and 256 MiB; time: \
                150 or 50 MB/s, with 0.3 ms for each file, as `cp -a` took on two busy cores",
        not_kept: &[
            "inode numbers, and the times at which inodes were changed (ctime)",
            "swap files: they are made anew",
        ],
    }
}

/// At least one: this many bytes at this speed, and what goes by the number of files.
fn seconds(bytes: u64, megabytes_a_second: u64, milliseconds: u64) -> u64 {
    (bytes / (megabytes_a_second * 1000) + milliseconds) / 1000 + 1
}
