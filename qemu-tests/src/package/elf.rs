//! What kind of program a file is.

use anyhow::{Context as _, Result, ensure};

const DYNAMIC: u16 = 3;
const INTERPRETER: u32 = 3;

/// An error unless the bytes are a 64-bit position-independent program that asks for no loader:
/// in the initramfs there is none.
pub(super) fn ensure_static_pie(bytes: &[u8]) -> Result<()> {
    ensure!(
        bytes.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    ensure!(
        u16::from_le_bytes(read(bytes, 16)?) == DYNAMIC,
        "not position-independent"
    );
    let table = usize::try_from(u64::from_le_bytes(read(bytes, 32)?))?;
    let size = usize::from(u16::from_le_bytes(read(bytes, 54)?));
    let count = usize::from(u16::from_le_bytes(read(bytes, 56)?));
    for number in 0..count {
        let kind = u32::from_le_bytes(read(bytes, table + number * size)?);
        ensure!(kind != INTERPRETER, "asks for a program loader: not static");
    }
    Ok(())
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let rest = bytes.get(at..).context("the ELF file is cut off")?;
    rest.first_chunk()
        .copied()
        .context("the ELF file is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header of the given kind, after elf(5).
    fn program(kind: u16, header: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes.extend(header.to_le_bytes());
        bytes
    }

    #[test]
    fn only_a_static_pie_passes() {
        assert!(ensure_static_pie(&program(3, 1)).is_ok());
        assert!(ensure_static_pie(&program(3, 3)).is_err());
        assert!(ensure_static_pie(&program(2, 1)).is_err());
        assert!(ensure_static_pie(&program(3, 1)[..66]).is_err());
        assert!(ensure_static_pie(b"#!/bin/sh").is_err());
    }

    #[test]
    fn this_test_itself_is_not_static() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(
            ensure_static_pie(&own)
                .unwrap_err()
                .to_string()
                .contains("loader")
        );
    }
}
