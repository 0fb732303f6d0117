//! The ioctls of btrfs, one generic call.
//!
//! Safety of the whole file: an ioctl's number carries the size of its argument, the kernel reads
//! and writes no more than that at the pointer it is given, and [`call`] compiles only when the
//! argument is at least as large. Two ioctls write further, into the room that the caller states
//! in the argument (`buf_size`, `space_slots`); both types below have that room as an array and
//! state its true length. The numbers and structs are the kernel's own (linux/btrfs.h), by way of
//! linux-raw-sys.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use linux_raw_sys::btrfs as raw;
use rustix::ioctl::{Opcode, Updater, ioctl};

/// Bytes for the items of one search; the largest item, a whole leaf, fits.
pub(super) const SEARCH_ROOM: usize = 64 << 10;
/// One place for each kind and profile of chunks, and more.
pub(super) const SPACE_SLOTS: usize = 32;

/// `struct btrfs_ioctl_search_args_v2` with room behind it.
#[repr(C)]
pub(super) struct Search {
    pub(super) key: raw::btrfs_ioctl_search_key,
    pub(super) room: u64,
    pub(super) items: [u8; SEARCH_ROOM],
}

/// `struct btrfs_ioctl_space_args` with room behind it.
#[repr(C)]
pub(super) struct Spaces {
    pub(super) slots: u64,
    pub(super) total: u64,
    pub(super) spaces: [raw::btrfs_ioctl_space_info; SPACE_SLOTS],
}

/// Types that are nothing but numbers, so that any bytes make a valid value.
///
/// # Safety
/// The type is `repr(C)` and holds integers, arrays and unions of them, or raw pointers.
pub(super) unsafe trait Numbers: Sized {
    /// All bytes zero.
    fn zeroed() -> Self {
        // SAFETY: the trait's promise: zero bytes are a valid value of every field.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

// SAFETY: each is a struct of integers and arrays of integers; vol_args_v2 has a raw pointer and
// a union of such (linux/btrfs.h).
unsafe impl Numbers for u64 {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_vol_args {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_vol_args_v2 {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_get_subvol_info_args {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_ino_lookup_args {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_dev_info_args {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_fs_info_args {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_get_dev_stats {}
// SAFETY: as above.
unsafe impl Numbers for raw::btrfs_ioctl_qgroup_create_args {}
// SAFETY: as above.
unsafe impl Numbers for Search {}
// SAFETY: as above.
unsafe impl Numbers for Spaces {}

/// The size of the argument, from bits 16 to 29 of an ioctl's number (asm-generic/ioctl.h).
const fn argument_size(opcode: Opcode) -> usize {
    ((opcode >> 16) & 0x3fff) as usize
}

/// One ioctl on a btrfs; repeated when a signal interrupts it.
pub(super) fn call<const OPCODE: Opcode, T: Numbers>(
    descriptor: impl AsFd,
    argument: &mut T,
) -> rustix::io::Result<()> {
    const { assert!(size_of::<T>() >= argument_size(OPCODE)) };
    let descriptor = descriptor.as_fd();
    rustix::io::retry_on_intr(|| {
        // SAFETY: see the head of this file; `argument` is borrowed exclusively for the call, and
        // whatever the kernel writes is a valid value of a `Numbers` type.
        unsafe { ioctl(descriptor, Updater::<OPCODE, T>::new(argument)) }
    })
}

/// Puts the name into the second union of `vol_args_v2`.
pub(super) fn name_argument(name: [core::ffi::c_char; 4040]) -> raw::btrfs_ioctl_vol_args_v2 {
    let mut argument = raw::btrfs_ioctl_vol_args_v2::zeroed();
    argument.__bindgen_anon_2.name = name;
    argument
}
