//! How new files of a directory are stored on btrfs.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::IFlags;

use super::{SETTABLE, set_extended_attribute};
use crate::sys::{Result, Root};

/// What a directory hands on to files that are made in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage<'a> {
    /// Written in place, without checksums and compression.
    pub no_copy_on_write: bool,
    /// A kind of compression; `none` forbids it.
    pub compression: Option<&'a str>,
}

const NO_COMPRESSION: IFlags = IFlags::from_bits_retain(linux_raw_sys::general::FS_NOCOMP_FL);

impl Storage<'_> {
    fn flags(&self) -> IFlags {
        let mut flags = IFlags::empty();
        flags.set(IFlags::NOCOW, self.no_copy_on_write);
        flags.set(NO_COMPRESSION, self.compression == Some("none"));
        flags.set(
            IFlags::COMPRESSED,
            self.compression.is_some_and(|kind| kind != "none"),
        );
        flags
    }

    /// Marks a directory; what it said to the contrary goes, all else stays. Moves neither access
    /// nor modification time. Not durable before a sync.
    pub fn set(&self, root: &Root, path: &Path) -> Result<()> {
        let wanted = self.flags();
        if wanted.is_empty() {
            return Ok(());
        }
        let compression = NO_COMPRESSION | IFlags::COMPRESSED;
        let mut contrary = IFlags::empty();
        contrary.set(compression, wanted.intersects(compression | IFlags::NOCOW));
        contrary.set(IFlags::NOCOW, wanted.contains(IFlags::COMPRESSED));
        let now = IFlags::from_bits_retain(root.flags(path)?.bits) & SETTABLE;
        root.set_flags(path, (now.difference(contrary) | wanted).bits())?;
        match self.compression {
            // The flag alone means the kernel's default kind; the attribute names one.
            Some(kind) if kind != "none" => {
                let name = OsStr::new("btrfs.compression");
                set_extended_attribute(root, path, name, kind.as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// Whether a directory is marked so.
    pub fn is_set(&self, root: &Root, path: &Path) -> Result<bool> {
        let now = IFlags::from_bits_retain(root.flags(path)?.bits);
        Ok(now.contains(self.flags()))
    }
}
