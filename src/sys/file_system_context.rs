//! Which mount options this kernel's btrfs takes, asked without mounting anything (fsopen(2),
//! fsconfig(2)). Since Linux 6.8 btrfs looks at each option as it is set; before, only at the mount.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null;

// linux/mount.h
const CLOSE_ON_EXEC: libc::c_long = 1;
const SET_FLAG: libc::c_long = 0;
const SET_STRING: libc::c_long = 1;

/// A mount of a btrfs that is being put together. Dropped, nothing came of it.
#[derive(Debug)]
pub struct FileSystemContext(OwnedFd);

impl FileSystemContext {
    /// One that tells at once what it does not take; `None` where this kernel does not, or where it
    /// can't be asked.
    #[must_use]
    pub fn of_btrfs() -> Option<Self> {
        let context = Self(open(c"btrfs")?);
        // A kernel that takes this has only put it down for later.
        (!context.takes("rootshift-asks")).then_some(context)
    }

    /// Whether it takes this option, as `compress=zstd` or `ssd`.
    #[must_use]
    pub fn takes(&self, option: &str) -> bool {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let (Ok(name), Ok(value)) = (CString::new(name), value.map(CString::new).transpose())
        else {
            return false;
        };
        set(&self.0, &name, value.as_deref())
    }
}

/// There is no wrapper for fsopen(2) in libc or nix.
#[allow(unsafe_code)]
fn open(fstype: &std::ffi::CStr) -> Option<OwnedFd> {
    // SAFETY: fsopen reads a string that ends with a zero and lives as long as the call.
    let opened = unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), CLOSE_ON_EXEC) };
    let descriptor = i32::try_from(opened).ok().filter(|number| *number >= 0)?;
    // SAFETY: the kernel has just given it to us, and nobody else knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Nor for fsconfig(2).
#[allow(unsafe_code)]
fn set(context: &OwnedFd, name: &std::ffi::CStr, value: Option<&std::ffi::CStr>) -> bool {
    let command = if value.is_some() {
        SET_STRING
    } else {
        SET_FLAG
    };
    let value = value.map_or(null(), std::ffi::CStr::as_ptr);
    let (descriptor, no_number): (_, libc::c_long) = (context.as_raw_fd(), 0);
    // SAFETY: fsconfig reads two strings that end with a zero and live as long as the call; a flag
    // has a null pointer for its value. It writes nothing of ours.
    let done = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            descriptor,
            command,
            name.as_ptr(),
            value,
            no_number,
        )
    };
    done == 0
}

#[cfg(test)]
mod tests {
    use super::FileSystemContext;

    /// Where a kernel has no such thing, or nobody may ask, there is nothing to see.
    #[test]
    fn a_kernel_that_tells_knows_its_own_options() {
        let Some(context) = FileSystemContext::of_btrfs() else {
            return;
        };
        for option in [
            "compress=zstd:3",
            "ssd",
            "commit=30",
            "subvol=@",
            "discard=async",
        ] {
            assert!(context.takes(option), "{option}");
        }
        for option in [
            "errors=remount-ro",
            "noatme",
            "ssd=1",
            "compress=gzip",
            "a\0b",
            "",
        ] {
            assert!(!context.takes(option), "{option}");
        }
    }
}
