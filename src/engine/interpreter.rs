//! What loads a program: without it the kernel can't execute it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// 64 bits, the least significant byte first (elf(5)): Debian's amd64, arm64, riscv64 and ppc64el.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const PT_INTERP: usize = 3;

/// The path of the dynamic loader that an ELF program names; none where it needs none, or is
/// something else.
pub(super) fn interpreter(program: &[u8]) -> Option<PathBuf> {
    let number = |at: usize, width: usize| {
        let bytes = program.get(at..at.checked_add(width)?)?;
        let added = |sum: usize, byte: &u8| sum.wrapping_shl(8) | usize::from(*byte);
        Some(bytes.iter().rev().fold(0, added))
    };
    if !program.starts_with(MAGIC) {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let entries = (0..count).filter_map(|index| table.checked_add(index * size));
    let mut named = entries.filter(|entry| number(*entry, 4) == Some(PT_INTERP));
    let entry = named.next()?;
    let (at, length) = (
        number(entry.checked_add(8)?, 8)?,
        number(entry.checked_add(32)?, 8)?,
    );
    let text = program.get(at..at.checked_add(length)?)?;
    let path = text.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use super::interpreter;

    #[test]
    fn what_is_cut_off_or_no_elf_names_none() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(interpreter(&own).is_some(), "tests are linked dynamically");
        for length in (0..2000).filter(|length| interpreter(&own[..*length]).is_some()) {
            assert_eq!(interpreter(&own[..length]), interpreter(&own));
        }
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        let mut wild = own[..64].to_vec();
        wild[32..].fill(0xff);
        assert_eq!(interpreter(&wild), None);
    }
}
